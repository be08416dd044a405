"""Check what can change a running Envoy, and its timeouts (families ``admin``, ``limit``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.cluster import endpoints
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity, behind_seal
from envoy_extauthz_lint.matching import LOOPBACK, any_matches
from envoy_extauthz_lint.model import Manager, RoutePath
from envoy_extauthz_lint.node import ConfigNode
from envoy_extauthz_lint.proxies import tcp_clusters
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
    "the admin interface is reachable from the network, or by a route",
    "It has no authentication: it shows the configuration and, unless restricted, changes or stops "
    "Envoy.",
    "`admin.address` on loopback, `allow_paths`, and no cluster with that address.",
)
WRITABLE = LintRule(
    "admin-writable",
    WARNING,
    "the admin interface can change or stop Envoy",
    "The application shares loopback: it could drain listeners, stop Envoy, or modify runtime "
    "keys.",
    "`admin.allow_paths` with read-only paths: /ready, /stats, /clusters, /listeners, "
    "/server_info.",
)
RUNTIME = LintRule(
    "runtime-mutable",
    WARNING,
    "runtime settings can change while Envoy runs",
    "An admin, disk or RTDS layer can disable the gate's filter by its runtime keys, and change "
    "how paths are normalized.",
    "`layered_runtime` with one `static_layer`, or no `layered_runtime`.",
    softer="error where the gate's `filter_enabled` has a runtime key",
    sealable=True,
)
OVERRIDDEN = LintRule(
    "runtime-overrides-gate",
    ERROR,
    "a static runtime layer overrides the gate's own keys",
    "The values in `filter_enabled` or `deny_at_disable` are not the ones in effect.",
    "Remove the key from the layer.",
    sealable=True,
)
STREAMS = LintRule(
    "limit-stream-duration",
    WARNING,
    "streams have no maximum duration (`max_stream_duration`)",
    "A stream that was admitted before a withdrawal continues after it.",
    "`common_http_protocol_options.max_stream_duration: 300s` (and on routes that set their own).",
)
IDLE = LintRule(
    "limit-idle",
    WARNING,
    "idle streams have no timeout (`stream_idle_timeout: 0s`)",
    "Idle connections accumulate until no new one is accepted.",
    "`stream_idle_timeout: 120s`.",
)
SLOW = LintRule(
    "limit-slow-senders",
    NOTE,
    "slow senders have no timeout (`request_headers_timeout`, `request_timeout`)",
    "A body is buffered for the gate for as long as its sender takes.",
    "`request_headers_timeout: 5s`, `request_timeout: 60s`.",
)

RULES = (REMOTE, WRITABLE, RUNTIME, OVERRIDDEN, STREAMS, IDLE, SLOW)


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    bootstrap = view.config.bootstrap
    if bootstrap is not None:
        if (admin := bootstrap.get("admin")) is not None:
            yield from _admin(admin)
            yield from _led(view, admin)
        if (runtime := bootstrap.get("layered_runtime")) is not None:
            yield from _runtime(view, runtime)
    for manager in view.managers:
        if manager in view.relevant_managers:
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
        text = open_to[0] if allowed else "every path: there is no allow_paths"
        yield WRITABLE.at(admin.get("allow_paths") or admin, f"the admin interface allows {text}")


def _led(view: View, admin: ConfigNode) -> Iterator[LintFinding]:
    """Report routes from a listener to the admin interface."""
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
            yield REMOTE.at(found.node, "connections are forwarded to the admin interface")


def _port(holder: ConfigNode) -> int:
    """Return the port of an address on this machine; 0 for other or unknown addresses."""
    address = holder.at("address", "socket_address")
    if address is None:
        return 0
    host = address.text("address")
    return address.number("port_value") if HERE.fullmatch(host) else 0


def _keys(view: View) -> tuple[set[str], set[str]]:
    """Return the runtime keys of ``filter_enabled``, and those of ``deny_at_disable``."""
    gates = [gate for manager in view.managers for gate in view.gates(manager)]

    def keys(name: str) -> set[str]:
        found = (gate.config.at(name, "runtime_key") for gate in gates)
        return {key.string() for key in found if key is not None} - {""}

    return keys("filter_enabled"), keys("deny_at_disable")


def _runtime(view: View, runtime: ConfigNode) -> Iterator[LintFinding]:
    enabled, denied = _keys(view)
    weight = ERROR if enabled else WARNING
    sealed = bool(enabled | denied) and all(
        view.sealed_everywhere(manager) for manager in view.managers if view.gates(manager)
    )
    layers = runtime.items("layers")
    if not layers:
        message = "no layers: Envoy then adds one for the admin interface"
        yield RUNTIME.at(runtime, *behind_seal(message, weight, sealed=sealed))
    for layer in layers:
        for kind in ("admin_layer", "disk_layer", "rtds_layer"):
            if layer.has(kind):
                message = f"{kind}: keys can change while Envoy runs"
                yield RUNTIME.at(layer, *behind_seal(message, weight, sealed=sealed))
        static = layer.get("static_layer")
        for path, node in () if static is None else _flat(static, ""):
            if path in enabled | denied:
                message = f"{path} is set in a static layer"
                yield OVERRIDDEN.at(node, *behind_seal(message, sealed=sealed))


def _flat(node: ConfigNode, prefix: str) -> Iterator[tuple[str, ConfigNode]]:
    """Yield the keys of a layer, which may be nested or dotted."""
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
        yield IDLE.at(node.get("stream_idle_timeout") or node, "idle streams have no timeout")
    for name in ("request_headers_timeout", "request_timeout"):
        if not node.seconds(name):
            yield SLOW.at(node.get(name) or node, f"{name} is not set")


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
        yield STREAMS.at(where, "a stream on this route has no maximum duration")
    elif seconds > LONGEST_STREAM:
        yield STREAMS.at(where, f"a stream on this route may last {seconds:g} s")
