"""What is a gate and what is a provider in a configuration that does not say so.

The gate is a cluster: the one an operator names, else the one called ``gate``, else the one that
every ext_authz filter asks. A provider is a cluster by any of: an operator's word; a host that is
known; a route to it on which the gate is told a provider's name; a credential that Envoy adds on
the way to it. Every other cluster is merely *other*: a way to it without the gate is a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import (
    VALIDATION,
    addresses,
    endpoints,
    inside,
    members,
    socket,
    tls_contexts,
)
from envoy_extauthz_lint.config import Config
from envoy_extauthz_lint.matching import names_provider
from envoy_extauthz_lint.model import (
    EXT_AUTHZ,
    Destination,
    HttpFilter,
    ListenerFilter,
    Manager,
    NetworkFilter,
    RoutePath,
    context,
    listener_filters,
    managers,
    network_filters,
    off_for,
    route_paths,
)
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.options import LintOptions


@dataclass(frozen=True, eq=False)
class View:
    """A configuration seen with an operator's options; what every rule is given."""

    config: Config
    options: LintOptions

    @cached_property
    def managers(self) -> tuple[Manager, ...]:
        """Every HTTP connection manager."""
        return tuple(managers(self.config))

    @cached_property
    def route_paths(self) -> tuple[RoutePath, ...]:
        """Every route of every manager."""
        return tuple(route_path for manager in self.managers for route_path in route_paths(manager))

    @cached_property
    def concerned(self) -> frozenset[Manager]:
        """Managers that lead on through the gate, or to a provider or the next hop without it.

        Of the others only the ways are told: how tidy a listener is matters where the gate stands.
        """
        led = self.providers | self.options.next_hops
        unseen = {one for one in self.managers if self.gates(one) and not one.tables}
        return frozenset(
            unseen
            | {
                route_path.manager
                for route_path in self.route_paths
                for one in route_path.destinations
                if one.cluster in led
                or (one.cluster != self.gate_cluster and self.gates(route_path.manager))
            }
        )

    @cached_property
    def network_filters(self) -> tuple[NetworkFilter, ...]:
        """Every network filter that is no connection manager."""
        return tuple(network_filters(self.config))

    @cached_property
    def listener_filters(self) -> tuple[ListenerFilter, ...]:
        """Every listener filter, those of UDP listeners included."""
        return tuple(listener_filters(self.config))

    # ---- The gate --------------------------------------------------------------------------------

    @cached_property
    def gate_cluster(self) -> str:
        """Name of the gate's cluster; empty where it cannot be told."""
        if self.options.gate_cluster:
            return self.options.gate_cluster
        if "gate" in self.config.clusters:
            return "gate"
        asked = {asks(found) for manager in self.managers for found in authorisers(manager)}
        return asked.pop() if len(asked) == 1 else ""

    def is_gate(self, found: HttpFilter) -> bool:
        """Whether an HTTP filter asks the gate; every ext_authz does where that cannot be told."""
        return found.kind == EXT_AUTHZ and self.gate_cluster in {"", asks(found)}

    def gates(self, manager: Manager) -> list[HttpFilter]:
        """The gate's filters in a manager."""
        return [found for found in manager.filters if self.is_gate(found)]

    def guarded(self, route_path: RoutePath, destination: Destination) -> HttpFilter | None:
        """The gate's filter that is asked on this way; null where none is."""
        for gate in self.gates(route_path.manager):
            if off_for(gate, destination.levels) is None:
                return gate
        return None

    # ---- Providers -------------------------------------------------------------------------------

    def is_provider_host(self, host: str) -> bool:
        """Whether a host is a provider's."""
        return names_provider(host, self.options.provider_hosts)

    @cached_property
    def hosted(self) -> frozenset[str]:
        """Clusters that are providers by an operator's word or by their hosts."""
        named = {
            name
            for name, cluster in self.config.clusters.items()
            if any(self.is_provider_host(host) for host in self.hosts(cluster))
        }
        for route_path in self.route_paths:
            written = (
                "" if route_path.action is None else route_path.action.text("host_rewrite_literal")
            )
            if self.is_provider_host(written):
                named |= {one.cluster for one in route_path.destinations if one.cluster}
        return self._with_members(named | self.options.provider_clusters)

    def hosts(self, cluster: ConfigNode) -> list[str]:
        """Every name under which a cluster's endpoints are known: addresses, host names, SNI."""
        assignment = self.config.assignment(cluster)
        names = addresses(assignment) + [one.text("hostname") for one in endpoints(assignment)]
        return names + [context.text("sni") for context in tls_contexts(cluster)]

    def _with_members(self, names: set[str] | frozenset[str]) -> frozenset[str]:
        """With the clusters that lead to these, and those that these lead to (aggregates)."""
        found = set(names)
        links = {name: members(cluster) for name, cluster in self.config.clusters.items()}
        while True:
            more = {name for name, inner in links.items() if found & set(inner)}
            more |= {one for name in found for one in links.get(name, ())}
            if more <= found:
                return frozenset(found)
            found |= more

    @cached_property
    def providers(self) -> frozenset[str]:
        """Clusters that are providers for whatever reason."""
        found = set(self.hosted)
        for route_path in self.route_paths:
            keyed = adds_credential(route_path.manager)
            for one in route_path.destinations:
                text = any(
                    context(gate, one.levels).get("provider")
                    for gate in self.gates(route_path.manager)
                )
                if one.cluster and (keyed or text):
                    found.add(one.cluster)
        return self._with_members(found) - self.options.next_hops - {self.gate_cluster, ""}

    def leads_to_gate(self, cluster: str) -> bool:
        """Whether a cluster is the gate, another Envoy that has it, or a listener judged here."""
        known = self.options.next_hops | self.inside | {self.gate_cluster}
        return bool(cluster) and cluster in known

    @cached_property
    def inside(self) -> frozenset[str]:
        """Clusters that are listeners of this very file, whose own ways are told."""
        there = {listener.text("name") for listener in self.config.listeners}
        led = {
            name: inside(self.config.assignment(cluster))
            for name, cluster in self.config.clusters.items()
        }
        return frozenset(name for name, names in led.items() if names and there.issuperset(names))

    def is_provider(self, cluster: str) -> bool:
        """Whether a cluster is a provider."""
        return cluster in self.providers


def authorisers(manager: Manager) -> list[HttpFilter]:
    """Every ext_authz filter of a manager."""
    return [found for found in manager.filters if found.kind == EXT_AUTHZ]


def asks(found: HttpFilter) -> str:
    """What an ext_authz or ext_proc filter asks: a cluster, or a target of google_grpc."""
    return service(found.config)


def service(config: ConfigNode) -> str:
    """The cluster or target in a ``grpc_service`` or ``http_service``; empty where none is told."""
    for path in (
        ("grpc_service", "envoy_grpc", "cluster_name"),
        ("grpc_service", "google_grpc", "target_uri"),
        ("http_service", "server_uri", "cluster"),
        ("http_service", "http_service", "http_uri", "cluster"),
    ):
        held = config.at(*path)
        if held is not None:
            return held.string()
    return ""


def adds_credential(manager: Manager) -> bool:
    """Whether Envoy adds a provider's credential to what this manager lets through."""
    return any(found.kind in filters.CREDENTIALS for found in manager.filters)


def client_certificates(chain: ConfigNode) -> bool:
    """Whether clients of a filter chain are asked for a certificate."""
    context = socket(chain).tls
    if context is None:
        return False
    common = context.get("common_tls_context")
    return context.flag("require_client_certificate") or (
        common is not None and common.has(*VALIDATION)
    )
