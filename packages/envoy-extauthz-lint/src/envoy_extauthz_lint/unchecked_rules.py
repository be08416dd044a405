"""Report what the file only names, so that it cannot be checked (family ``unchecked``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import fields, filters
from envoy_extauthz_lint.cluster import eds, protocol_options
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.model import (
    EXT_AUTHZ,
    FILTER_CONFIG,
    PER_FILTER,
    PER_ROUTE,
    HttpFilter,
    ListenerFilter,
    Manager,
    NetworkFilter,
    RoutePath,
    chains,
    http_filters,
    scope_table,
)
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.proxies import generic_clusters, tcp_clusters, udp_clusters
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
DUMP = "Check a dump of the running Envoy, in which it is resolved (`/config_dump?include_eds`)."

NOTHING = LintRule(
    "unchecked-nothing",
    ERROR,
    "the file has no listener with routes",
    "Nothing was checked, which is not the same as nothing found.",
    "Check the bootstrap of the Envoy that applications connect to, or a dump of it.",
)
LISTENERS = LintRule(
    "unchecked-listeners",
    ERROR,
    "listeners or filter chains are discovered (LDS, FCDS)",
    "A listener from a control plane or a file can forward to a provider without the gate.",
    DUMP,
)
CLUSTERS = LintRule(
    "unchecked-clusters",
    WARNING,
    "clusters or their endpoints are discovered (CDS, EDS)",
    "It is unknown whether a cluster is a provider, or the gate.",
    DUMP,
)
ROUTES = LintRule(
    "unchecked-routes",
    ERROR,
    "routes are discovered (RDS, VHDS, scoped routes)",
    "Discovered routes can disable the gate.",
    DUMP,
)
FILTER = LintRule(
    "unchecked-filter",
    ERROR,
    "a filter that is unknown, or chosen at run time",
    "Behind the gate it may change the path, host, headers, body or route of a request that the "
    "gate admitted.",
    "Remove it, or move it before the gate. If it leaves path, host, headers, body and route as "
    "they are, pass `--known-filter TYPE`; a discovered one is named in a dump.",
    softer="warning before the gate, or where every filter that it can run is known",
)
GATE_CONDITIONAL = LintRule(
    "unchecked-gate-conditional",
    ERROR,
    "the gate's filter is inside a matcher, or is discovered (ECDS)",
    "A matcher can skip it for some requests; a discovered configuration is unknown.",
    "Put the ext_authz filter itself, with its settings, into the chain.",
)
ROUTE_SETTINGS = LintRule(
    "unchecked-route-settings",
    ERROR,
    "a route's settings for the gate's filter have an unknown type",
    "Unknown settings may disable the gate.",
    "`ExtAuthzPerRoute` under the filter's own name.",
)
DESTINATION = LintRule(
    "unchecked-destination",
    WARNING,
    "the file does not show where a route leads",
    "A plugin chooses the cluster, or the cluster is not in the file.",
    "Use a cluster by name that is in the file.",
)
FIELD = LintRule(
    "unchecked-field",
    WARNING,
    "a setting that this linter does not know",
    "It is newer than the linter, or misspelt; its effect on the gate is unknown.",
    "Correct it, or use a newer linter.",
)
GATE_UNKNOWN = LintRule(
    "unchecked-gate",
    WARNING,
    "it is ambiguous which cluster is the gate",
    "Several ext_authz filters ask different services and none is called `gate`.",
    "Pass `--gate-cluster NAME`.",
)
BOOTSTRAP = LintRule(
    "unchecked-bootstrap",
    WARNING,
    "the dump has no bootstrap",
    "Admin interface and runtime layers cannot be checked.",
    "Dump everything: `/config_dump?include_eds`, without `resource` or `mask`.",
)

RULES = (
    NOTHING, LISTENERS, CLUSTERS, ROUTES, FILTER, GATE_CONDITIONAL, ROUTE_SETTINGS, DESTINATION,
    FIELD, GATE_UNKNOWN, BOOTSTRAP,
)  # fmt: skip

_KNOWN = (
    filters.HARMLESS | filters.CODE | filters.REWRITES | filters.CACHES | filters.CREDENTIALS
    | filters.ELSEWHERE
    | {filters.ROUTER, filters.EXT_PROC, filters.HEADER_MUTATION, filters.TAP, EXT_AUTHZ}
)  # fmt: skip

_NETWORK_KNOWN = (
    filters.NETWORK_HARMLESS
    | filters.SNI_CHOOSES
    | filters.SET_STATE
    | {filters.TCP_PROXY, filters.GENERIC_PROXY}
)
_LISTENER_KNOWN = (
    filters.LISTENER_HARMLESS | filters.SET_STATE | {filters.PROXY_PROTOCOL, filters.ORIGINAL_DST}
)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    yield from _sources(view)
    for listener in view.config.listeners:
        yield from _listener(listener)
    for manager in view.managers:
        yield from _manager(view, manager)
    for found in view.network_filters:
        yield from _network_filter(view, found)
    for one in view.listener_filters:
        yield from _listener_filter(view, one)
    yield from _route_paths(view)
    for cluster in view.config.clusters.values():
        if cluster.text("name") in view.providers | {view.gate_cluster}:
            yield from _cluster(view, cluster)


def _sources(view: View) -> Iterator[LintFinding]:
    config, top = view.config, view.config.top
    if not config.has_listeners:
        yield LISTENERS.at(top, "listeners are discovered (LDS)")
    elif not (
        view.route_paths
        or view.network_filters
        or any(one.kind == filters.UDP_PROXY for one in view.listener_filters)
    ):
        yield NOTHING.at(top, "there is no listener with a route in it")
    if not config.has_clusters:
        yield CLUSTERS.at(top, "clusters are discovered (CDS)")
    if config.bootstrap is None:
        yield BOOTSTRAP.at(top, "admin interface and runtime are not in this dump")
    asked = [found for manager in view.managers for found in manager.filters]
    if not view.gate_cluster and any(found.kind == EXT_AUTHZ for found in asked):
        yield GATE_UNKNOWN.at(top, "several services are asked, and none is known to be the gate")


def _network_filter(view: View, found: NetworkFilter) -> Iterator[LintFinding]:
    if found.kind not in _NETWORK_KNOWN | view.options.known_filters:
        yield FILTER.at(found.node, f"network filter {_called(found.kind, found.node)}", WARNING)
    elif found.kind == filters.TCP_PROXY:
        yield from fields.unknown(FIELD, found.config, fields.TCP_PROXY)
        yield from _led(view, found.node, "a TCP proxy", tcp_clusters(found.config))
    elif found.kind == filters.GENERIC_PROXY:
        if (source := found.config.get("generic_rds")) is not None:
            yield ROUTES.at(source, "the routes of a generic proxy are not in this file")
        else:
            yield from _led(view, found.node, "a generic proxy", generic_clusters(found.config))


def _led(view: View, node: ConfigNode, what: str, names: list[str]) -> Iterator[LintFinding]:
    """Report clusters of a TCP, UDP or generic proxy that are not in the file."""
    for name in names:
        if not name:
            yield DESTINATION.at(node, f"{what} leads to an unknown cluster")
        elif name not in view.config.clusters:
            yield DESTINATION.at(node, f"{what} leads to cluster {name}, which is not in this file")


def _cluster(view: View, cluster: ConfigNode) -> Iterator[LintFinding]:
    """Check what is discovered or unknown of a provider's cluster, or the gate's."""
    name = cluster.text("name")
    if eds(cluster) and view.config.assignment(cluster) is None:
        yield CLUSTERS.at(cluster, f"the endpoints of cluster {name} are discovered (EDS)")
    for entry in cluster.items("filters"):
        typed = entry.get("typed_config")
        kind = "" if typed is None else typed.typed()[0]
        if kind not in view.options.known_filters:
            yield FILTER.at(entry, f"upstream network filter {_called(kind, entry)}")
    options = protocol_options(cluster)
    if options is not None:
        yield from _filters(view, http_filters(options, dumped=view.config.filters), ERROR)


def _listener(listener: ConfigNode) -> Iterator[LintFinding]:
    if (discovered := listener.get("fcds_config")) is not None:
        yield LISTENERS.at(discovered, "filter chains are discovered (FCDS)")
    yield from fields.unknown(FIELD, listener, fields.LISTENER)
    if (datagrams := listener.get("udp_listener_config")) is not None:
        yield from fields.unknown(FIELD, datagrams, fields.UDP)
        yield from fields.unknown(FIELD, datagrams.get("quic_options"), fields.QUIC)
    for chain in chains(listener):
        yield from fields.unknown(FIELD, chain, fields.CHAIN)


def _called(kind: str, node: ConfigNode) -> str:
    return kind or node.text("name") or "without a type"


def _manager(view: View, manager: Manager) -> Iterator[LintFinding]:
    node = manager.node
    if not manager.tables:
        where = node.get("rds") or node.get("scoped_routes") or node
        yield ROUTES.at(where, "the routes are not in this file")
    elif (scoped := node.get("scoped_routes")) is not None:
        for scope in view.config.scoped(scoped):
            if scope_table(view.config, scope) is None:
                yield ROUTES.at(scope, "the routes of this scope are not in this file")
    for table in manager.tables:
        if (found := table.get("vhds")) is not None:
            yield ROUTES.at(found, "virtual hosts are discovered (VHDS)")
        yield from fields.unknown(FIELD, table, fields.TABLE)
        for host in table.items("virtual_hosts"):
            yield from fields.unknown(FIELD, host, fields.HOST)
    gates = view.gates(manager)
    gated = manager.filters.index(gates[0]) + 1 if gates else len(manager.filters)
    yield from _filters(view, manager.filters[:gated], WARNING)
    yield from _filters(view, manager.filters[gated:], ERROR)
    yield from _filters(view, manager.upstream, ERROR if gates else WARNING)
    for entry in manager.filters:
        yield from fields.unknown(FIELD, entry.node, fields.HTTP_FILTER)
    for gate in gates:
        yield from fields.unknown(FIELD, gate.config, fields.GATE)
        yield from fields.unknown(FIELD, gate.config.get("with_request_body"), fields.BODY)
    yield from fields.unknown(FIELD, node, fields.MANAGER)


def _filters(view: View, chain: tuple[HttpFilter, ...], weight: Severity) -> Iterator[LintFinding]:
    """Report unknown filters; ``weight``: the severity of one that may change requests here."""
    known = view.options.known_filters
    for found in chain:
        if found.node.has("config_discovery") and not found.kind:
            types = _types(found)
            message = f"filter {found.name} is discovered (ECDS)"
            if EXT_AUTHZ in types:
                yield GATE_CONDITIONAL.at(found.node, message)
            elif not types or types - known:
                harmless = types and types <= (filters.HARMLESS - filters.ACTING) | known
                yield FILTER.at(found.node, message, WARNING if harmless else weight)
        elif found.kind == filters.MATCHED and _inner(found) == EXT_AUTHZ:
            yield GATE_CONDITIONAL.at(found.node, "a matcher can skip the ext_authz filter")
        elif found.kind in filters.OPAQUE:
            what = f"HTTP filter {found.kind}"
            if unknown := ", ".join(_unknown_inside(found.config, known)):
                yield FILTER.at(found.node, f"{what} can run {unknown}", weight)
            else:
                yield FILTER.at(found.node, what, WARNING)
        elif found.kind not in _KNOWN | known:
            yield FILTER.at(found.node, f"HTTP filter {_called(found.kind, found.node)}", weight)


def _unknown_inside(config: ConfigNode, known: frozenset[str]) -> list[str]:
    """Return what a matcher or composite filter can run and the file does not show, each once."""
    found: dict[str, None] = {}
    shown = _KNOWN | filters.OPAQUE | known
    filter_at: tuple[str | int, ...] | None = None
    for node in config.descendants():  # outermost first
        inside = filter_at is not None and node.path[: len(filter_at)] == filter_at
        if inside or not isinstance(node.raw.value, dict):
            continue
        if node.has("dynamic_config", "config_discovery"):
            found["a discovered filter (ECDS)"] = None
        if node.has("@type"):
            kind = node.typed()[0]
            if not kind.startswith(filters.MATCHING):
                filter_at = node.path  # what its own settings name are no filters
                if kind not in shown:
                    found[kind] = None
    return list(found)


def _listener_filter(view: View, found: ListenerFilter) -> Iterator[LintFinding]:
    yield from fields.unknown(FIELD, found.node, fields.LISTENER_FILTER)
    if found.kind == filters.UDP_PROXY:
        yield from _udp_proxy(view, found)
    elif found.kind not in _LISTENER_KNOWN | view.options.known_filters:
        yield FILTER.at(found.node, f"listener filter {_called(found.kind, found.node)}", WARNING)


def _udp_proxy(view: View, found: ListenerFilter) -> Iterator[LintFinding]:
    proxy = found.config
    yield from fields.unknown(FIELD, proxy, fields.UDP_PROXY)
    yield from fields.unknown(FIELD, proxy.get("tunneling_config"), fields.TUNNEL)
    yield from _led(view, found.node, "a UDP proxy", udp_clusters(proxy))
    for entry in proxy.items("session_filters"):
        typed = entry.get("typed_config")
        kind = "" if typed is None else typed.typed()[0]
        if kind not in filters.SESSION_HARMLESS | view.options.known_filters:
            yield FILTER.at(entry, f"session filter {_called(kind, entry)}", WARNING)


def _types(found: HttpFilter) -> frozenset[str]:
    discovery = found.node.get("config_discovery")
    urls = [] if discovery is None else discovery.items("type_urls")
    return frozenset(one.string().rpartition("/")[2] for one in urls)


def _inner(found: HttpFilter) -> str:
    typed = found.config.at("extension_config", "typed_config")
    return "" if typed is None else typed.typed()[0]


def _route_paths(view: View) -> Iterator[LintFinding]:
    for route_path in view.route_paths:
        gates = {gate.name for gate in view.gates(route_path.manager)}
        for level in (*route_path.levels, *(one.levels[0] for one in route_path.destinations)):
            yield from _settings(gates, level)
            for one in level.items("route_specifiers")[:1]:
                yield ROUTES.at(one, "an extension chooses another route")
        yield from fields.unknown(FIELD, route_path.route, fields.ROUTE)
        yield from fields.unknown(FIELD, route_path.action, fields.ACTION)
        yield from _destinations(view, route_path)


def _settings(gates: set[str], level: ConfigNode) -> Iterator[LintFinding]:
    """Report settings of a level for the gate's filter that are unknown."""
    for name, entry in level.entries(PER_FILTER).items():
        if name not in gates:
            continue
        kind, settings = entry.typed()
        if kind == FILTER_CONFIG:
            if settings.flag("is_optional"):
                yield ROUTE_SETTINGS.at(settings, "an Envoy without the extension ignores these")
            inner = settings.get("config")
            if inner is None:
                continue
            kind, settings = inner.typed()
        if kind != PER_ROUTE:
            yield ROUTE_SETTINGS.at(entry, f"settings of type {kind or 'unknown'}")
            continue
        yield from fields.unknown(FIELD, settings, fields.PER_ROUTE)
        check = settings.get("check_settings")
        yield from fields.unknown(FIELD, check, fields.CHECK)
        held = None if check is None else check.get("with_request_body")
        yield from fields.unknown(FIELD, held, fields.BODY)


def _destinations(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    if route_path.action is None:
        if not route_path.route.has("redirect", "direct_response", "non_forwarding_action"):
            yield DESTINATION.at(route_path.route, "the action of this route is unknown")
        return
    if not route_path.destinations:
        yield DESTINATION.at(route_path.action, "the route names no cluster")
    for one in route_path.destinations:
        if "plugin" in one.chosen_by:
            yield DESTINATION.at(one.node, "a plugin chooses the cluster")
        elif one.cluster and one.cluster not in view.config.clusters:
            yield DESTINATION.at(one.node, f"cluster {one.cluster} is not in this file")
