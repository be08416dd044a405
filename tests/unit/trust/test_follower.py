"""Following a folder: every last change is seen, whatever becomes of the folder.

Polling is set to an hour where notification is what is tested, so a test that passes was notified.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from inotify_simple import INotify

from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.follower import Backoff, Follower
from sidecar.trust.source import Trigger

AN_HOUR = 3600.0


class Reader:
    """Work that reads what lies in a folder, and waits for what should be read there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, str] | None = None
        self.rounds = 0
        self.changed = threading.Condition()
        self.inside: Callable[[int], None] = lambda _: None

    def __call__(self) -> bool:
        found = {
            path.relative_to(self.folder).as_posix(): path.read_text()
            for path in self.folder.rglob("*")
            if path.is_file()
        }
        self.inside(self.rounds)
        with self.changed:
            news = found != self.found
            self.found = found
            self.rounds += 1
            self.changed.notify_all()
        return news

    def wait(self, found: dict[str, str]) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.found == found, 60)
            assert self.found == found

    def wait_rounds(self, count: int) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.rounds >= count, 60)
            assert self.rounds >= count


@contextmanager
def following(work: Reader, poll: float = AN_HOUR) -> Iterator[Follower]:
    follower = Follower("test", FolderChanges(work.folder), poll, work, Backoff(longest_pause=0.02))
    follower.start()
    try:
        yield follower
    finally:
        follower.request_stop()
        assert follower.join(60)


def test_the_work_is_done_at_once_and_at_every_change(tmp_path: Path) -> None:
    work = Reader(tmp_path)
    with following(work):
        work.wait({})
        (tmp_path / "a").write_text("1")
        work.wait({"a": "1"})
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/b").write_text("2")
        work.wait({"a": "1", "sub/b": "2"})
        (tmp_path / "a").unlink()
        work.wait({"sub/b": "2"})


def test_a_change_during_the_work_leads_to_another_round(tmp_path: Path) -> None:
    """The lost wake-up: the change comes after the folder was read and before the next wait."""
    work = Reader(tmp_path)

    def write_late(rounds: int) -> None:
        if rounds < 5:
            (tmp_path / str(rounds)).write_text("late")

    work.inside = write_late
    with following(work):
        work.wait({str(number): "late" for number in range(5)})


def test_a_folder_that_comes_later_is_awaited(tmp_path: Path) -> None:
    folder = tmp_path / "a/b/c"
    work = Reader(folder)
    with following(work):
        work.wait({})
        folder.mkdir(parents=True)
        (folder / "x").write_text("1")
        work.wait({"x": "1"})
        (folder / "x").write_text("2")
        work.wait({"x": "2"})


def test_a_folder_that_comes_step_by_step_is_awaited(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    work = Reader(folder)
    with following(work):
        work.wait({})
        rounds = work.rounds
        (tmp_path / "a").mkdir()
        work.wait_rounds(rounds + 1)
        folder.mkdir()
        (folder / "x").write_text("1")
        work.wait({"x": "1"})


def test_a_replaced_folder_is_followed_anew(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for place, text in ((folder, "old"), (other, "new")):
        place.mkdir()
        (place / "x").write_text(text)
    work = Reader(folder)
    with following(work, poll=0.2):
        work.wait({"x": "old"})
        folder.rename(tmp_path / "away")
        other.rename(folder)
        work.wait({"x": "new"})
        (folder / "x").write_text("newer")
        work.wait({"x": "newer"})


def test_what_notification_cannot_tell_the_poll_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("inotify_simple.INotify.add_watch", refuse)
    work = Reader(tmp_path)
    with following(work, poll=0.05):
        work.wait({})
        (tmp_path / "x").write_text("1")
        work.wait({"x": "1"})


def test_work_that_raises_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    work = Reader(tmp_path)
    failed = threading.Event()

    def fail_first(rounds: int) -> None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError

    work.inside = fail_first
    with following(work):
        assert failed.wait(60)
        (tmp_path / "x").write_text("1")
        work.wait({"x": "1"})
    assert [record.getMessage() for record in caplog.records] == [
        "following test: unexpected error"
    ]


def test_a_watch_that_breaks_is_set_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = INotify.read
    broken = [RuntimeError("the watch broke")]

    def break_once(self: INotify, timeout: int) -> Any:
        if broken:
            raise broken.pop()
        return real(self, timeout)

    monkeypatch.setattr(INotify, "read", break_once)
    work = Reader(tmp_path)
    with following(work):
        work.wait({})
        (tmp_path / "x").write_text("1")
        work.wait({"x": "1"})
    assert [record.getMessage() for record in caplog.records] == [
        "following test: unexpected error"
    ]


def test_a_source_that_never_rests_is_asked_ever_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not take the processor from the requests by touching files for ever."""
    waits: list[float] = []
    news = False
    follower = Follower("test", FolderChanges(tmp_path), AN_HOUR, lambda: news)
    monkeypatch.setattr(follower._stop, "wait", waits.append)
    for _ in range(20):
        follower._round(Trigger.CHANGE)
    doubled = [0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
    assert waits == [*doubled, *[1.0] * 6]
    news = True
    follower._round(Trigger.CHANGE)
    news = False
    follower._round(Trigger.CHANGE)
    assert len(waits) == 12


def test_nothing_happens_while_nothing_changes(tmp_path: Path) -> None:
    """Reading must not look like a change, or a follower would run for ever."""
    (tmp_path / "x").write_text("1")
    work = Reader(tmp_path)
    with following(work) as follower:
        work.wait({"x": "1"})
        (tmp_path / "x").write_text("2")
        work.wait({"x": "2"})
        # What is left of the last change may still be told, and more than once.
        rounds = work.rounds
        follower.join(1.0)
        assert work.rounds <= rounds + 3


def test_quiet_polls_do_not_count_as_restlessness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise every change after a quiet minute would be noticed a second late."""
    waits: list[float] = []
    follower = Follower("test", FolderChanges(tmp_path), AN_HOUR, lambda: False)
    monkeypatch.setattr(follower._stop, "wait", waits.append)
    for _ in range(50):
        follower._round(Trigger.POLL)
    assert waits == []


def test_a_quiet_folder_announces_polls_and_a_busy_one_changes(tmp_path: Path) -> None:
    stop = threading.Event()
    changes = FolderChanges(tmp_path).changes(0.05, stop)
    assert [next(changes), next(changes)] == [Trigger.START, Trigger.POLL]
    (tmp_path / "x").write_text("1")
    assert next(changes) is Trigger.CHANGE
    stop.set()
    assert list(changes) == []


def test_a_follower_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    follower = Follower("test", FolderChanges(tmp_path), AN_HOUR, lambda: False)
    follower.request_stop()
    assert follower.join(0)
