"""Follows one source or folder in a thread: works at once, at every change and at every poll.

Each has a thread of its own, so one that hangs on a dead file system delays no other. Whatever
``work`` or the subscription raises is logged and tried again.

A source that changes all the time without new content is read ever less often, up to once in
``Backoff.longest_pause`` seconds, so that it cannot take the processor from the requests.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.trust.folder_watch import StopEvent
from sidecar.trust.source import Changes, Trigger

_LOG = logging.getLogger("sidecar.trust")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How a source that never rests is slowed down.

    Attributes:
        calm_rounds: Rounds in a row without new content before the first pause.
        first_pause: Doubled with every further round, in seconds.
        longest_pause: The pauses' upper bound, and the pause after a failure, in seconds.
    """

    calm_rounds: int = 8
    first_pause: float = 0.02
    longest_pause: float = 1.0

    def pause(self, idle: int) -> float:
        """Seconds to wait after ``idle`` rounds in a row without new content."""
        extra = idle - self.calm_rounds
        if extra <= 0:
            return 0.0
        return min(self.first_pause * 2.0 ** min(extra - 1, 20), self.longest_pause)


class Follower:
    """A thread that calls ``work`` whenever ``followed`` may have changed.

    Args:
        name: Of the thread and in the log.
        followed: Announces changes.
        poll_seconds: The longest time between two calls of ``work``.
        work: Reads the source; returns whether it found new content.
        backoff: See ``Backoff``.
    """

    def __init__(
        self,
        name: str,
        followed: Changes,
        poll_seconds: float,
        work: Callable[[], bool],
        backoff: Backoff = Backoff(),
    ) -> None:
        self._name = name
        self._followed = followed
        self._poll_seconds = poll_seconds
        self._work = work
        self._backoff = backoff
        self._stop = StopEvent()
        self._thread = threading.Thread(target=self._run, name=f"follow-{name}", daemon=False)
        self._idle = 0

    def start(self) -> None:
        """Start the thread; returns at once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the thread to end after the current round."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the thread; returns whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for trigger in self._followed.changes(self._poll_seconds, self._stop):
                    self._round(trigger)
            except Exception:  # noqa: BLE001 - the thread must live on
                _LOG.exception("following %s: unexpected error", self._name)
                self._stop.wait(self._backoff.longest_pause)

    def _round(self, trigger: Trigger) -> None:
        if trigger is Trigger.POLL:
            self._idle = 0  # a poll is no sign of a busy source
        try:
            news = self._work()
        except Exception:  # noqa: BLE001 - the next round may succeed
            _LOG.exception("following %s: unexpected error", self._name)
            news = False
        self._idle = 0 if news else self._idle + 1
        pause = self._backoff.pause(self._idle)
        if pause:
            self._stop.wait(pause)
