"""A rule of the linter, and a finding: one place where a rule does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from envoy_extauthz_lint.node import ConfigNode


class Severity(Enum):
    """The severity of a finding."""

    ERROR = "error"
    """A request can pass unchecked, or with other content than was checked."""
    WARNING = "warning"
    """A protection against that is missing or weaker than it should be."""
    NOTE = "note"
    """Nothing can pass unchecked; operation or accounting is harder than it needs to be."""

    @property
    def rank(self) -> int:
        """Return the order of severities; 0 is the most severe."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class LintRule:
    """One requirement on a configuration.

    Attributes:
        id: Stable name.
        severity: Severity of its findings, unless a finding sets another one.
        summary: What is found, in a few words.
        rationale: What can happen because of it.
        remedy: What to write instead.
        softer: When a finding is less severe than ``severity``; empty where it never is.
        refs: Security advisories and Envoy issues.
        sealable: Whether the finding is a warning where a seal denies what skips the gate.
    """

    id: str
    severity: Severity
    summary: str
    rationale: str
    remedy: str
    softer: str = ""
    refs: tuple[str, ...] = ()
    sealable: bool = False

    def at(self, node: ConfigNode, message: str, severity: Severity | None = None) -> LintFinding:
        """Build a finding of this rule at ``node``."""
        weight = self.severity if severity is None else severity
        return LintFinding(self.id, weight, message, self.remedy, node.where, node.place, node.line)


SEALED = "; the seal denies such requests (403)"


def behind_seal(
    message: str, severity: Severity = Severity.ERROR, *, sealed: bool
) -> tuple[str, Severity]:
    """Return message and severity of what lets requests skip the gate.

    Args:
        message: The message without the seal.
        severity: The severity without the seal.
        sealed: Whether a seal that can be relied on denies such requests.
    """
    if not sealed or severity is not Severity.ERROR:
        return message, severity
    return message + SEALED, Severity.WARNING


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One place where a rule does not hold.

    Attributes:
        rule: Id of the rule.
        severity: Severity at this place.
        message: What is configured and what follows from it, in one sentence.
        remedy: What to write instead.
        where: The place in words, such as ``listener applications, route 1``.
        place: The place as a JSON pointer (RFC 6901) into the file.
        line: Line in the file, from 1; 0 where it is not known.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str
    where: str
    place: str
    line: int
