"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        state: How it stands.
        detail: What was seen.
        remedy: What would mend it; empty where nothing is to be done.
        follows: Names of what would explain it, were that not in order; in a report, the one that
            does.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""
    follows: tuple[str, ...] = ()


def ok(name: str, detail: str) -> Finding:
    """In order."""
    return Finding(name, State.OK, detail)


def warn(name: str, detail: str, remedy: str) -> Finding:
    """Works, but needs attention."""
    return Finding(name, State.WARN, detail, remedy)


def fail(name: str, detail: str, remedy: str, follows: tuple[str, ...] = ()) -> Finding:
    """Not in order; perhaps only because one of ``follows`` is not."""
    return Finding(name, State.FAIL, detail, remedy, follows)


def explained(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """The same, with what only follows from another failure pointing at that one.

    So each cause is told once, with what mends it; no finding goes away.
    """
    failed = {one.name for one in found if one.state is State.FAIL}

    def pointed(one: Finding) -> Finding:
        cause = next((name for name in one.follows if name in failed), None)
        if cause is None:
            return replace(one, follows=())
        return replace(one, remedy=f"Mend “{cause}” first, then look again.", follows=(cause,))

    return tuple(pointed(one) for one in found)


def causes(found: Sequence[Finding]) -> list[str]:
    """Names of what failed by itself, each once, in the order of the report."""
    alone = (one.name for one in found if one.state is State.FAIL and not one.follows)
    return list(dict.fromkeys(alone))
