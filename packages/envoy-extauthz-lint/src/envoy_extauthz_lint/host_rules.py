"""Find unnamed public hosts behind routes for model calls (family ``bypass``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity, behind_seal
from envoy_extauthz_lint.model import Destination, RoutePath
from envoy_extauthz_lint.provider_hosts import is_public
from envoy_extauthz_lint.view import View

UNKNOWN_HOST = LintRule(
    "bypass-unknown-host",
    Severity.ERROR,
    "a route that looks like one for model calls leads to an unknown public host without the gate",
    "The host may be a provider that is not among the known ones: its path is one of model calls, "
    "or its virtual host has such a route.",
    "Put the gate before the route and pass `--provider-host HOST`; where the host serves no "
    "model, pass `--not-a-provider HOST`.",
    sealable=True,
)

RULES = (UNKNOWN_HOST,)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for route_path in view.route_paths:
        for one in route_path.destinations:
            hosts = unknown_hosts(view, route_path, one)
            if hosts and view.active_gate(route_path, one) is None:
                sealed = view.sealed(route_path.manager, one.levels)
                text = f"cluster {one.cluster} ({hosts[0]}) is reached without the gate"
                yield UNKNOWN_HOST.at(one.node, *behind_seal(text, sealed=sealed))


def unknown_hosts(view: View, route_path: RoutePath, destination: Destination) -> list[str]:
    """Return public hosts behind a route that looks like one for model calls, if not named.

    Empty where the cluster is a provider, which is reported as such, or leads to the gate.
    """
    name = destination.cluster
    if not name or view.is_provider(name) or view.leads_to_gate(name):
        return []
    cluster = view.config.clusters.get(name)
    hosts = [] if cluster is None else view.hosts(cluster)
    if route_path.action is not None:
        hosts = [route_path.action.text("host_rewrite_literal"), *hosts]
    found = [host for host in hosts if is_public(host) and not view.is_no_provider(host)]
    return found if route_path.host.path in view.hosts_for_calls else []
