"""Find what in an Envoy configuration lets a request pass without ext_authz.

Theory of operation
-------------------
``document`` parses bytes into a tree with line numbers. ``node`` reads the tree by the rules of
protobuf's JSON form. ``config`` splits a bootstrap or a dump into listeners, clusters and routes.
``model`` lists every path of a request through them. ``view`` decides which cluster is the gate
(the service that ext_authz asks) and which are providers (upstreams that must be reached through
it only). Each ``…_rules`` module is one family: its rules with their reasons, and a ``check`` that
yields findings. Nothing here opens a file or a connection, or keeps state: bytes in, findings out.

What cannot be checked is a finding. What Envoy would refuse to load is an error of the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from envoy_extauthz_lint import (
    admin_rules,
    bypass_rules,
    cluster_rules,
    exposure_rules,
    gate_headers,
    gate_rules,
    host_rules,
    key_rules,
    order_rules,
    path_rules,
    seal_rules,
    trust_rules,
    unchecked_rules,
)
from envoy_extauthz_lint.config import load
from envoy_extauthz_lint.document import LintError, read
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.names import unknown_names
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
    "unknown_names",
]

FAMILIES = (
    gate_rules,
    gate_headers,
    seal_rules,
    bypass_rules,
    host_rules,
    order_rules,
    path_rules,
    trust_rules,
    key_rules,
    exposure_rules,
    cluster_rules,
    admin_rules,
    unchecked_rules,
)

RULES: tuple[LintRule, ...] = tuple(rule for family in FAMILIES for rule in family.RULES)
"""Every rule, family by family."""


@dataclass(frozen=True, slots=True)
class LintReport:
    """The findings of one file, and what the file holds.

    Attributes:
        findings: Most severe first, then in the order of the file; each finding once.
        dumped: Whether the file is a configuration dump.
        listeners: How many listeners there are.
        routes: How many routes.
        gate: Name of the gate's cluster; empty where it was not found.
        providers: Names of clusters that are providers.
        clusters: Names of clusters that the file defines or leads to.
        hosts: Hosts that they lead to.
        types: Types of all filters and other extensions that it names.
    """

    findings: tuple[LintFinding, ...]
    dumped: bool
    listeners: int
    routes: int
    gate: str
    providers: tuple[str, ...]
    clusters: tuple[str, ...]
    hosts: tuple[str, ...]
    types: tuple[str, ...]

    def count(self, severity: Severity) -> int:
        """Count the findings of a severity."""
        return sum(one.severity is severity for one in self.findings)

    def fails(self, at_least: Severity) -> bool:
        """Return whether any finding is at least this severe."""
        return any(one.severity.rank <= at_least.rank for one in self.findings)


def lint(data: bytes, options: LintOptions) -> LintReport:
    """Check a configuration against every rule.

    Args:
        data: A bootstrap (YAML or JSON), the JSON of an admin interface's ``/config_dump``, or what
            Envoy Gateway's ``egctl experimental translate --to xds`` prints for one gateway.
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
        routes=sum(not one.manager.upgraded for one in view.route_paths),
        gate=view.gate_cluster,
        providers=tuple(sorted(view.providers)),
        clusters=tuple(sorted(view.cluster_names)),
        hosts=tuple(sorted(view.all_hosts)),
        types=tuple(sorted(view.types)),
    )
