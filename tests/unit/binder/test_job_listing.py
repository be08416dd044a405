"""A listing reads no further than there is news, and from time to time everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.binder.job_listing import WHOLE_SECONDS, JobListing
from sidecar.binding.errors import BindingError
from sidecar.binding.source import JobPage, JobSource, JobState, ListedJob, SourceError

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


class Account:
    """An account of three jobs a page, newest first; counts the pages that were asked for."""

    newest_first = True

    def __init__(self, jobs: int) -> None:
        self.jobs = {f"job-{number:02}": JobState.SUCCEEDED for number in range(jobs)}
        self.asked = 0
        self.faults: dict[int, Exception] = {}

    def pages(self, _since: datetime, known: frozenset[str] = frozenset(), /) -> Iterator[JobPage]:
        names = sorted(self.jobs, reverse=self.newest_first)
        created = {name: CREATED + timedelta(days=n) for n, name in enumerate(sorted(self.jobs))}
        for number, start in enumerate(range(0, len(names), 3)):
            self.asked += 1
            fault = self.faults.get(number)
            if isinstance(fault, SourceError):
                raise fault
            found = tuple(
                ListedJob(
                    name, self.jobs[name], created[name], None if name in known else "5c" * 32
                )
                for name in names[start : start + 3]
            )
            yield JobPage(found, fault if isinstance(fault, BindingError) else None)


class Rounds:
    """Rounds over an account, by a clock that the test sets."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.clock = 0.0
        self.listing = JobListing(lambda: self.clock)

    def __call__(self) -> tuple[list[str], int]:
        """Make a round; return the jobs that have succeeded, and how many pages were read."""
        before = self.account.asked
        source: JobSource = self.account  # type: ignore[assignment]  # no other part is used
        found = list(self.listing.round(source, CREATED))
        assert {job.specification for job in found} <= {"5c" * 32}
        assert len({job.id for job in found}) == len(found)
        return sorted(job.id for job in found), self.account.asked - before


def test_a_round_ends_at_the_first_page_that_holds_nothing_new() -> None:
    account = Account(12)
    make = Rounds(account)
    names = sorted(account.jobs)
    assert [make(), make()] == [(names, 4), (names, 1)]
    account.jobs |= {f"job-{number}": JobState.SUCCEEDED for number in (12, 13, 14)}
    assert make() == (sorted(account.jobs), 2)


def test_a_job_that_runs_is_read_again_however_old_it_is() -> None:
    account = Account(12)
    account.jobs["job-04"] = JobState.RUNNING
    make = Rounds(account)
    first = make()
    assert (len(first[0]), first[1]) == (11, 4)
    assert make()[1] == 3
    account.jobs["job-04"] = JobState.SUCCEEDED
    assert make() == (sorted(account.jobs), 4)
    assert make()[1] == 1
    account.jobs["job-04"] = JobState.RUNNING  # a job that is gone while it runs is not waited for
    make.clock += WHOLE_SECONDS
    make()
    del account.jobs["job-04"]
    assert [make()[1], make()[1]] == [4, 1]


def test_a_listing_in_another_order_is_read_whole() -> None:
    account = Account(9)
    make = Rounds(account)
    account.newest_first = False
    make()
    account.jobs["job-09"] = JobState.SUCCEEDED
    assert [make(), make()] == [(sorted(account.jobs), 4)] * 2


def test_from_time_to_time_everything_is_read_and_nothing_believed() -> None:
    account = Account(6)
    make = Rounds(account)
    make()
    account.jobs["job-00-late"] = JobState.SUCCEEDED  # it was in no listing before
    assert "job-00-late" not in make()[0]
    make.clock += WHOLE_SECONDS
    assert make() == (sorted(account.jobs), 3)
    del account.jobs["job-05"]
    make.clock += WHOLE_SECONDS
    assert make()[0] == sorted(account.jobs)


def test_a_fault_hides_no_job_and_the_next_round_is_whole() -> None:
    account = Account(6)
    account.faults[1] = SourceError("HTTP 500")
    make = Rounds(account)
    found = make.listing.round(account, CREATED)  # type: ignore[arg-type]
    assert [next(found).id for _ in range(3)]
    with pytest.raises(SourceError):
        next(found)
    account.faults[1] = BindingError("no job")
    for _ in range(2):
        listed: list[str] = []
        with pytest.raises(BindingError):
            listed.extend(job.id for job in make.listing.round(account, CREATED))  # type: ignore[arg-type]
        assert sorted(listed) == sorted(account.jobs)
    del account.faults[1]
    assert [make()[1], make()[1]] == [2, 1]
