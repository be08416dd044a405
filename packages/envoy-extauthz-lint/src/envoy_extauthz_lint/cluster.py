"""A cluster by itself: what kind it is, who is in it, and how its endpoints are connected to.

Some transport sockets only stand around another one (a PROXY header, a tap, counters, a forward
proxy): what counts is the one inside. What is neither TLS nor in the clear is told as not known.
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
_AROUND = frozenset(
    _SOCKETS + name
    for name in (
        "http_11_proxy.v3.Http11ProxyUpstreamTransport",
        "internal_upstream.v3.InternalUpstreamTransport",
        "proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        "tap.v3.Tap",
        "tcp_stats.v3.Config",
    )
)
_IN_THE_CLEAR = frozenset(
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
"""Kinds whose endpoint is what a request says. Envoy goes by the type, whatever the name."""
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
"""Kinds that lead to other clusters, or to where a program says."""


@dataclass(frozen=True, slots=True)
class Socket:
    """How bytes go over a connection.

    Attributes:
        node: Where that is said.
        tls: The TLS context; null where there is none.
        other: The kind, where it is neither TLS nor in the clear; else empty.
    """

    node: ConfigNode
    tls: ConfigNode | None = None
    other: str = ""

    @property
    def plain(self) -> bool:
        """Whether everything goes in the clear."""
        return self.tls is None and not self.other


def socket(holder: ConfigNode) -> Socket:
    """The transport socket of a cluster, of one of its matches, or of a filter chain."""
    held = holder.get("transport_socket")
    if held is None:
        return Socket(holder)
    typed = held.get("typed_config")
    kind, config = (held.text("name"), held) if typed is None else typed.typed()
    if kind in _AROUND:
        return socket(config)
    if kind in _TLS:
        return Socket(held, config)
    if kind in _QUIC:
        return Socket(held, config.get(_QUIC[kind]) or config)
    return Socket(held, other="" if kind in _IN_THE_CLEAR else kind or "without a type")


def sockets(cluster: ConfigNode) -> list[Socket]:
    """Every way in which endpoints of a cluster may be connected to, those by a match included."""
    matches = cluster.items("transport_socket_matches")
    by_match = [socket(one) for one in matches]
    for_all = any(not one.entries("match") for one in matches)
    return by_match if for_all else [socket(cluster), *by_match]


def tls_contexts(cluster: ConfigNode) -> list[ConfigNode]:
    """Every upstream TLS context of a cluster."""
    return [one.tls for one in sockets(cluster) if one.tls is not None]


def validations(common: ConfigNode) -> list[ConfigNode]:
    """What a TLS context says itself about verifying the other side."""
    found = (
        common.get("validation_context"),
        common.at("combined_validation_context", "default_validation_context"),
    )
    return [one for one in found if one is not None]


def accepts_untrusted(validation: ConfigNode) -> bool:
    """Whether a certificate that no root vouches for is taken all the same."""
    return validation.text("trust_chain_verification") in {"ACCEPT_UNTRUSTED", "1"}


def kind(cluster: ConfigNode) -> str:
    """The type of a cluster that is none of the built-in ones, or the name it goes by."""
    custom = cluster.get("cluster_type")
    if custom is None:
        return ""
    typed = custom.get("typed_config")
    text = "" if typed is None else typed.typed()[0]
    return text or custom.text("name")


def chooses(cluster: ConfigNode) -> bool:
    """Whether a cluster's endpoints are chosen by what a client sends."""
    return cluster.text("type") in ORIGINAL_DST or kind(cluster) in CHOOSING


def members(cluster: ConfigNode) -> list[str]:
    """Names of the clusters that an aggregate, or another one made of several, leads to."""
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
    """Whether the endpoints come from a control plane or a file."""
    return cluster.text("type") in {"EDS", "3"} or cluster.has("eds_cluster_config")


def endpoints(assignment: ConfigNode | None) -> Iterator[ConfigNode]:
    """Every endpoint that a cluster's assignment names."""
    for group in [] if assignment is None else assignment.items("endpoints"):
        for one in group.items("lb_endpoints"):
            found = one.get("endpoint")
            if found is not None:
                yield found


def addresses(assignment: ConfigNode | None) -> list[str]:
    """Hosts and IP addresses of endpoints."""
    found = (one.at("address", "socket_address", "address") for one in endpoints(assignment))
    return [address.string() for address in found if address is not None]


def inside(assignment: ConfigNode | None) -> list[str]:
    """Names of this Envoy's own listeners that endpoints are; empty where one is something else."""
    found = [
        one.at("address", "envoy_internal_address", "server_listener_name")
        for one in endpoints(assignment)
    ]
    return [] if None in found else [one.string() for one in found if one is not None]


def protocol_options(cluster: ConfigNode) -> ConfigNode | None:
    """The HTTP options of a cluster."""
    entry = cluster.entries("typed_extension_protocol_options").get(HTTP_OPTIONS)
    return None if entry is None else entry.typed()[1]
