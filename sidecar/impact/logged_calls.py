"""Reads decision logs: which calls were admitted, from which environments, and when.

Only admitted calls are counted: a withdrawal stops no other. A line that is not a decision, such as
one of the gate's own log in the same stream, is counted and left out; so is a decision of which the
log holds a part only (texts of over 512 characters, lists of over 64).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.core.call import Call
from sidecar.impact.possible_calls import EnvironmentCall

MAX_LINE_BYTES = 1 << 20
MAX_USES = 100_000
MAX_ITEMS = 64
"""Length from which on a list of the log may lack items; see ``observe.decision_record``."""
_CUT = "…"


@dataclass(frozen=True, slots=True)
class CallCount:
    """How many calls, and when the first and the last of them was decided."""

    calls: int
    first: datetime
    last: datetime

    def plus(self, other: CallCount) -> CallCount:
        """Return the two together."""
        first, last = min(self.first, other.first), max(self.last, other.last)
        return CallCount(self.calls + other.calls, first, last)


@dataclass(slots=True)
class LoggedCalls:
    """What decision logs hold since an instant.

    Attributes:
        since: Decisions before it are left out.
        uses: Each use with its admitted calls; at most ``MAX_USES``.
        files: How many files were read.
        decisions: Decisions in the period, admitted or denied.
        older: Decisions before ``since``.
        others: Lines that are no decision.
        incomplete: Admitted calls that the log holds a part of, or of uses beyond ``MAX_USES``.
    """

    since: datetime
    uses: dict[EnvironmentCall, CallCount] = field(default_factory=dict)
    files: int = 0
    decisions: int = 0
    older: int = 0
    others: int = 0
    incomplete: int = 0

    def read(self, path: Path) -> None:
        """Read one file, line by line.

        Raises:
            OSError: It cannot be read.
        """
        with path.open("rb") as file:
            self.files += 1
            whole = True
            while line := file.readline(MAX_LINE_BYTES):
                starts, whole = whole, line.endswith(b"\n")
                if starts:
                    self.add(line)

    def add(self, line: bytes) -> None:
        """Count one line."""
        try:
            value = json.loads(line)
            at = datetime.fromisoformat(value["time"])
            admitted = {"allow": True, "deny": False}[value["outcome"]]
            before = at < self.since
        except (ValueError, KeyError, TypeError, RecursionError):
            self.others += 1
            return
        if before:
            self.older += 1
            return
        self.decisions += 1
        if not admitted:
            return
        use = use_of(value)
        if use is None or (use not in self.uses and len(self.uses) >= MAX_USES):
            self.incomplete += 1
            return
        known, one = self.uses.get(use), CallCount(1, at, at)
        self.uses[use] = one if known is None else known.plus(one)


def read(paths: Iterable[Path], since: datetime) -> LoggedCalls:
    """Read several files.

    Raises:
        OSError: One of them cannot be read.
    """
    seen = LoggedCalls(since)
    for path in paths:
        seen.read(path)
    return seen


def use_of(value: Mapping[str, Any]) -> EnvironmentCall | None:
    """Return what a line is about; ``None`` where it is no call, or holds a part of one only."""
    try:
        named, tuned = _texts(value["models"]), _texts(value["tuned"])
        call = Call(
            provider=_text(value["provider"]),
            operation=_text(value["operation"]),
            models=tuple(name for name in named if name not in tuned),
            tuned=tuned,
            deployments=_texts([each["name"] for each in value["deployments"]]),
            specification=None if value["specification"] is None else _text(value["specification"]),
            modelless=not named,
            sandbox=value.get("sandbox", False) is True,
        )
        return EnvironmentCall(_text(value["environment"]), call)
    except (KeyError, TypeError, ValueError):
        return None


def _texts(values: list[Any]) -> tuple[str, ...]:
    if len(values) >= MAX_ITEMS:
        raise ValueError("may lack items")
    return tuple(_text(value) for value in values)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or value.endswith(_CUT):
        raise ValueError("no text, or a part of one")
    return value
