"""Read a cluster: its type, its members, its endpoints and their transport sockets.

Some transport sockets wrap another one (a PROXY header, a tap, counters, a forward proxy): the
inner one counts. One that is neither TLS nor plain text is reported as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from envoy_extauthz_lint.node import ConfigNode

_SOCKETS = "envoy.extensions.transport_sockets."
_CLUSTERS = "envoy.extensions.clusters."
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
VALIDATION = (
    "validation_context",
    "validation_context_sds_secret_config",
    "combined_validation_context",
)

_TLS = frozenset({f"{_SOCKETS}tls.v3.UpstreamTlsContext", f"{_SOCKETS}tls.v3.DownstreamTlsContext"})
_QUIC = {
    f"{_SOCKETS}quic.v3.QuicUpstreamTransport": "upstream_tls_context",
    f"{_SOCKETS}quic.v3.QuicDownstreamTransport": "downstream_tls_context",
}
_WRAPPERS = frozenset(
    _SOCKETS + name
    for name in (
        "http_11_proxy.v3.Http11ProxyUpstreamTransport",
        "internal_upstream.v3.InternalUpstreamTransport",
        "proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        "tap.v3.Tap",
        "tcp_stats.v3.Config",
    )
)
_PLAIN_TEXT = frozenset(
    {f"{_SOCKETS}raw_buffer.v3.RawBuffer", "envoy.transport_sockets.raw_buffer"}
)

AGGREGATE = f"{_CLUSTERS}aggregate.v3.ClusterConfig"
COMPOSITE = f"{_CLUSTERS}composite.v3.ClusterConfig"
MULTICLUSTER = f"{_CLUSTERS}mcp_multicluster.v3.ClusterConfig"
ORIGINAL_DST = ("ORIGINAL_DST", "4")
CHOOSING = frozenset(
    {
        f"{_CLUSTERS}dynamic_forward_proxy.v3.ClusterConfig",
        f"{_CLUSTERS}original_dst.v3.OriginalDstCluster",
        f"{_CLUSTERS}reverse_connection.v3.ReverseConnectionClusterConfig",
        "envoy.clusters.dynamic_forward_proxy",
        "envoy.clusters.reverse_connection",
        "envoy.cluster.original_dst",
        "envoy.clusters.original_dst",
    }
)
"""Cluster types whose endpoint the request chooses. Envoy goes by the type, not the name."""
ELSEWHERE = frozenset(
    {
        AGGREGATE,
        COMPOSITE,
        MULTICLUSTER,
        "envoy.clusters.aggregate",
        "envoy.clusters.composite",
        "envoy.clusters.dynamic_modules",
        f"{_CLUSTERS}dynamic_modules.v3.ClusterConfig",
    }
)
"""Cluster types that lead to other clusters, or to where a loaded module decides."""


@dataclass(frozen=True, slots=True)
class Socket:
    """The transport socket of a connection.

    Attributes:
        node: Where it is configured.
        tls: The TLS context; None where there is none.
        other: The type, where it is neither TLS nor plain text; else empty.
    """

    node: ConfigNode
    tls: ConfigNode | None = None
    other: str = ""

    @property
    def plain(self) -> bool:
        """Whether the connection is plain text."""
        return self.tls is None and not self.other


def socket(holder: ConfigNode) -> Socket:
    """Return the transport socket of a cluster, of one of its matches, or of a filter chain."""
    held = holder.get("transport_socket")
    if held is None:
        return Socket(holder)
    typed = held.get("typed_config")
    kind, config = (held.text("name"), held) if typed is None else typed.typed()
    if kind in _WRAPPERS:
        return socket(config)
    if kind in _TLS:
        return Socket(held, config)
    if kind in _QUIC:
        return Socket(held, config.get(_QUIC[kind]) or config)
    return Socket(held, other="" if kind in _PLAIN_TEXT else kind or "without a type")


def sockets(cluster: ConfigNode) -> list[Socket]:
    """Return every transport socket that a cluster may use, those by a match included."""
    matches = cluster.items("transport_socket_matches")
    by_match = [socket(one) for one in matches]
    for_all = any(not one.entries("match") for one in matches)
    return by_match if for_all else [socket(cluster), *by_match]


def tls_contexts(cluster: ConfigNode) -> list[ConfigNode]:
    """Return every upstream TLS context of a cluster."""
    return [one.tls for one in sockets(cluster) if one.tls is not None]


def validations(common: ConfigNode) -> list[ConfigNode]:
    """Return the inline validation contexts of a TLS context."""
    found = (
        common.get("validation_context"),
        common.at("combined_validation_context", "default_validation_context"),
    )
    return [one for one in found if one is not None]


def accepts_untrusted(validation: ConfigNode) -> bool:
    """Return whether certificates are accepted that no trusted root has signed."""
    return validation.is_choice("trust_chain_verification", "ACCEPT_UNTRUSTED", "1")


def kind(cluster: ConfigNode) -> str:
    """Return the extension type of a cluster, or its name; empty for a built-in type."""
    custom = cluster.get("cluster_type")
    if custom is None:
        return ""
    typed = custom.get("typed_config")
    text = "" if typed is None else typed.typed()[0]
    return text or custom.text("name")


def chooses(cluster: ConfigNode) -> bool:
    """Return whether the client's request chooses the endpoint of a cluster."""
    return cluster.is_choice("type", *ORIGINAL_DST) or kind(cluster) in CHOOSING


def members(cluster: ConfigNode) -> list[str]:
    """Return the clusters that an aggregate or composite cluster leads to."""
    typed = cluster.at("cluster_type", "typed_config")
    if typed is None:
        return []
    text, config = typed.typed()
    if text == AGGREGATE:
        return [one.string() for one in config.items("clusters")]
    if text == COMPOSITE:
        return [one.text("name") for one in config.items("clusters")]
    if text == MULTICLUSTER:
        inner = (one.at("mcp_cluster", "cluster") for one in config.items("servers"))
        return [one.string() for one in inner if one is not None]
    return []


def eds(cluster: ConfigNode) -> bool:
    """Return whether the endpoints are discovered (EDS)."""
    return cluster.is_choice("type", "EDS", "3") or cluster.has("eds_cluster_config")


def endpoints(assignment: ConfigNode | None) -> Iterator[ConfigNode]:
    """Yield every endpoint of a cluster's load assignment."""
    for group in [] if assignment is None else assignment.items("endpoints"):
        for one in group.items("lb_endpoints"):
            found = one.get("endpoint")
            if found is not None:
                yield found


def addresses(assignment: ConfigNode | None) -> list[str]:
    """Return the host names and IP addresses of endpoints."""
    found = (one.at("address", "socket_address", "address") for one in endpoints(assignment))
    return [address.string() for address in found if address is not None]


def internal_listeners(assignment: ConfigNode | None) -> list[str]:
    """Return the internal listeners that all endpoints are; empty where one is not."""
    found = [
        one.at("address", "envoy_internal_address", "server_listener_name")
        for one in endpoints(assignment)
    ]
    return [] if None in found else [one.string() for one in found if one is not None]


def protocol_options(cluster: ConfigNode) -> ConfigNode | None:
    """Return the HTTP protocol options of a cluster; None where there are none."""
    entry = cluster.entries("typed_extension_protocol_options").get(HTTP_OPTIONS)
    return None if entry is None else entry.typed()[1]
