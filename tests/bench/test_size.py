"""The size benchmark measures a state that is complete, after a load and after a restart."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tests.bench.size import measure, signed


def test_a_small_size_is_measured_whole(tmp_path: Path) -> None:
    console = Console(quiet=True)
    kept = tmp_path / "data"
    row = measure(tmp_path, signed(kept, 3, 12, console), console)
    assert row.manifests == 3
    assert 0 < row.ratio < 1
    assert 0 < row.writer_us <= row.load_us + 0.001  # both are rounded sums
    assert min(row.hot_us, row.cold_us) > 0
    assert 0 < row.change_p50_ms <= row.change_p99_ms
    assert row.restart_seconds > 0
    assert min(row.anonymous_mib, row.store_mib) > 0


def test_what_was_signed_is_used_again(tmp_path: Path) -> None:
    console = Console(quiet=True)
    first = signed(tmp_path / "data", 1, 10, console)
    assert len(first.more) == 10
    assert signed(tmp_path / "data", 1, 10, console) == first
