"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


def ok(name: str, detail: str) -> Finding:
    """In order."""
    return Finding(name, State.OK, detail)


def warn(name: str, detail: str, remedy: str) -> Finding:
    """Works, but needs attention."""
    return Finding(name, State.WARN, detail, remedy)


def fail(name: str, detail: str, remedy: str) -> Finding:
    """Not in order."""
    return Finding(name, State.FAIL, detail, remedy)
