"""Decide which cluster is the gate, and which clusters are providers.

The gate is a cluster: the one in the options, else the one called ``gate``, else the only one that
ext_authz filters ask. A cluster is a provider by any of: the options; its host; a route to it with
``context_extensions.provider``; a credential that Envoy adds to requests for it. A route to any
other cluster without the gate is a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from envoy_extauthz_lint import seal
from envoy_extauthz_lint.cluster import (
    VALIDATION,
    addresses,
    endpoints,
    internal_listeners,
    members,
    socket,
    tls_contexts,
)
from envoy_extauthz_lint.config import Config
from envoy_extauthz_lint.credentials import Adder, cluster_adders, route_adders
from envoy_extauthz_lint.known_providers import KNOWN_HOSTS
from envoy_extauthz_lint.matching import looks_like_calls, names_provider
from envoy_extauthz_lint.model import (
    EXT_AUTHZ,
    Destination,
    HttpFilter,
    ListenerFilter,
    Manager,
    NetworkFilter,
    RoutePath,
    context_extensions,
    disabled_by,
    listener_filters,
    managers,
    network_filters,
    route_paths,
)
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.options import LintOptions
from envoy_extauthz_lint.proxies import datagram_clusters, network_clusters


@dataclass(frozen=True, eq=False)
class View:
    """A configuration with the options of the check; the input of every rule."""

    config: Config
    options: LintOptions

    @cached_property
    def managers(self) -> tuple[Manager, ...]:
        """HTTP connection managers of all listeners."""
        return tuple(managers(self.config))

    @cached_property
    def route_paths(self) -> tuple[RoutePath, ...]:
        """Routes of all connection managers."""
        return tuple(route_path for manager in self.managers for route_path in route_paths(manager))

    @cached_property
    def relevant_managers(self) -> frozenset[Manager]:
        """Managers with a route through the gate, or to a provider or a next hop.

        Of others only the routes are reported: their settings have no effect on the gate.
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
    def cluster_names(self) -> frozenset[str]:
        """Names of clusters that the file defines, or that something in it leads to."""
        asked = [authz_service(found) for one in self.managers for found in authz_filters(one)]
        routed = [one.cluster for route_path in self.route_paths for one in route_path.destinations]
        passed = [name for one in self.network_filters for name in network_clusters(one)]
        passed += [name for one in self.listener_filters for name in datagram_clusters(one)]
        return frozenset((*self.config.clusters, *asked, *routed, *passed)) - {""}

    @cached_property
    def types(self) -> frozenset[str]:
        """Types of all extensions that the file names, discovered ones included."""
        found = set[str]()
        for node in self.config.top.descendants():
            if isinstance(node.raw.value, dict):
                found.add(node.typed()[0])
                found |= {one.string().rpartition("/")[2] for one in node.items("type_urls")}
        return frozenset(found - {""})

    @cached_property
    def network_filters(self) -> tuple[NetworkFilter, ...]:
        """Network filters other than connection managers."""
        return tuple(network_filters(self.config))

    @cached_property
    def listener_filters(self) -> tuple[ListenerFilter, ...]:
        """Listener filters, those of UDP listeners included."""
        return tuple(listener_filters(self.config))

    # ---- The gate --------------------------------------------------------------------------------

    @cached_property
    def gate_cluster(self) -> str:
        """Name of the gate's cluster; empty where it is ambiguous."""
        if self.options.gate_cluster:
            return self.options.gate_cluster
        if "gate" in self.config.clusters:
            return "gate"
        asked = {
            authz_service(found)
            for manager in self.managers
            for found in authz_filters(manager)
            if self.runs(manager, found)
        }
        return asked.pop() if len(asked) == 1 else ""

    def runs(self, manager: Manager, *found: HttpFilter) -> bool:
        """Return whether filters of a manager can run on one request.

        One that is ``disabled`` in the chain runs only on routes with settings for it. Where routes
        are not in the file, any filter can.
        """
        levels = [
            one.levels
            for route_path in self.route_paths_of.get(manager, [])
            for one in route_path.destinations
        ]
        if not levels:
            return True
        return any(all(disabled_by(one, each) is None for one in found) for each in levels)

    @cached_property
    def route_paths_of(self) -> dict[Manager, list[RoutePath]]:
        """Routes by connection manager."""
        found: dict[Manager, list[RoutePath]] = {}
        for route_path in self.route_paths:
            found.setdefault(route_path.manager, []).append(route_path)
        return found

    def is_gate(self, found: HttpFilter) -> bool:
        """Return whether a filter calls the gate; every ext_authz does where that is ambiguous."""
        return found.kind == EXT_AUTHZ and self.gate_cluster in {"", authz_service(found)}

    def gates(self, manager: Manager) -> list[HttpFilter]:
        """Return the gate's filters in a manager."""
        return [found for found in manager.filters if self.is_gate(found)]

    def active_gate(self, route_path: RoutePath, destination: Destination) -> HttpFilter | None:
        """Return the gate's filter that is enabled on a route; None where none is."""
        for gate in self.gates(route_path.manager):
            if disabled_by(gate, destination.levels) is None:
                return gate
        return None

    # ---- The seal --------------------------------------------------------------------------------

    def sealed_chain(self, manager: Manager, chain: tuple[HttpFilter, ...]) -> HttpFilter | None:
        """Return the seal of a chain of filters that can be relied on; None where there is none."""
        found = seal.find(chain, self.options)
        if found is None or seal.policy(found.config, self.options) is not None:
            return None
        gates = [one for one in chain if self.is_gate(one)]
        if seal.placement(chain, found, gates) is not None or seal.preceded(chain, found):
            return None
        if not self.gate_cluster and not (
            self.options.seal_gate_key and seal.names_gate(found, self.options)
        ):
            return None
        if any(seal.forgery(manager, chain, found, gates, self.options)):
            return None
        return found

    @cached_property
    def seals(self) -> dict[Manager, HttpFilter]:
        """Seals that can be relied on, by manager; routes may still disable them."""
        found = {one: self.sealed_chain(one, one.filters) for one in self.managers}
        return {manager: held for manager, held in found.items() if held is not None}

    def sealed(self, manager: Manager, levels: tuple[ConfigNode, ...]) -> bool:
        """Return whether a request on a route passes only if the gate admitted it."""
        found = self.seals.get(manager)
        return found is not None and not seal.disabled(found, levels, self.options)

    def sealed_everywhere(self, manager: Manager) -> bool:
        """Return whether this holds for every route of a manager, which must all be known."""
        tables = manager.tables
        open_ended = any(
            table.has("vhds")
            or any(
                route.has("route_specifiers")
                for host in table.items("virtual_hosts")
                for route in host.items("routes")
            )
            for table in tables
        )
        return (
            bool(tables)
            and not open_ended
            and all(
                self.sealed(manager, one.levels)
                for route_path in self.route_paths
                if route_path.manager is manager
                for one in route_path.destinations
            )
        )

    # ---- Providers -------------------------------------------------------------------------------

    def is_provider_host(self, host: str) -> bool:
        """Return whether a host is a provider's."""
        known = (*self.options.provider_hosts, *KNOWN_HOSTS)
        return names_provider(host, known) and not self.is_no_provider(host)

    def is_no_provider(self, host: str) -> bool:
        """Return whether the options state that a host serves no model."""
        return names_provider(host, self.options.not_providers)

    @cached_property
    def hosted_providers(self) -> frozenset[str]:
        """Clusters that are providers by the options or by their hosts."""
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
        """Return every name of a cluster's endpoints: addresses, host names, SNI."""
        assignment = self.config.assignment(cluster)
        names = addresses(assignment) + [one.text("hostname") for one in endpoints(assignment)]
        return names + [context.text("sni") for context in tls_contexts(cluster)]

    @cached_property
    def all_hosts(self) -> frozenset[str]:
        """Every host that a cluster or a route leads to."""
        found = {host for cluster in self.config.clusters.values() for host in self.hosts(cluster)}
        found |= {
            route_path.action.text("host_rewrite_literal")
            for route_path in self.route_paths
            if route_path.action is not None
        }
        return frozenset(found - {""})

    def _with_members(self, names: set[str] | frozenset[str]) -> frozenset[str]:
        """Add the aggregates that lead to these clusters, and the members of those among them."""
        found = set(names)
        links = {name: members(cluster) for name, cluster in self.config.clusters.items()}
        while True:
            more = {name for name, inner in links.items() if found & set(inner)}
            more |= {one for name in found for one in links.get(name, ())}
            if more <= found:
                return frozenset(found)
            found |= more

    @cached_property
    def keyed_clusters(self) -> dict[str, list[Adder]]:
        """What the upstream filters of each cluster add to its requests."""
        clusters = self.config.clusters.items()
        return {name: cluster_adders(cluster, self.config.filters) for name, cluster in clusters}

    def adders(self, manager: Manager, destination: Destination) -> list[Adder]:
        """Return what adds a credential to requests for a destination."""
        upstream = self.keyed_clusters.get(destination.cluster, [])
        return [*route_adders(manager, destination.levels), *upstream]

    @cached_property
    def providers(self) -> frozenset[str]:
        """Clusters that are providers for any reason."""
        found = self.hosted_providers | {name for name, held in self.keyed_clusters.items() if held}
        for route_path in self.route_paths:
            for one in route_path.destinations:
                keyed = self.adders(route_path.manager, one)
                text = any(
                    context_extensions(gate, one.levels).get("provider")
                    for gate in self.gates(route_path.manager)
                )
                if one.cluster and (keyed or text):
                    found |= {one.cluster}
        return self._with_members(found) - self.options.next_hops - {self.gate_cluster, ""}

    @cached_property
    def hosts_for_calls(self) -> frozenset[tuple[str | int, ...]]:
        """Places of virtual hosts with a route that looks like one for model calls."""
        return frozenset(
            route_path.host.path
            for route_path in self.route_paths
            if looks_like_calls(route_path.route.get("match"))
            or any(self.is_provider(one.cluster) for one in route_path.destinations)
        )

    def leads_to_gate(self, cluster: str) -> bool:
        """Return whether a cluster is the gate, a next hop, or a listener of this file."""
        known = self.options.next_hops | self.internal_clusters | {self.gate_cluster}
        return bool(cluster) and cluster in known

    @cached_property
    def internal_clusters(self) -> frozenset[str]:
        """Clusters that are internal listeners of this file, whose routes are checked."""
        there = {listener.text("name") for listener in self.config.listeners}
        led = {
            name: internal_listeners(self.config.assignment(cluster))
            for name, cluster in self.config.clusters.items()
        }
        return frozenset(name for name, names in led.items() if names and there.issuperset(names))

    def is_provider(self, cluster: str) -> bool:
        """Return whether a cluster is a provider."""
        return cluster in self.providers


def authz_filters(manager: Manager) -> list[HttpFilter]:
    """Return every ext_authz filter of a manager."""
    return [found for found in manager.filters if found.kind == EXT_AUTHZ]


def authz_service(found: HttpFilter) -> str:
    """Return the cluster that a filter calls, or the target of its google_grpc client."""
    return service_target(found.config)


def service_target(config: ConfigNode) -> str:
    """Return the cluster or target of a ``grpc_service`` or ``http_service``; may be empty."""
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


def client_certificates(chain: ConfigNode) -> bool:
    """Return whether clients of a filter chain are asked for a certificate."""
    context = socket(chain).tls
    if context is None:
        return False
    common = context.get("common_tls_context")
    return context.flag("require_client_certificate") or (
        common is not None and common.has(*VALIDATION)
    )
