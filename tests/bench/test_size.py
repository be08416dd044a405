"""The size benchmark measures a state that is complete, after a load and after a restart."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from tests.bench.size import measure


def test_a_small_size_is_measured_whole(tmp_path: Path) -> None:
    row = measure(tmp_path, 3, 12, Console(quiet=True))
    assert row.manifests == 3
    assert 0 < row.ratio < 1
    assert 0 < row.change_p50_ms <= row.change_p99_ms
    assert row.restart_seconds > 0
    assert min(row.anonymous_mib, row.store_mib) > 0
