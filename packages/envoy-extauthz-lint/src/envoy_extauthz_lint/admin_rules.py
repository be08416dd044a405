"""Family *admin*: who can change a running Envoy, and its bounds in time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import endpoints
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity
from envoy_extauthz_lint.matching import LOOPBACK, any_matches
from envoy_extauthz_lint.model import Manager, RoutePath, tcp_clusters
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.view import View

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
LONGEST_STREAM = 3600.0
HERE = re.compile(rf"{LOOPBACK.pattern}|0\.0\.0\.0|::", re.IGNORECASE)
CHANGING = (
    "/runtime_modify",
    "/quitquitquit",
    "/healthcheck/fail",
    "/healthcheck/ok",
    "/drain_listeners",
    "/logging",
    "/reset_counters",
    "/cpuprofiler",
    "/heapprofiler",
    "/tap",
)

REMOTE = LintRule(
    "admin-remote",
    WARNING,
    "the admin interface is open to the network, or to a route",
    "It has no authentication: it tells the configuration and, where it may, changes or ends "
    "Envoy.",
    "`admin.address` on loopback, `allow_paths`, and no cluster that leads there.",
)
WRITABLE = LintRule(
    "admin-writable",
    WARNING,
    "the admin interface can change or end Envoy",
    "Loopback is shared with the application: it could drain listeners, end Envoy, or modify "
    "runtime keys.",
    "`admin.allow_paths` with what is read: /ready, /stats, /clusters, /listeners, /server_info.",
)
RUNTIME = LintRule(
    "runtime-mutable",
    WARNING,
    "runtime settings can change while Envoy runs",
    "An admin, disk or RTDS layer can turn the gate's filter off by its runtime keys, and change "
    "how paths are read.",
    "`layered_runtime` with one `static_layer`; or none at all.",
    softer="error where the gate's `filter_enabled` has a runtime key",
)
OVERRIDDEN = LintRule(
    "runtime-overrides-gate",
    ERROR,
    "a static runtime layer overrides the gate's own keys",
    "What `filter_enabled` or `deny_at_disable` say is not what holds.",
    "Remove the key from the layer.",
)
STREAMS = LintRule(
    "limit-stream-duration",
    WARNING,
    "streams have no end (`max_stream_duration`)",
    "A stream that was admitted before a withdrawal lives on after it.",
    "`common_http_protocol_options.max_stream_duration: 300s` (and on routes that set their own).",
)
IDLE = LintRule(
    "limit-idle",
    WARNING,
    "idle streams are kept for ever (`stream_idle_timeout: 0s`)",
    "Connections on which nothing moves add up until none is left.",
    "`stream_idle_timeout: 120s`.",
)
SLOW = LintRule(
    "limit-slow-senders",
    NOTE,
    "slow senders have no bound (`request_headers_timeout`, `request_timeout`)",
    "A body is held in memory for the gate for as long as its sender likes.",
    "`request_headers_timeout: 5s`, `request_timeout: 60s`.",
)

RULES = (REMOTE, WRITABLE, RUNTIME, OVERRIDDEN, STREAMS, IDLE, SLOW)


def check(view: View) -> Iterator[LintFinding]:
    """Every finding of the family."""
    bootstrap = view.config.bootstrap
    if bootstrap is not None:
        if (admin := bootstrap.get("admin")) is not None:
            yield from _admin(admin)
            yield from _led(view, admin)
        if (runtime := bootstrap.get("layered_runtime")) is not None:
            yield from _runtime(view, runtime)
    for manager in view.managers:
        if manager in view.concerned:
            yield from _bounds(manager)
    for route_path in view.route_paths:
        yield from _streams(view, route_path)


def _admin(admin: ConfigNode) -> Iterator[LintFinding]:
    address = admin.at("address", "socket_address", "address")
    if address is not None and not LOOPBACK.fullmatch(address.string()):
        yield REMOTE.at(address, f"the admin interface is at {address.string()}")
    allowed = admin.items("allow_paths")
    open_to = [path for path in CHANGING if not allowed or any_matches(allowed, path) is not False]
    if open_to and admin.has("address"):
        text = open_to[0] if allowed else "everything: there is no allow_paths"
        yield WRITABLE.at(admin.get("allow_paths") or admin, f"allowed is {text}")


def _led(view: View, admin: ConfigNode) -> Iterator[LintFinding]:
    """Ways from a listener to the admin interface."""
    there = _port(admin)
    inside = {
        name
        for name, cluster in view.config.clusters.items()
        if there and any(_port(one) == there for one in endpoints(view.config.assignment(cluster)))
    }
    for route_path in view.route_paths:
        for one in route_path.destinations:
            if one.cluster in inside:
                yield REMOTE.at(one.node, f"cluster {one.cluster} is the admin interface")
    for found in view.network_filters:
        if found.kind == filters.TCP_PROXY and inside.intersection(tcp_clusters(found.config)):
            yield REMOTE.at(found.node, "connections are led to the admin interface")


def _port(holder: ConfigNode) -> int:
    """The port of an address on this machine; 0 where it is elsewhere, or not known."""
    address = holder.at("address", "socket_address")
    if address is None:
        return 0
    host = address.text("address")
    return address.number("port_value") if HERE.fullmatch(host) else 0


def _keys(view: View) -> tuple[set[str], set[str]]:
    """Runtime keys of the gate's filters: of ``filter_enabled``, of ``deny_at_disable``."""
    gates = [gate for manager in view.managers for gate in view.gates(manager)]

    def keys(name: str) -> set[str]:
        found = (gate.config.at(name, "runtime_key") for gate in gates)
        return {key.string() for key in found if key is not None} - {""}

    return keys("filter_enabled"), keys("deny_at_disable")


def _runtime(view: View, runtime: ConfigNode) -> Iterator[LintFinding]:
    enabled, denied = _keys(view)
    weight = ERROR if enabled else WARNING
    layers = runtime.items("layers")
    if not layers:
        yield RUNTIME.at(runtime, "no layers: Envoy then makes one for the admin interface", weight)
    for layer in layers:
        for kind in ("admin_layer", "disk_layer", "rtds_layer"):
            if layer.has(kind):
                yield RUNTIME.at(layer, f"{kind}: keys change while Envoy runs", weight)
        static = layer.get("static_layer")
        for path, node in () if static is None else _flat(static, ""):
            if path in enabled | denied:
                yield OVERRIDDEN.at(node, f"{path} is set here")


def _flat(node: ConfigNode, prefix: str) -> Iterator[tuple[str, ConfigNode]]:
    """Keys of a layer, which may be nested or dotted."""
    for name in node.mapping():
        child = node.get(name)
        if child is None:
            continue
        path = f"{prefix}{name}"
        yield path, child
        if hasattr(child.raw.value, "items"):
            yield from _flat(child, f"{path}.")


def _bounds(manager: Manager) -> Iterator[LintFinding]:
    node = manager.node
    if node.seconds("stream_idle_timeout") == 0:
        yield IDLE.at(node.get("stream_idle_timeout") or node, "idle streams are kept for ever")
    for name in ("request_headers_timeout", "request_timeout"):
        if not node.seconds(name):
            yield SLOW.at(node.get(name) or node, f"no {name}")


def _streams(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    if route_path.action is None or not any(
        view.is_provider(one.cluster) for one in route_path.destinations
    ):
        return
    own, where = route_path.action.get("max_stream_duration"), route_path.route
    common = route_path.manager.node.get("common_http_protocol_options")
    seconds = None if common is None else common.seconds("max_stream_duration")
    if own is not None and own.has("max_stream_duration"):
        seconds, where = own.seconds("max_stream_duration"), own
    if not seconds:
        yield STREAMS.at(where, "a stream on this route may last for ever")
    elif seconds > LONGEST_STREAM:
        yield STREAMS.at(where, f"a stream on this route may last {seconds:g} s")
