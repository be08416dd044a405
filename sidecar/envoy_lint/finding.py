"""What a rule is, and what it found where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sidecar.envoy_lint.node import Node


class Severity(Enum):
    """How much a finding weighs."""

    ERROR = "error"
    """A request can pass unchecked, or with other content than was checked."""
    WARNING = "warning"
    """What keeps that from happening is weaker than it should be."""
    NOTE = "note"
    """Nothing is open; something is harder to run or to account for."""

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold, told to those who must mend it.

    Attributes:
        id: Stable name.
        severity: Of its findings, unless one says otherwise.
        what: What is found, in a few words.
        why: What it lets happen.
        mend: What to write instead.
        softer: When a finding weighs less than ``severity``; empty where it never does.
        refs: Advisories, and Envoy's own issues.
    """

    id: str
    severity: Severity
    what: str
    why: str
    mend: str
    softer: str = ""
    refs: tuple[str, ...] = ()

    def at(self, node: Node, message: str, severity: Severity | None = None) -> Finding:
        """A finding of this rule at ``node``."""
        weight = self.severity if severity is None else severity
        return Finding(self.id, weight, message, node.where, node.place, node.line)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule does not hold.

    Attributes:
        rule: Id of the rule.
        severity: How much it weighs here.
        message: What is there and what follows from it, in one sentence.
        where: The place in words.
        place: The place as a JSON pointer into the file.
        line: In the file, from 1; 0 where it is not known.
    """

    rule: str
    severity: Severity
    message: str
    where: str
    place: str
    line: int
