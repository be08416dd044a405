"""Orders the jobs of a running binder by when they are to be tried."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class QueuedJob:
    """A job to bind, by the provider that its account is named for."""

    provider: str
    job: str


class JobQueue:
    """Jobs with the time at which each is due; used by any number of threads.

    A job that is in work is in the queue no more; one that becomes due meanwhile is kept for after.
    """

    def __init__(self) -> None:
        self._due: dict[QueuedJob, datetime] = {}
        self._changed = threading.Condition()
        self._ended = False

    def add(self, job: QueuedJob, due: datetime) -> None:
        """Add a job with its due time; of two times the earlier one holds."""
        with self._changed:
            known = self._due.get(job)
            self._due[job] = due if known is None else min(due, known)
            self._changed.notify_all()

    def take(self, now: datetime) -> QueuedJob | None:
        """Remove and return the job that is due first; ``None`` if none is due."""
        with self._changed:
            ready = [(due, job) for job, due in self._due.items() if due <= now]
            if not ready or self._ended:
                return None
            job = min(ready)[1]
            del self._due[job]
            return job

    def wait(self, seconds: float) -> bool:
        """Wait until something changes, at most so long; return whether the queue is open."""
        with self._changed:
            if not self._ended:
                self._changed.wait(seconds)
            return not self._ended

    def end(self) -> None:
        """Hand out no further job, and wake everything that waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Return whether ``end`` was called."""
        return self._ended

    def next_due(self) -> datetime | None:
        """Return when the next job is due; ``None`` without one."""
        with self._changed:
            return min(self._due.values(), default=None)

    def __len__(self) -> int:
        """Return the number of jobs that wait."""
        return len(self._due)
