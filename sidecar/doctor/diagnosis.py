"""Defines the finding of a check, and relates findings to their causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """The state of a checked part."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the report.

    Attributes:
        name: The checked part.
        state: Its state.
        detail: What was found.
        remedy: What to do; empty if nothing.
        follows: Names of the parts whose failure would explain this one; in a report, the part that
            does.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""
    follows: tuple[str, ...] = ()


def ok(name: str, detail: str) -> Diagnosis:
    """Return a finding without a problem."""
    return Diagnosis(name, State.OK, detail)


def warn(name: str, detail: str, remedy: str) -> Diagnosis:
    """Return a finding of a part that works, but needs attention."""
    return Diagnosis(name, State.WARN, detail, remedy)


def fail(name: str, detail: str, remedy: str, follows: tuple[str, ...] = ()) -> Diagnosis:
    """Return a finding of a failure, which a failure of one of ``follows`` may explain."""
    return Diagnosis(name, State.FAIL, detail, remedy, follows)


def explained(found: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return the findings, with each failure that follows from another naming that one.

    So each cause is reported once with its remedy; no finding is removed. Where the other one
    follows from a third, the third is named: the one to begin with.
    """
    failed = {one.name: one for one in found if one.state is State.FAIL}

    def cause_of(one: Diagnosis, seen: frozenset[str]) -> str | None:
        named = (name for name in one.follows if name in failed and name not in seen)
        cause = next(named, None)
        if cause is None:
            return None
        return cause_of(failed[cause], seen | {cause}) or cause

    def pointed(one: Diagnosis) -> Diagnosis:
        cause = cause_of(one, frozenset({one.name}))
        if cause is None:
            return replace(one, follows=())
        return replace(
            one, remedy=f"Fix “{cause}” first, then run the doctor again.", follows=(cause,)
        )

    return tuple(pointed(one) for one in found)


def causes(found: Sequence[Diagnosis]) -> list[str]:
    """Return the names of failures with no other cause, each once, in the report's order."""
    alone = (one.name for one in found if one.state is State.FAIL and not one.follows)
    return list(dict.fromkeys(alone))
