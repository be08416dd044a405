"""List the clusters to which filters that read no HTTP pass connections, messages or datagrams."""

from __future__ import annotations

from envoy_extauthz_lint import filters
from envoy_extauthz_lint.model import ListenerFilter, NetworkFilter
from envoy_extauthz_lint.node import ConfigNode


def tcp_clusters(proxy: ConfigNode) -> list[str]:
    """Return the clusters of a TCP proxy; an empty name where none is given."""
    weighted = proxy.get("weighted_clusters")
    names = [one.text("name") for one in ([] if weighted is None else weighted.items("clusters"))]
    names += [proxy.text("cluster")] if proxy.has("cluster") else []
    return names or [""]


def generic_clusters(proxy: ConfigNode) -> list[str]:
    """Return the clusters of a generic proxy, whose routes are trees of matchers."""
    names = []
    table = proxy.get("route_config")
    for node in () if table is None else table.descendants():
        if not isinstance(node.raw.value, dict) or not node.has("@type"):
            continue
        kind, action = node.typed()
        if kind == filters.GENERIC_ROUTE:
            names += tcp_clusters(action)
    return names or [""]


def udp_clusters(proxy: ConfigNode) -> list[str]:
    """Return the clusters of a UDP proxy; an empty name for each unknown action."""
    names = [proxy.text("cluster")] if proxy.has("cluster") else []
    tree = proxy.get("matcher")
    for node in () if tree is None else tree.descendants():
        action = node.get("action") if isinstance(node.raw.value, dict) else None
        if action is None:
            continue
        text = isinstance(action.raw.value, dict) and action.get("typed_config")
        kind, route = text.typed() if text else ("", node)
        names.append(route.text("cluster") if kind == filters.UDP_ROUTE else "")
    return names or [""]


def network_clusters(found: NetworkFilter) -> list[str]:
    """Return the clusters that a network filter forwards to; empty for other filters."""
    if found.kind == filters.TCP_PROXY:
        return tcp_clusters(found.config)
    return generic_clusters(found.config) if found.kind == filters.GENERIC_PROXY else []


def datagram_clusters(found: ListenerFilter) -> list[str]:
    """Return the clusters that a listener filter forwards to; empty for other filters."""
    return udp_clusters(found.config) if found.kind == filters.UDP_PROXY else []
