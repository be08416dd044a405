"""Watching a folder: every change is named, an idle watch does nothing, a stop ends it at once."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import Event, INotify, flags

from sidecar.trust import folder_watch
from sidecar.trust.folder_watch import FolderWatch, Gathering, StopEvent

A_MINUTE = 60.0
A_MINUTE_MS = 60_000


@pytest.fixture
def stop() -> StopEvent:
    return StopEvent()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[FolderWatch]:
    (tmp_path / "old").mkdir()
    with FolderWatch(tmp_path) as made:
        yield made


def changed(watch: FolderWatch, stop: StopEvent, folder: Path) -> set[str]:
    found = watch.wait(A_MINUTE, stop)
    assert found is not None
    return {str(Path(path).relative_to(folder)) for path in found}


def test_each_changed_path_is_named(watch: FolderWatch, stop: StopEvent, tmp_path: Path) -> None:
    (tmp_path / "old/a").write_text("1")
    (tmp_path / "b").symlink_to("old/a")
    assert changed(watch, stop, tmp_path) == {"old/a", "b"}
    (tmp_path / "old/a").rename(tmp_path / "c")
    (tmp_path / "b").unlink()
    assert changed(watch, stop, tmp_path) == {"old/a", "b", "c"}
    (tmp_path / "c").chmod(0o600)
    assert changed(watch, stop, tmp_path) == {"c"}


def test_what_was_put_into_a_new_folder_before_its_watch_is_below_a_named_path(
    watch: FolderWatch, stop: StopEvent, tmp_path: Path
) -> None:
    (tmp_path / "new/deep").mkdir(parents=True)
    (tmp_path / "new/deep/a").write_text("1")
    assert "new" in changed(watch, stop, tmp_path)
    (tmp_path / "new/deep/b").write_text("1")
    assert changed(watch, stop, tmp_path) == {"new/deep/b"}


def test_a_folder_that_moves_is_named_by_its_new_path(
    watch: FolderWatch, stop: StopEvent, tmp_path: Path
) -> None:
    (tmp_path / "old").rename(tmp_path / "moved")
    assert {"old", "moved"} <= changed(watch, stop, tmp_path)
    (tmp_path / "moved/a").write_text("1")
    assert changed(watch, stop, tmp_path) == {"moved/a"}


def test_changes_that_were_lost_name_the_whole_folder(
    watch: FolderWatch, stop: StopEvent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old/a").write_text("1")
    real, lost = INotify.read, [Event(-1, flags.Q_OVERFLOW, 0, "")]

    def overflown(self: INotify, timeout: int) -> list[Event]:
        found = [*real(self, timeout=timeout), *lost]
        lost.clear()
        return found

    monkeypatch.setattr(INotify, "read", overflown)
    assert changed(watch, stop, tmp_path) == {".", "old/a"}


def test_nothing_runs_while_nothing_changes(
    watch: FolderWatch, stop: StopEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks at a watch, some thirty a second for each folder, were most of an idle gate's work."""
    polls: list[int] = []

    class Poller:
        def register(self, *_: int) -> None: ...

        def poll(self, milliseconds: int) -> list[tuple[int, int]]:
            polls.append(milliseconds)
            stop.set()
            return []

    monkeypatch.setattr(select, "poll", Poller)
    assert watch.wait(A_MINUTE, stop) is None
    assert polls == [pytest.approx(A_MINUTE * 1e3, abs=100)]


def test_a_stop_ends_the_wait(watch: FolderWatch, stop: StopEvent) -> None:
    threading.Timer(0.01, stop.set).start()
    assert watch.wait(A_MINUTE, stop) is None
    plain = threading.Event()
    threading.Timer(0.01, plain.set).start()
    assert watch.wait(A_MINUTE, plain) is None


def test_the_time_passes_without_a_change(watch: FolderWatch, stop: StopEvent) -> None:
    assert watch.wait(0.001, stop) == set()


def test_a_change_that_waits_for_another_is_announced_with_it(
    stop: StopEvent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication is read once, when its last file is there, and not once for each file."""
    with FolderWatch(tmp_path, partial=lambda path: path.endswith("part")) as watch:
        (tmp_path / "part").write_text("1")
        last = threading.Timer(0.03, (tmp_path / "whole").write_text, ("1",))
        last.start()
        with monkeypatch.context() as patch:  # a busy machine may be late with the second one
            patch.setattr(folder_watch, "_PATIENT", Gathering(A_MINUTE_MS, A_MINUTE_MS))
            assert changed(watch, stop, tmp_path) == {"part", "whole"}
        (tmp_path / "part").write_text("2")
        assert changed(watch, stop, tmp_path) == {"part"}
