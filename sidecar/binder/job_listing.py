"""Lists the jobs of one account again and again, and reads no further than there is news.

Theory of operation. Listings begin with the newest job. A round reads page by page until a page has
nothing that was not known and every job that was not over has been read again: only those change.
No provider promises this order, and a tag may be added later, so a whole round is made from time to
time, which believes nothing that is remembered. The first round is whole, and so is each after one
that was listed in another order, or that had an entry that is no job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidecar.binding.errors import BindingError
from sidecar.binding.source import JobSource, JobState, ListedJob

WHOLE_SECONDS = 3600.0
"""Interval of rounds that read the whole list; others end at the first page without news."""


@dataclass(slots=True)
class _Known:
    """What a listing remembers: succeeded job → its entry, and ids of the ended and the others."""

    succeeded: dict[str, ListedJob] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)

    def take(self, job: ListedJob) -> bool:
        """Remember an entry; return whether it is news."""
        if job.state is JobState.RUNNING:
            news = job.id not in self.running
            self.running.add(job.id)
            return news
        news = job.id not in self.succeeded and job.id not in self.ended
        self.running.discard(job.id)
        if job.state is JobState.ENDED:
            self.ended.add(job.id)
        elif news or job.specification is not None:
            self.succeeded[job.id] = job
        return news


class JobListing:
    """The jobs of one account, as they are known after each round.

    Args:
        monotonic: The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known = _Known()
        self._whole: float | None = None
        self._plain = True

    def round(self, source: JobSource, since: datetime) -> Iterator[ListedJob]:
        """Yield every job that has succeeded: as it is listed, then those that are remembered.

        Args:
            source: The account.
            since: Jobs that were created earlier are not looked at.

        Raises:
            SourceError: The provider cannot be asked; what was known stays.
            BindingError: An entry is no job; after all others, which it does not hinder.
        """
        at = self._monotonic()
        whole = self._whole is None or not self._plain or at - self._whole >= WHOLE_SECONDS
        known = _Known() if whole else self._known
        waits_for = set(known.running)
        listed: set[str] = set()
        fault: BindingError | None = None
        last, ordered = datetime.max.replace(tzinfo=UTC), True
        for page in source.pages(since, frozenset(known.succeeded)):
            fault = fault or page.fault
            news = [job for job in page.jobs if known.take(job)]
            for job in page.jobs:
                ordered, last = ordered and job.created <= last, job.created
            ids = {job.id for job in page.jobs} - listed
            listed |= ids
            waits_for -= ids
            yield from [known.succeeded[job] for job in ids if job in known.succeeded]
            if not (whole or news or waits_for):
                break
        known.running -= waits_for  # they are not listed any more
        self._known, self._plain = known, ordered and fault is None
        if whole:
            self._whole = at
        yield from [job for job in known.succeeded.values() if job.id not in listed]
        if fault is not None:
            raise fault
