"""Binds every job of some accounts, as they finish, until it is stopped.

Theory of operation. What is to be bound is found twice: by webhooks, which are fast and get lost,
and by listing the jobs of each account, which is slow and complete. Both put a job's record on disk
first and into the queue afterwards, so that what was found survives a restart. Workers take jobs
that are due and let ``Binder.attempt`` decide; that binds once whatever the queue holds. A job that
names no specification, and was not submitted from here, is counted and left alone: no manifest of
it would be admitted anywhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sidecar.binder import library
from sidecar.binder.binder import Binder
from sidecar.binder.config import AccountConfig
from sidecar.binder.errors import BinderError, StoppedError
from sidecar.binder.job_listing import JobListing
from sidecar.binder.job_records import JobRecord, Progress
from sidecar.binder.kept_source import KeptSource
from sidecar.binder.metrics import BinderMetrics
from sidecar.binder.queue import JobQueue, QueuedJob
from sidecar.binder.rounds import Rounds
from sidecar.binder.submission import SubmissionFolder
from sidecar.binding.source import JobSource, SourceError
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

CLAIMED_RETRY = timedelta(seconds=30)
"""When a job that another process works on is looked at again."""

FAULT_RETRY = timedelta(minutes=15)
_LONGEST_WAIT = 5.0

OpenSource = Callable[[AccountConfig], JobSource]


@dataclass(frozen=True, slots=True)
class ListingState:
    """What the last listing of an account's jobs found."""

    jobs: int = 0
    unspecified: int = 0


class BinderService:
    """Workers and listings from ``start`` to ``stop``.

    Args:
        binder: Binds one job.
        accounts: Whose jobs; their names differ.
        workers: Jobs that are bound at once.
        open_source: Opens an account for one thread.
        now: The clock.
        metrics: Counts what happens.
        bound: Called after a job was bound.
    """

    def __init__(
        self,
        binder: Binder,
        accounts: tuple[AccountConfig, ...],
        workers: int,
        open_source: OpenSource,
        now: Callable[[], datetime],
        metrics: BinderMetrics,
        bound: Callable[[], None] = lambda: None,
    ) -> None:
        self._bound = bound
        self._binder = binder
        self._accounts: Mapping[str, AccountConfig] = {each.provider: each for each in accounts}
        self._open = open_source
        self._opened = threading.local()
        self._now = now
        self._metrics = metrics
        self._queue = JobQueue()
        self._listed: dict[str, ListingState] = {}
        self._awaited: dict[str, frozenset[str]] = {}
        self._listings = {each.provider: JobListing() for each in accounts}
        self.rounds = [self._rounds(each) for each in accounts]
        self._workers = [
            threading.Thread(target=self._run_worker, name=f"binder-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Take up the jobs on record, and begin to list.

        Raises:
            BinderError: The state folder cannot be read.
        """
        for record in self._binder.state.all():
            self._metrics.known(record)
            if record.progress is not Progress.BOUND and record.provider in self._accounts:
                due = datetime.fromisoformat(record.due)
                self._queue.add(QueuedJob(record.provider, record.job), due)
        for thread in self._workers:
            thread.start()
        for each in self.rounds:
            each.start()

    def request_stop(self) -> None:
        """Begin nothing new, and break off the downloads at hand."""
        self._queue.end()
        for each in self.rounds:
            each.request_stop()

    def join(self, seconds: float) -> bool:
        """Wait for everything at hand, so long in all; return whether it ended."""
        end = time.monotonic() + seconds
        ended = [each.join(max(0.0, end - time.monotonic())) for each in self.rounds]
        for thread in self._workers:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        return all(ended) and not any(thread.is_alive() for thread in self._workers)

    def enqueue(self, provider: str, job: str) -> bool:
        """Bind a job as soon as possible; return whether it is not bound already.

        Raises:
            BinderError: Its record cannot be read.
            OSError: Its record cannot be written.
        """
        news = self._binder.state.enqueue(provider, job)
        if news:
            self._queue.add(QueuedJob(provider, job), self._now())
        return news

    def is_alive(self) -> bool:
        """Return whether every thread runs."""
        rounds = all(each.is_alive() for each in self.rounds)
        return rounds and all(thread.is_alive() for thread in self._workers)

    def state(self) -> dict[str, object]:
        """Return what is listed and waits, as JSON values."""
        return {
            "waiting": len(self._queue),
            "accounts": {
                name: {"jobs": each.jobs, "unspecified": each.unspecified}
                for name, each in sorted(self._listed.items())
            },
        }

    def _rounds(self, account: AccountConfig) -> Rounds:
        return Rounds(
            "jobs",
            account.provider,
            account.poll_seconds,
            lambda: self._list_jobs(account),
            self._close_sources,
        )

    def _source(self, account: AccountConfig) -> KeptSource[JobSource]:
        """Return this thread's own source: not every SDK's client may be shared."""
        opened: dict[str, KeptSource[JobSource]] | None = getattr(self._opened, "sources", None)
        if opened is None:
            opened = self._opened.sources = {}
        if account.provider not in opened:
            opened[account.provider] = KeptSource(partial(self._open, account))
        return opened[account.provider]

    def _close_sources(self) -> None:
        """Close what this thread opened."""
        sources: dict[str, KeptSource[JobSource]] = getattr(self._opened, "sources", {})
        for each in sources.values():
            each.close()

    def _list_jobs(self, account: AccountConfig) -> None:
        """Put the jobs that succeeded, and are not known yet, into the queue."""
        self._look_again(account)
        with self._source(account).asked() as source:
            self._list_with(source, account)

    def _list_with(self, source: JobSource, account: AccountConfig) -> None:
        submitted = self._submitted(account.provider)
        listing = self._listings[account.provider]
        count = unspecified = 0
        for listed in listing.round(source, self._now() - account.lookback):
            self._check_open()
            count += 1
            if listed.specification is None and listed.id not in submitted:
                unspecified += 1
            elif not self._is_known(account.provider, listed.id):
                log.info(
                    "job %s of %s has finished",
                    listed.id,
                    account.provider,
                    extra=event("job_found", provider=account.provider, job=listed.id, by="list"),
                )
                self.enqueue(account.provider, listed.id)
        self._listed[account.provider] = ListingState(count, unspecified)

    def _look_again(self, account: AccountConfig) -> None:
        """Let refused jobs be tried soon where something was added that they may lack."""
        there = library.awaited(self._binder.settings.evidence)
        before = self._awaited.get(account.provider, frozenset())
        self._awaited[account.provider] = there
        if there <= before:
            return
        for record in self._binder.state.all():
            if record.provider == account.provider and record.progress is Progress.REFUSED:
                due = min(record.due_after_change(), datetime.fromisoformat(record.due))
                self._queue.add(QueuedJob(record.provider, record.job), due)

    def _is_known(self, provider: str, job: str) -> bool:
        """Return whether a job is on record; a record that cannot be read hinders no other job."""
        try:
            return self._binder.state.read(provider, job) is not None
        except BinderError as error:
            log.warning("%s", error, extra=event("record_unreadable", job=job))
            return True

    def _submitted(self, provider: str) -> set[str]:
        folder = self._binder.settings.submissions
        if folder is None:
            return set()
        return {
            each.job
            for each in SubmissionFolder(folder).all()
            if each.request.provider == provider and each.job is not None
        }

    def _run_worker(self) -> None:
        try:
            self._work()
        finally:
            self._close_sources()

    def _work(self) -> None:
        while not self._queue.ended:
            job = self._queue.take(self._now())
            if job is None:
                self._queue.wait(self._pause())
                continue
            try:
                self._attempt(job)
            except StoppedError:
                return
            except Exception:
                # A bug fails this job, which is retried, and no other job.
                log.exception("job %s of %s failed", job.job, job.provider)
                self._metrics.attempted(job.provider, "fault")
                self._queue.add(job, self._now() + FAULT_RETRY)

    def _attempt(self, job: QueuedJob) -> None:
        account = self._accounts[job.provider]
        try:
            source = self._source(account).get()
        except (BinderError, SourceError) as error:
            # For example a credential that is being replaced; the account's status shows it.
            log.warning("job %s of %s waits: %s", job.job, job.provider, error)
            self._metrics.attempted(job.provider, Progress.PENDING.value)
            self._queue.add(job, self._now() + CLAIMED_RETRY)
            return
        record = self._binder.attempt(source, job.job, lambda _: self._check_open())
        if record is None:
            self._metrics.attempted(job.provider, "claimed")
            self._queue.add(job, self._now() + CLAIMED_RETRY)
            return
        self._metrics.attempted(job.provider, record.progress.value)
        self._metrics.known(record)
        if record.progress is Progress.BOUND:
            self._bound()
            return
        if record.progress is Progress.PENDING:
            self._source(account).close()  # the next attempt reads the credential again
        self._queue.add(job, datetime.fromisoformat(record.due))

    def _pause(self) -> float:
        due = self._queue.next_due()
        wait = _LONGEST_WAIT if due is None else (due - self._now()).total_seconds()
        return min(max(wait, 0.01), _LONGEST_WAIT)

    def _check_open(self) -> None:
        if self._queue.ended:
            raise StoppedError


def describe(record: JobRecord) -> dict[str, object]:
    """Return a job's record as JSON values, for people and programs."""
    return {
        "provider": record.provider,
        "job": record.job,
        "progress": record.progress.value,
        "reason": record.reason,
        "attempts": record.attempts,
        "due": None if record.progress is Progress.BOUND else record.due,
        "manifests": record.manifests,
    }
