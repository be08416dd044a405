"""Model listeners, filter chains, connection managers, virtual hosts and routes.

A `RoutePath` is one route with all levels whose per-filter settings apply to it. As in Envoy, the
most specific level wins: weighted cluster, route, virtual host, route table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.config import Config
from envoy_extauthz_lint.node import ConfigNode

FILTERS = "envoy.extensions.filters."
HTTP = f"{FILTERS}http."
MANAGER = f"{FILTERS}network.http_connection_manager.v3.HttpConnectionManager"
WRAPPED_MANAGER = f"{FILTERS}network.reverse_tunnel.v3.DrainAwareHttpConnectionManager"
MOBILE_MANAGER = f"{FILTERS}network.http_connection_manager.v3.EnvoyMobileHttpConnectionManager"
EXT_AUTHZ = f"{HTTP}ext_authz.v3.ExtAuthz"
PER_ROUTE = f"{HTTP}ext_authz.v3.ExtAuthzPerRoute"
FILTER_CONFIG = "envoy.config.route.v3.FilterConfig"
ROUTE = "envoy.config.route.v3.Route"
PER_FILTER = "typed_per_filter_config"


@dataclass(frozen=True, slots=True)
class HttpFilter:
    """One HTTP filter of a filter chain.

    Attributes:
        name: The name by which routes configure it.
        kind: Type of its configuration; empty where it has none.
        config: The configuration.
        node: The entry itself.
    """

    name: str
    kind: str
    config: ConfigNode
    node: ConfigNode

    @property
    def disabled(self) -> bool:
        """Whether the filter is disabled unless a route enables it."""
        return self.node.flag("disabled")


@dataclass(frozen=True, slots=True, eq=False)
class Manager:
    """One HTTP connection manager.

    Attributes:
        node: Its configuration.
        chain: Its filter chain; None for an API listener.
        listener: The listener.
        filters: Its HTTP filters, in order.
        upstream: HTTP filters of its routers, which run behind all others.
        tables: Its route tables, inline or dumped.
        upgraded: Whether the filters are those of an upgrade, which replace its own.
    """

    node: ConfigNode
    chain: ConfigNode | None
    listener: ConfigNode
    filters: tuple[HttpFilter, ...]
    upstream: tuple[HttpFilter, ...]
    tables: tuple[ConfigNode, ...]
    upgraded: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """A cluster that a route sends requests to.

    Attributes:
        cluster: Its name; empty where it is chosen at run time.
        chosen_by: The field that chooses it (``cluster_header``, a plugin); else empty.
        node: Where it is configured.
        levels: Messages with per-filter settings, most specific first.
    """

    cluster: str
    chosen_by: str
    node: ConfigNode
    levels: tuple[ConfigNode, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RoutePath:
    """One route of one connection manager, with the settings that apply to it.

    Attributes:
        manager: The connection manager.
        table: The route table.
        host: The virtual host.
        route: The route.
        action: Its ``route`` action; None where it forwards nothing.
        destinations: Its clusters; empty where it answers directly.
    """

    manager: Manager
    table: ConfigNode
    host: ConfigNode
    route: ConfigNode
    action: ConfigNode | None
    destinations: tuple[Destination, ...]

    @property
    def levels(self) -> tuple[ConfigNode, ...]:
        """Messages whose settings apply, most specific first."""
        return (self.route, self.host, self.table)


@dataclass(frozen=True, slots=True)
class NetworkFilter:
    """A network filter other than a connection manager."""

    kind: str
    config: ConfigNode
    node: ConfigNode
    chain: ConfigNode
    listener: ConfigNode


@dataclass(frozen=True, slots=True)
class ListenerFilter:
    """A listener filter, which runs before any filter chain."""

    kind: str
    config: ConfigNode
    node: ConfigNode
    listener: ConfigNode


def chains(listener: ConfigNode) -> list[ConfigNode]:
    """Return every filter chain of a listener."""
    default = listener.get("default_filter_chain")
    return [*listener.items("filter_chains"), *([] if default is None else [default])]


def http_filters(
    node: ConfigNode, name: str = "http_filters", dumped: Mapping[str, ConfigNode] | None = None
) -> tuple[HttpFilter, ...]:
    """Read a chain of HTTP filters; a discovered one (ECDS) is read from the dump."""
    return tuple(_http_filter(entry, dumped or {}) for entry in node.items(name))


def _http_filter(entry: ConfigNode, dumped: Mapping[str, ConfigNode]) -> HttpFilter:
    typed = _typed(entry, dumped)
    kind, config = ("", entry) if typed is None else typed.typed()
    matched = config.at("extension_config", "typed_config") if kind == filters.MATCHED else None
    if matched is not None and matched.typed()[0] == filters.EXT_PROC:
        kind, config = matched.typed()  # a matcher can only skip it, which sends nothing anywhere
    return HttpFilter(entry.text("name"), kind, config, entry)


def held_filters(node: ConfigNode, name: str) -> Iterator[HttpFilter]:
    """Yield the filters of known kinds anywhere below a setting, such as in a matcher's actions."""
    for inner in node.descendants():
        if isinstance(inner.raw.value, dict) and inner.has("@type"):
            kind, config = inner.typed()
            if kind in filters.ACTING or kind == EXT_AUTHZ:
                yield HttpFilter(name, kind, config, inner)


def within(found: HttpFilter) -> Iterator[HttpFilter]:
    """Yield a filter, and those that it can run in its place."""
    yield found
    if found.kind in filters.OPAQUE:
        yield from held_filters(found.config, found.name)


def _typed(entry: ConfigNode, dumped: Mapping[str, ConfigNode]) -> ConfigNode | None:
    """Return the typed configuration of a filter; None where it is discovered."""
    running = dumped.get(entry.text("name")) if entry.has("config_discovery") else None
    return (running or entry).get("typed_config")


def managers(config: Config) -> Iterator[Manager]:
    """Yield every HTTP connection manager, once more for each upgrade that is authorised anew.

    An upgrade with filters of its own has another chain on the same routes, so that whatever holds
    for the filters of a manager must hold for these.
    """
    for manager in _managers(config):
        yield manager
        for upgrade in manager.node.items("upgrade_configs"):
            chain = http_filters(upgrade, "filters", config.filters)
            if any(found.kind == EXT_AUTHZ for found in chain):
                upstream = _upstream(chain, config)
                yield replace(manager, filters=chain, upstream=upstream, upgraded=True)


def _managers(config: Config) -> Iterator[Manager]:
    for listener in config.listeners:
        api = listener.at("api_listener", "api_listener")
        if api is not None:
            kind, node = api.typed()
            inner = node.get("config") if kind == MOBILE_MANAGER else node
            if inner is not None:
                yield _manager(config, inner, None, listener)
        for chain in chains(listener):
            for entry in chain.items("filters"):
                inner = _managed(_typed(entry, config.filters))
                if inner is not None:
                    yield _manager(config, inner, chain, listener)


def _managed(typed: ConfigNode | None) -> ConfigNode | None:
    """Return the configuration of a connection manager; None for other filters."""
    kind, node = ("", None) if typed is None else typed.typed()
    if kind == WRAPPED_MANAGER and node is not None:
        return node.get("hcm_config")
    return node if kind == MANAGER else None


def _manager(
    config: Config, node: ConfigNode, chain: ConfigNode | None, listener: ConfigNode
) -> Manager:
    chained = http_filters(node, dumped=config.filters)
    tables = tuple(_tables(config, node))
    return Manager(node, chain, listener, chained, _upstream(chained, config), tables)


def _upstream(chain: tuple[HttpFilter, ...], config: Config) -> tuple[HttpFilter, ...]:
    """Read the filters that the routers of a chain run behind it."""
    routers = [found.config for found in chain if found.kind == filters.ROUTER]
    return tuple(
        one
        for router in routers
        for one in http_filters(router, "upstream_http_filters", config.filters)
    )


def _tables(config: Config, node: ConfigNode) -> Iterator[ConfigNode]:
    table = node.get("route_config")
    if table is None and (rds := node.get("rds")) is not None:
        table = config.tables.get(rds.text("route_config_name"))
    if table is not None:
        yield table
    scoped = node.get("scoped_routes")
    for scope in [] if scoped is None else config.scoped(scoped):
        table = scope_table(config, scope)
        if table is not None:
            yield table


def scope_table(config: Config, scope: ConfigNode) -> ConfigNode | None:
    """Return the route table of a scope; None where the file does not hold it."""
    inline = scope.get("route_configuration")
    return inline or config.tables.get(scope.text("route_configuration_name"))


def network_filters(config: Config) -> Iterator[NetworkFilter]:
    """Yield every other network filter; a discovered one has an empty kind."""
    for listener in config.listeners:
        for chain in chains(listener):
            for entry in chain.items("filters"):
                typed = _typed(entry, config.filters)
                kind, node = ("", entry) if typed is None else typed.typed()
                if _managed(typed) is None:
                    yield NetworkFilter(kind, node, entry, chain, listener)


def listener_filters(config: Config) -> Iterator[ListenerFilter]:
    """Yield every listener filter; a discovered one has an empty kind."""
    for listener in config.listeners:
        for entry in listener.items("listener_filters"):
            typed = _typed(entry, config.filters)
            kind, node = ("", entry) if typed is None else typed.typed()
            yield ListenerFilter(kind, node, entry, listener)


def route_paths(manager: Manager) -> Iterator[RoutePath]:
    """Yield every route of a connection manager, those hidden by earlier ones included."""
    for table in manager.tables:
        for host in table.items("virtual_hosts"):
            for route in (*host.items("routes"), *_matched(host)):
                action = route.get("route")
                found = () if action is None else tuple(_destinations(action, route, host, table))
                yield RoutePath(manager, table, host, route, action, found)


def _matched(host: ConfigNode) -> Iterator[ConfigNode]:
    """Yield the routes inside a tree of matchers."""
    tree = host.get("matcher")
    for node in () if tree is None else tree.descendants():
        if isinstance(node.raw.value, dict) and node.has("@type") and node.typed()[0] == ROUTE:
            yield node.typed()[1]


def _destinations(
    action: ConfigNode, route: ConfigNode, host: ConfigNode, table: ConfigNode
) -> Iterator[Destination]:
    levels = (route, host, table)
    named = action.get("cluster")
    if named is not None:
        yield Destination(named.string(), "", named, levels)
    for chooser in (
        "cluster_header",
        "cluster_specifier_plugin",
        "inline_cluster_specifier_plugin",
    ):
        found = action.get(chooser)
        if found is not None:
            yield Destination("", chooser, found, levels)
    weighted = action.get("weighted_clusters")
    for one in [] if weighted is None else weighted.items("clusters"):
        header = one.get("cluster_header")
        chosen_by = "" if header is None else "cluster_header"
        yield Destination(one.text("name"), chosen_by, header or one, (one, *levels))


def setting(levels: tuple[ConfigNode, ...], name: str) -> Iterator[tuple[str, ConfigNode]]:
    """Yield each level's settings of the filter called ``name``, most specific first."""
    for level in levels:
        entry = level.entries(PER_FILTER).get(name)
        if entry is not None:
            yield entry.typed()


def route_settings(levels: tuple[ConfigNode, ...], name: str) -> Iterator[tuple[str, ConfigNode]]:
    """Yield each level's settings of a filter, a generic ``FilterConfig`` unwrapped."""
    for kind, entry in setting(levels, name):
        inner = entry.get("config") if kind == FILTER_CONFIG else None
        yield (kind, entry) if inner is None else inner.typed()


def disabled_by(found: HttpFilter, levels: tuple[ConfigNode, ...]) -> ConfigNode | None:
    """Return the setting that disables a filter on these levels; None where it is enabled."""
    for kind, entry in setting(levels, found.name):
        if kind == FILTER_CONFIG and entry.flag("disabled"):
            return entry
        break
    for kind, entry in route_settings(levels, found.name):
        off = kind == PER_ROUTE and entry.flag("disabled")
        return entry if off else None
    return found.node if found.disabled else None


def check_settings(found: HttpFilter, levels: tuple[ConfigNode, ...]) -> ConfigNode | None:
    """Return the most specific ``check_settings`` of the gate's filter."""
    for kind, entry in route_settings(levels, found.name):
        if kind == PER_ROUTE:
            return entry.get("check_settings")
    return None


def context_extensions(found: HttpFilter, levels: tuple[ConfigNode, ...]) -> dict[str, str]:
    """Merge the ``context_extensions`` of all levels; the most specific wins by key."""
    merged: dict[str, str] = {}
    for kind, entry in route_settings(levels, found.name):
        settings = entry.get("check_settings") if kind == PER_ROUTE else None
        if settings is not None:
            for key, value in settings.entries("context_extensions").items():
                merged.setdefault(key, value.string())
    return merged
