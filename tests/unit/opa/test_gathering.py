"""The wait for others: for as many as were seen together, bounded, and never for one alone."""

from __future__ import annotations

from sidecar.opa.gathering import Gathering


def test_one_caller_after_another_never_waits() -> None:
    gathering = Gathering(0.5)
    assert gathering.until(1, 100.0) is None
    gathering.ended(1, 100.0)
    assert gathering.until(1, 100.0) is None


def test_as_many_as_were_seen_together_are_waited_for_and_no_longer_than_the_bound() -> None:
    gathering = Gathering(0.5)
    gathering.ended(3, 100.0)
    due = 100.5
    assert [gathering.until(callers, 100.0) for callers in (1, 2, 3, 4)] == [due, due, None, None]
    assert gathering.until(1, due) is None


def test_fewer_callers_are_waited_for_once_only() -> None:
    gathering = Gathering(0.5)
    gathering.ended(3, 100.0)
    gathering.ended(1, 101.0)
    assert gathering.until(1, 101.0) is None
