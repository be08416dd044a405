"""What in an Envoy configuration would let a request pass unchecked.

Theory of operation
-------------------
``document`` turns bytes into a tree with lines, ``node`` reads it as protobuf's JSON form is read,
``config`` takes a bootstrap or a dump apart, ``model`` walks every way a request can take, and
``view`` says which cluster is the gate and which ones are providers. Each ``…_rules`` module is
one family: its rules with their reasons, and a ``check`` that yields what it found. Nothing here
opens a file, asks a network or keeps anything: bytes in, findings out.

What cannot be checked is a finding. What Envoy would refuse to start with is an error of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from envoy_extauthz_lint import (
    admin_rules,
    bypass_rules,
    cluster_rules,
    gate_headers,
    gate_rules,
    key_rules,
    order_rules,
    path_rules,
    trust_rules,
    unchecked_rules,
)
from envoy_extauthz_lint.config import load
from envoy_extauthz_lint.document import LintError, read
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.options import LintOptions
from envoy_extauthz_lint.view import View

__all__ = [
    "FAMILIES",
    "RULES",
    "LintError",
    "LintFinding",
    "LintOptions",
    "LintReport",
    "LintRule",
    "Severity",
    "lint",
]

FAMILIES = (
    gate_rules,
    gate_headers,
    bypass_rules,
    order_rules,
    path_rules,
    trust_rules,
    key_rules,
    cluster_rules,
    admin_rules,
    unchecked_rules,
)

RULES: tuple[LintRule, ...] = tuple(rule for family in FAMILIES for rule in family.RULES)
"""Every rule, family by family."""


@dataclass(frozen=True, slots=True)
class LintReport:
    """What was checked, and what was found.

    Attributes:
        findings: The gravest first, then in the order of the file; each finding once.
        dumped: Whether the file is a configuration dump.
        listeners: How many listeners there are.
        routes: How many routes.
        gate: Name of the gate's cluster; empty where it cannot be told.
        providers: Names of clusters that are providers.
    """

    findings: tuple[LintFinding, ...]
    dumped: bool
    listeners: int
    routes: int
    gate: str
    providers: tuple[str, ...]

    def count(self, severity: Severity) -> int:
        """How many findings have this weight."""
        return sum(one.severity is severity for one in self.findings)

    def fails(self, at_least: Severity) -> bool:
        """Whether a finding is at least this grave."""
        return any(one.severity.rank <= at_least.rank for one in self.findings)


def lint(data: bytes, options: LintOptions) -> LintReport:
    """Check a configuration.

    Args:
        data: A bootstrap (YAML or JSON), or the JSON of an admin interface's ``/config_dump``.
        options: What the file does not state about the gate and the providers.

    Raises:
        LintError: The file cannot be read as either.
    """
    view = View(load(read(data)), options)
    try:
        found = {finding: None for family in FAMILIES for finding in family.check(view)}
    except RecursionError as error:
        raise LintError("nested deeper than can be followed") from error
    return LintReport(
        findings=tuple(sorted(found, key=lambda one: (one.severity.rank, one.line))),
        dumped=view.config.dumped,
        listeners=len(view.config.listeners),
        routes=len(view.route_paths),
        gate=view.gate_cluster,
        providers=tuple(sorted(view.providers)),
    )
