"""Find route paths that avoid the gate, or give it another request (family ``bypass``)."""

from __future__ import annotations

from collections.abc import Iterator

from envoy_extauthz_lint import filters, gate_rules
from envoy_extauthz_lint.cluster import chooses
from envoy_extauthz_lint.finding import LintFinding, LintRule, Severity, behind_seal
from envoy_extauthz_lint.host_rules import unknown_hosts
from envoy_extauthz_lint.matching import calls_taken
from envoy_extauthz_lint.model import (
    Destination,
    HttpFilter,
    ListenerFilter,
    Manager,
    NetworkFilter,
    RoutePath,
    check_settings,
    context_extensions,
    disabled_by,
    http_filters,
)
from envoy_extauthz_lint.node import REDACTED, ConfigNode
from envoy_extauthz_lint.proxies import generic_clusters, tcp_clusters, udp_clusters
from envoy_extauthz_lint.view import (
    View,
    authz_filters,
    authz_service,
    service_target,
)

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

NO_GATE = LintRule(
    "bypass-without-gate",
    ERROR,
    "a route whose filter chain does not have the gate",
    "Every request on it passes unchecked.",
    "Put the gate's ext_authz filter first in this chain. Where another Envoy behind it has the "
    "gate, pass `--next-hop CLUSTER` and check that one too.",
    softer="warning where the cluster is not known to be a provider",
    refs=("envoy#44397",),
    sealable=True,
)
DISABLED = LintRule(
    "bypass-gate-disabled",
    ERROR,
    "a route on which the gate is disabled",
    "`disabled` on a route, a virtual host, a route table or the filter itself exempts what is "
    "routed there from the gate; `deny_at_disable` does not apply to it.",
    "Remove `disabled`; give routes that need no check a `direct_response` or another listener.",
    softer="warning where the cluster is not known to be a provider",
    refs=("envoy#32118",),
    sealable=True,
)
ANOTHER_SERVICE = LintRule(
    "bypass-another-service",
    ERROR,
    "a route that asks another service than the gate",
    "`check_settings.grpc_service` or `http_service` of a route replaces the gate on it.",
    "Remove the service from the route's settings.",
)
BODY_SKIPPED = LintRule(
    "bypass-body-skipped",
    ERROR,
    "the body is withheld from the gate on a route for calls",
    "`disable_request_body_buffering` is for uploads only: elsewhere the body names the model.",
    "Match upload paths exactly, and set `context_extensions: {route_class: upload}`.",
)
UNNAMED = LintRule(
    "bypass-provider-unnamed",
    WARNING,
    "a route without `context_extensions.provider`",
    "The gate does not know which provider the route leads to and refuses its requests; with one "
    "provider set for a whole table, it takes one provider's models for another's.",
    "`check_settings.context_extensions: {provider: …}` on the route.",
)
TCP = LintRule(
    "bypass-tcp",
    ERROR,
    "connections are forwarded without HTTP processing",
    "A TCP proxy, SNI routing or an original destination forwards to a provider unchecked.",
    "Remove the listener or filter chain; terminate TLS at a listener with the gate.",
    softer="warning where the cluster is not known to be a provider",
)
UDP = LintRule(
    "bypass-udp",
    ERROR,
    "datagrams are forwarded without HTTP processing",
    "HTTP/3 uses datagrams: through a UDP proxy it reaches a provider unchecked.",
    "Remove the listener; terminate QUIC at a listener with the gate (`udp_listener_config."
    "quic_options`).",
    softer="warning where the cluster is not known to be a provider",
)
CLIENT_CHOOSES = LintRule(
    "bypass-client-chooses",
    ERROR,
    "the client's request chooses the upstream",
    "With `cluster_header`, a dynamic forward proxy, an original destination or a host taken from "
    "a header or path, a request admitted for one upstream goes to another, with the "
    "credential.",
    "Name the cluster, and use `host_rewrite_literal` where the host must change.",
)
MIRROR = LintRule(
    "bypass-mirror",
    ERROR,
    "requests are mirrored",
    "The copy goes to a cluster that was not checked, with body and credential.",
    "Remove `request_mirror_policies`.",
    softer="warning where the mirror is not known to be a provider",
)
REDIRECT = LintRule(
    "bypass-internal-redirect",
    WARNING,
    "Envoy follows redirects of the upstream",
    "A redirect from an upstream makes Envoy send the request to a target of its choice.",
    "Remove `internal_redirect_policy`.",
)
RETRY = LintRule(
    "bypass-retry",
    NOTE,
    "requests are retried or hedged",
    "One decision covers several attempts; a withdrawal between them has no effect.",
    "Remove `retry_policy` and `hedge_policy` from routes to a provider.",
)
UPGRADE = LintRule(
    "bypass-upgrade",
    ERROR,
    "upgrades (WebSocket, CONNECT) are allowed",
    "The gate is asked once, without a body; the frames that follow are not checked.",
    "Remove `upgrade_configs`; where realtime is needed, use one route with its exact path.",
    softer="note on a route that matches none of the calls that name a model in the body",
)
UPGRADE_CHAIN = LintRule(
    "bypass-upgrade-chain",
    ERROR,
    "upgraded requests have a filter chain of their own, without the gate",
    "`upgrade_configs[].filters` replaces `http_filters`: an Upgrade header is enough to avoid the "
    "gate.",
    "Remove `filters` from the upgrade, or put the gate first in it.",
    sealable=True,
)

RULES = (
    NO_GATE, DISABLED, ANOTHER_SERVICE, BODY_SKIPPED, UNNAMED, TCP, UDP, CLIENT_CHOOSES,
    MIRROR, REDIRECT, RETRY, UPGRADE, UPGRADE_CHAIN,
)  # fmt: skip

UPLOAD = "upload"


def check(view: View) -> Iterator[LintFinding]:
    """Yield every finding of the family."""
    for route_path in view.route_paths:
        yield from _way(view, route_path)
    for manager in view.managers:
        if manager in view.relevant_managers:
            yield from _upgrades(view, manager)
        yield from _tables(view, manager)
    for found in view.network_filters:
        yield from _network(view, found)
    for one in view.listener_filters:
        if one.kind == filters.UDP_PROXY:
            yield from _datagrams(view, one)
        elif one.kind in filters.SET_STATE:
            yield from _steered(one.config)


def _way(view: View, route_path: RoutePath) -> Iterator[LintFinding]:
    for destination in route_path.destinations:
        if not view.leads_to_gate(destination.cluster):
            yield from _guarded(view, route_path, destination)
            yield from _chosen(view, destination)
    if route_path.action is not None:
        if route_path.manager in view.relevant_managers:
            yield from _action(route_path, route_path.action)
        yield from _mirrored(view, route_path.manager, route_path.action)


def _weight(view: View, destination: Destination) -> Severity:
    """Return ERROR for a provider or an unknown destination, else WARNING."""
    known = bool(destination.cluster) and not view.is_provider(destination.cluster)
    return WARNING if known else ERROR


def _reached(view: View, manager: Manager, destination: Destination) -> str:
    name = destination.cluster or f"chosen by {destination.chosen_by}"
    kind = "provider" if view.is_provider(destination.cluster) else "cluster"
    adders = view.adders(manager, destination)
    keyed = f"; Envoy adds the provider's credential by {adders[0].what}" if adders else ""
    return f"{kind} {name} is reached without the gate{keyed}"


def _guarded(view: View, route_path: RoutePath, destination: Destination) -> Iterator[LintFinding]:
    gates = view.gates(route_path.manager)
    gate = view.active_gate(route_path, destination)
    if gate is None and unknown_hosts(view, route_path, destination):
        return  # reported by that rule
    weight, text = _weight(view, destination), _reached(view, route_path.manager, destination)
    sealed = view.sealed(route_path.manager, destination.levels)
    if not gates:
        others = ", ".join(
            authz_service(one) or "nothing" for one in authz_filters(route_path.manager)
        )
        suffix = f" (its ext_authz asks {others})" if others else ""
        message = behind_seal(text + suffix, weight, sealed=sealed)
        yield NO_GATE.at(destination.node, *message)
    elif gate is None:
        where = disabled_by(gates[0], destination.levels) or destination.node
        here = where.path[: len(route_path.route.path)] == route_path.route.path
        text = text if here else f"{text} ({route_path.route.trail[-1]})"
        yield DISABLED.at(where, *behind_seal(text, weight, sealed=sealed))
    else:
        yield from _asked(route_path, destination, gate)


def _asked(
    route_path: RoutePath, destination: Destination, gate: HttpFilter
) -> Iterator[LintFinding]:
    """Check what the gate receives on a route."""
    extensions = context_extensions(gate, destination.levels)
    settings = check_settings(gate, destination.levels)
    if not extensions.get("provider"):
        yield UNNAMED.at(route_path.route, "context_extensions has no provider for this route")
    if settings is None:
        return
    other = service_target(settings)
    if other != authz_service(gate) and settings.has("grpc_service", "http_service"):
        where = settings.get("grpc_service") or settings.get("http_service") or settings
        yield ANOTHER_SERVICE.at(where, f"this route asks {other or 'another'} instead of the gate")
    yield from gate_rules.body(settings.get("with_request_body"))
    if settings.flag("disable_request_body_buffering"):
        yield from _body_skipped(route_path, settings, extensions)


def _body_skipped(
    route_path: RoutePath, settings: ConfigNode, extensions: dict[str, str]
) -> Iterator[LintFinding]:
    where = settings.get("disable_request_body_buffering") or settings
    calls = calls_taken(route_path.route.get("match"))
    if calls:
        yield BODY_SKIPPED.at(where, f"the gate does not receive the body of {calls[0]}")
    # A dump redacts context_extensions; an upload is then known by its route alone.
    elif extensions.get("route_class") not in {UPLOAD, REDACTED}:
        yield BODY_SKIPPED.at(where, "the gate receives neither the body nor route_class: upload")


def _chosen(view: View, destination: Destination) -> Iterator[LintFinding]:
    if destination.chosen_by == "cluster_header":
        yield CLIENT_CHOOSES.at(destination.node, "a request header chooses the cluster")
    cluster = view.config.clusters.get(destination.cluster)
    if cluster is not None and chooses(cluster):
        yield CLIENT_CHOOSES.at(
            destination.node,
            f"cluster {destination.cluster} takes its address from the request",
        )


def _action(route_path: RoutePath, action: ConfigNode) -> Iterator[LintFinding]:
    for name, what in (
        ("host_rewrite_header", "a header"),
        ("host_rewrite_path_regex", "the path"),
    ):
        found = action.get(name)
        if found is not None:
            yield CLIENT_CHOOSES.at(found, f"{what} of the request chooses the upstream host")
    for name in ("internal_redirect_policy", "internal_redirect_action"):
        found = action.get(name)
        if found is not None:
            yield REDIRECT.at(found, "redirects from the upstream are followed")
    for holder in (action, route_path.host):
        for name in ("retry_policy", "hedge_policy"):
            found = holder.get(name)
            if found is not None and (holder is action or not action.has(name)):
                yield RETRY.at(found, "one decision covers several attempts")
    yield from _route_upgrades(route_path, action)


def _route_upgrades(route_path: RoutePath, action: ConfigNode) -> Iterator[LintFinding]:
    match = route_path.route.get("match")
    connects = match is not None and match.has("connect_matcher")
    for one in action.items("upgrade_configs"):
        if not one.flag("enabled", default=True):
            continue
        kind = one.text("upgrade_type") or "any"
        calls = calls_taken(match)
        if connects or one.has("connect_config") or kind.upper() == "CONNECT":
            yield UPGRADE.at(one, "the content of a CONNECT tunnel is not checked")
        elif calls:
            yield UPGRADE.at(one, f"{kind} is allowed on a route that matches {calls[0]}")
        else:
            yield UPGRADE.at(one, f"{kind}: frames after the upgrade are not checked", NOTE)


def _upgrades(view: View, manager: Manager) -> Iterator[LintFinding]:
    for one in manager.node.items("upgrade_configs"):
        kind = one.text("upgrade_type") or "any"
        chain = http_filters(one, "filters", view.config.filters)
        if chain and not any(view.is_gate(found) and not found.disabled for found in chain):
            sealed = view.sealed_chain(manager, chain) is not None
            message = f"requests with Upgrade: {kind} skip the gate"
            yield UPGRADE_CHAIN.at(one, *behind_seal(message, sealed=sealed))
        if one.flag("enabled", default=True):
            yield UPGRADE.at(one, f"{kind} is allowed on every route")


def _mirrored(view: View, manager: Manager, holder: ConfigNode) -> Iterator[LintFinding]:
    for one in holder.items("request_mirror_policies"):
        name = one.text("cluster")
        known = bool(name) and not view.is_provider(name)
        if known and manager not in view.relevant_managers:
            continue  # a copy of requests that are no calls to a provider
        text = f"cluster {name}" if name else "a cluster that a header chooses"
        yield MIRROR.at(one, f"{text} receives a copy of requests", WARNING if known else ERROR)


def _tables(view: View, manager: Manager) -> Iterator[LintFinding]:
    for table in manager.tables:
        yield from _mirrored(view, manager, table)
        for host in table.items("virtual_hosts"):
            yield from _mirrored(view, manager, host)


# ---- Without HTTP ------------------------------------------------------------------------------


def _network(view: View, found: NetworkFilter) -> Iterator[LintFinding]:
    if found.kind in filters.SNI_CHOOSES:
        yield CLIENT_CHOOSES.at(found.node, "the SNI of a client chooses the upstream")
    elif found.kind in filters.SET_STATE:
        yield from _steered(found.config)
    elif found.kind == filters.TCP_PROXY:
        yield from _connections(view, found)
    elif found.kind == filters.GENERIC_PROXY:
        for name in filter(None, generic_clusters(found.config)):
            yield from _passed_on(view, TCP, "messages", found.node, name, "")


def _steered(config: ConfigNode) -> Iterator[LintFinding]:
    for node in config.descendants():
        key = node.raw.value
        if isinstance(key, str) and key in filters.STEERING_STATE:
            yield CLIENT_CHOOSES.at(node, f"{key}: filter state chooses the upstream")


def _connections(view: View, found: NetworkFilter) -> Iterator[LintFinding]:
    named = found.config.at("tunneling_config", "hostname")
    tunnel = "" if named is None else named.string()
    asked_for = ", ".join(
        [*_server_names(view, found.chain), *([tunnel] if view.is_provider_host(tunnel) else [])]
    )
    for name in filter(None, tcp_clusters(found.config)):
        yield from _passed_on(view, TCP, "connections", found.node, name, asked_for)


def _datagrams(view: View, found: ListenerFilter) -> Iterator[LintFinding]:
    tunnel = found.config.get("tunneling_config")
    named = [] if tunnel is None else [tunnel.text("proxy_host"), tunnel.text("target_host")]
    asked_for = ", ".join(name for name in named if view.is_provider_host(name))
    for name in udp_clusters(found.config):
        if name:
            yield from _passed_on(view, UDP, "datagrams", found.node, name, asked_for)


def _passed_on(
    view: View, rule: LintRule, what: str, node: ConfigNode, name: str, asked_for: str
) -> Iterator[LintFinding]:
    """Report a cluster that receives bytes without HTTP processing."""
    cluster = view.config.clusters.get(name)
    if cluster is not None and chooses(cluster):
        yield rule.at(
            node, f"cluster {name} is reached without the gate; the client chooses its address"
        )
    elif view.is_provider(name) or asked_for:
        to = f"provider {name}" + (f" ({asked_for})" if asked_for else "")
        yield rule.at(node, f"{what} reach {to} without the gate")
    elif not view.leads_to_gate(name):
        yield rule.at(node, f"{what} reach cluster {name} without the gate", WARNING)


def _server_names(view: View, chain: ConfigNode) -> list[str]:
    match = chain.get("filter_chain_match")
    names = [one.string() for one in ([] if match is None else match.items("server_names"))]
    return [name for name in names if view.is_provider_host(name)]
