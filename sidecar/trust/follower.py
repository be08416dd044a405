"""Following one folder: do the work at once, at every change, and at the latest after a while.

Theory of operation. The watch is set up *before* the work is done and collects changes while the
work is done, so the last change of a series always leads to one more round: no wake-up is lost, and
a half-written publication that failed is read again as soon as it is complete. Each folder has a
thread of its own; one that hangs on a dead file system holds up nobody else.

A folder that does not exist is awaited by watching the nearest one above it. A folder that was
replaced is noticed by its identity, at a change or at the poll, and watched anew. What notification
cannot tell (network file systems) the poll finds.

A source that changes all the time without saying anything new is asked ever less often, up to once
in ``LONGEST_PAUSE`` seconds, so that it cannot take the processor from the requests.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from watchfiles import _rust_notify

_LOG = logging.getLogger("sidecar.trust")

STEP_MS = 10
DEBOUNCE_MS = 50
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0
_CALM_ROUNDS = 8


class Follower:
    """A thread that calls ``work`` whenever ``folder`` may have changed.

    Args:
        name: Of the thread and in the log.
        folder: What to follow; need not exist.
        poll_seconds: At the latest after this long ``work`` is called again.
        work: Does the work; tells whether it found anything new. What it raises is logged.
    """

    def __init__(
        self, name: str, folder: Path, poll_seconds: float, work: Callable[[], bool]
    ) -> None:
        self._name = name
        self._folder = folder.absolute()
        self._poll_ms = max(1, round(poll_seconds * 1000))
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{name}", daemon=False)
        self._idle = 0

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the thread to end after the round it is in."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; tells whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Exception:  # noqa: BLE001 - the thread must live on
                _LOG.exception("following %s: unexpected error", self._name)
                self._stop.wait(LONGEST_PAUSE)

    def _follow(self) -> None:
        """Follow what is there now, until it is another folder or the watch ends."""
        identity = _identity(self._folder)
        with self._watching() as watch:
            self._round()
            while self._wait(watch) and _identity(self._folder) == identity:
                self._round()

    def _round(self) -> None:
        try:
            news = self._work()
        except Exception:  # noqa: BLE001 - the next round may succeed
            _LOG.exception("following %s: unexpected error", self._name)
            news = False
        self._idle = 0 if news else self._idle + 1
        if self._idle > _CALM_ROUNDS:
            pause = FIRST_PAUSE * 2.0 ** min(self._idle - _CALM_ROUNDS, 10)
            self._stop.wait(min(pause, LONGEST_PAUSE))

    def _watching(self) -> _rust_notify.RustNotify | nullcontext[None]:
        folder = _nearest(self._folder)
        recursive = folder == self._folder
        try:
            return _rust_notify.RustNotify([str(folder)], False, False, 0, recursive, True)  # noqa: FBT003
        except (OSError, _rust_notify.WatchfilesRustInternalError) as error:
            _LOG.warning("following %s: no notification, only polling: %s", self._name, error)
            return nullcontext()

    def _wait(self, watch: _rust_notify.RustNotify | None) -> bool:
        """Wait for a change or the poll; tells whether the watch may be used again."""
        if watch is None:
            self._stop.wait(self._poll_ms / 1000)
            return False
        outcome = watch.watch(DEBOUNCE_MS, STEP_MS, self._poll_ms, self._stop)
        if outcome == "timeout":
            self._idle = 0
        return outcome != "stop"


def _nearest(folder: Path) -> Path:
    """The folder itself or, where it does not exist, the nearest one above it."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _identity(folder: Path) -> tuple[Path, int, int]:
    nearest = _nearest(folder)
    status = nearest.stat()
    return nearest, status.st_dev, status.st_ino
