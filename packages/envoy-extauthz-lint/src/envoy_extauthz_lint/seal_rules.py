"""Check the seal, the RBAC filter that passes only what the gate admitted (family ``seal``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import seal
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.model import HttpFilter, Manager
from envoy_extauthz_lint.view import View

WARNING, NOTE = Severity.WARNING, Severity.NOTE

MISSING = LintRule(
    "seal-missing",
    WARNING,
    "no RBAC filter behind the gate requires its metadata",
    "Any mistake that lets a request skip the gate (fail-open, shadow mode, `disabled` on a route, "
    "a chain without the filter) then admits it.",
    "Directly behind ext_authz an RBAC filter with action ALLOW whose policy requires the boolean "
    "that the gate sets in the dynamic metadata of an allow (`sourced_metadata`, filter "
    "`envoy.filters.http.ext_authz`, `bool_match: true`) and the gate's name.",
)
POLICY = LintRule(
    "seal-policy",
    WARNING,
    "the seal passes more than what the gate admitted",
    "A policy without the metadata, another action or a matcher lets other requests pass.",
    "`action: ALLOW` and only policies that require the gate's metadata; exempt no path.",
    softer="note where it only lacks the gate's name",
)
MISPLACED = LintRule(
    "seal-misplaced",
    WARNING,
    "the seal is not directly behind the gate",
    "Before the gate it denies every request; behind a filter that runs code, adds a credential or "
    "forwards, that filter already acts on what was not admitted.",
    "Put the RBAC filter directly behind ext_authz.",
)
FORGEABLE = LintRule(
    "seal-forgeable",
    WARNING,
    "another filter can write the metadata that the seal requires",
    "Envoy uses one namespace for every ext_authz filter, and some filters write where they are "
    "configured to: what the gate did not admit could pass the seal.",
    "Require the gate's name in the seal; let no filter write `envoy.filters.http.ext_authz`.",
)
DISABLED = LintRule(
    "seal-disabled",
    WARNING,
    "a route disables or replaces the seal",
    "On this route a mistake about the gate admits requests.",
    "Remove the settings of the seal's filter from the route. Answer health checks with the "
    "`health_check` filter before the gate, or on another listener.",
)

RULES = (MISSING, POLICY, MISPLACED, FORGEABLE, DISABLED)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family; none where the gate sets no metadata."""
    if not view.options.seal_keys:
        return
    for manager in view.managers:
        found = seal.find(manager.filters, view.options)
        if found is not None:
            yield from _seal(view, manager, found)
            yield from _routes(view, manager, found)
        elif manager in view.relevant_managers and (gates := view.gates(manager)):
            yield MISSING.at(gates[0].node, "no seal: a request that skips the gate is admitted")


def _seal(view: View, manager: Manager, found: HttpFilter) -> Iterator[LintFinding]:
    gates = view.gates(manager)
    named = seal.names_gate(found, view.options)
    if (problem := seal.policy(found.config, view.options)) is not None:
        yield POLICY.at(problem.node, problem.message)
    elif not named:
        message = "the seal does not require the gate's name, so it accepts another gate's allow"
        yield POLICY.at(found.config, message, NOTE)
    if (problem := seal.placement(manager.filters, found, gates)) is not None:
        yield MISPLACED.at(problem.node, problem.message)
    for one in seal.forgery(manager, manager.filters, found, gates, view.options):
        yield FORGEABLE.at(one.node, one.message)


def _routes(view: View, manager: Manager, found: HttpFilter) -> Iterator[LintFinding]:
    for route_path in view.route_paths:
        if route_path.manager is not manager:
            continue
        for one in route_path.destinations:
            how = seal.disabled(found, one.levels, view.options)
            if how and not view.leads_to_gate(one.cluster):
                yield DISABLED.at(one.node, f"the seal is {how} on this route")
