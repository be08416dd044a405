"""Classify Envoy's HTTP, network and listener filters by what they can do to a request.

Filters are identified by type, because their names are free. A type in no table is a finding.
"""

from __future__ import annotations

_HTTP = "envoy.extensions.filters.http."
_NETWORK = "envoy.extensions.filters.network."
_LISTENER = "envoy.extensions.filters.listener."
_UDP_PROXY = "envoy.extensions.filters.udp.udp_proxy."


def _http(*names: str) -> frozenset[str]:
    return frozenset(_HTTP + name for name in names)


def _network(*names: str) -> frozenset[str]:
    return frozenset(_NETWORK + name for name in names)


def _listener(*names: str) -> frozenset[str]:
    return frozenset(_LISTENER + name for name in names)


ROUTER = f"{_HTTP}router.v3.Router"
HEADER_MUTATION = f"{_HTTP}header_mutation.v3.HeaderMutation"
HEADER_MUTATION_PER_ROUTE = f"{_HTTP}header_mutation.v3.HeaderMutationPerRoute"
EXT_PROC = f"{_HTTP}ext_proc.v3.ExternalProcessor"
EXT_PROC_PER_ROUTE = f"{_HTTP}ext_proc.v3.ExtProcPerRoute"
INJECTOR = f"{_HTTP}credential_injector.v3.CredentialInjector"
TAP = f"{_HTTP}tap.v3.Tap"
COMPRESSOR = f"{_HTTP}compressor.v3.Compressor"
DECOMPRESSOR = f"{_HTTP}decompressor.v3.Decompressor"
HEADER_TO_METADATA = f"{_HTTP}header_to_metadata.v3.Config"
CUSTOM_RESPONSE = f"{_HTTP}custom_response.v3.CustomResponse"
_POLICIES = "envoy.extensions.http.custom_response."
LOCAL_RESPONSE = f"{_POLICIES}local_response_policy.v3.LocalResponsePolicy"
REDIRECT_RESPONSE = f"{_POLICIES}redirect_policy.v3.RedirectPolicy"
GENERIC_CREDENTIAL = "envoy.extensions.http.injected_credentials.generic.v3.Generic"

CREDENTIALS = _http(
    "aws_request_signing.v3.AwsRequestSigning",
    "credential_injector.v3.CredentialInjector",
    "gcp_authn.v3.GcpAuthnFilterConfig",
)
"""Add a credential to a request."""

CODE = _http(
    "dynamic_modules.v3.DynamicModuleFilter",
    "lua.v3.Lua",
    "wasm.v3.Wasm",
) | {"envoy.extensions.filters.http.golang.v3alpha.Config"}
"""Run custom code, which can change all of a request and open connections."""

REWRITES = _http(
    "ai_protocol_manager.v3.AiProtocolManager",
    "connect_grpc_bridge.v3.FilterConfig",
    "decompressor.v3.Decompressor",
    "grpc_http1_bridge.v3.Config",
    "grpc_http1_reverse_bridge.v3.FilterConfig",
    "grpc_json_reverse_transcoder.v3.GrpcJsonReverseTranscoder",
    "grpc_json_transcoder.v3.GrpcJsonTranscoder",
    "grpc_web.v3.GrpcWeb",
    "mcp_json_rest_bridge.v3.McpJsonRestBridge",
    "proto_api_scrubber.v3.ProtoApiScrubberConfig",
    "transform.v3.TransformConfig",
)
"""Replace the body or the path of a request."""

ELSEWHERE = _http(
    "aws_lambda.v3.Config",
    "dynamic_forward_proxy.v3.FilterConfig",
    "mcp_router.v3.McpRouter",
)
"""Choose the upstream by the content of a request."""

CACHES = _http("cache.v3.CacheConfig", "cache_v2.v3.CacheV2Config")
"""Answer with the stored response to an earlier request."""

OPAQUE = _http(
    "composite.v3.Composite",
    "filter_chain.v3.FilterChainConfig",
    "on_demand.v3.OnDemand",
) | {"envoy.extensions.common.matching.v3.ExtensionWithMatcher"}
"""Choose filters or routes at run time, which no file can show."""

JSON_TO_METADATA = f"{_HTTP}json_to_metadata.v3.JsonToMetadata"
REROUTING = frozenset({JSON_TO_METADATA, f"{_HTTP}ip_tagging.v3.IPTagging"})
"""Have the route selected again without a setting that says so (measured on Envoy 1.40)."""

ACTING = (
    CODE | REWRITES | ELSEWHERE | CACHES | CREDENTIALS | REROUTING
    | {EXT_PROC, HEADER_MUTATION, COMPRESSOR, TAP}
)  # fmt: skip
"""Change, answer, copy or forward a request, or reroute it, wherever they stand."""

MATCHING = (
    "envoy.config.core.",
    "envoy.extensions.common.matching.",
    "envoy.extensions.filters.common.matcher.",
    "envoy.extensions.filters.http.composite.",
    "envoy.extensions.filters.http.filter_chain.",
    "envoy.extensions.matching.",
    "envoy.type.matcher.",
    "xds.type.matcher.",
)
"""How the types of matchers, of their inputs and of their actions begin: they are no filters."""

MATCHED = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"

HARMLESS = _http(
    "a2a.v3.A2a",
    "adaptive_concurrency.v3.AdaptiveConcurrency",
    "admission_control.v3.AdmissionControl",
    "alternate_protocols_cache.v3.FilterConfig",
    "api_key_auth.v3.ApiKeyAuth",
    "aws_eventstream_parser.v3.AwsEventstreamParser",
    "bandwidth_limit.v3.BandwidthLimit",
    "bandwidth_share.v3.BandwidthShare",
    "basic_auth.v3.BasicAuth",
    "body_size_limit.v3.BodySizeLimit",
    "buffer.v3.Buffer",
    "cdn_loop.v3.CdnLoopConfig",
    "compressor.v3.Compressor",
    "cors.v3.Cors",
    "csrf.v3.CsrfPolicy",
    "custom_response.v3.CustomResponse",
    "fault.v3.HTTPFault",
    "file_server.v3.FileServerConfig",
    "file_system_buffer.v3.FileSystemBufferFilterConfig",
    "geoip.v3.Geoip",
    "grpc_field_extraction.v3.GrpcFieldExtractionConfig",
    "grpc_stats.v3.FilterConfig",
    "header_to_metadata.v3.Config",
    "health_check.v3.HealthCheck",
    "ip_tagging.v3.IPTagging",
    "json_to_metadata.v3.JsonToMetadata",
    "jwt_authn.v3.JwtAuthentication",
    "kill_request.v3.KillRequest",
    "local_ratelimit.v3.LocalRateLimit",
    "mcp.v3.Mcp",
    "oauth2.v3.OAuth2",
    "original_src.v3.OriginalSrc",
    "proto_message_extraction.v3.ProtoMessageExtractionConfig",
    "rate_limit_quota.v3.RateLimitQuotaFilterConfig",
    "ratelimit.v3.RateLimit",
    "rbac.v3.RBAC",
    "set_filter_state.v3.Config",
    "set_metadata.v3.Config",
    "sse_to_metadata.v3.SseToMetadata",
    "stateful_session.v3.StatefulSession",
    "thrift_to_metadata.v3.ThriftToMetadata",
    "upstream_codec.v3.UpstreamCodec",
)
"""Read, count, delay or refuse a request without changing what the gate checked."""

NETWORK_HARMLESS = _network(
    "connection_limit.v3.ConnectionLimit",
    "direct_response.v3.Config",
    "dubbo_proxy.v3.DubboProxy",
    "echo.v3.Echo",
    "ext_authz.v3.ExtAuthz",
    "geoip.v3.Geoip",
    "local_ratelimit.v3.LocalRateLimit",
    "mongo_proxy.v3.MongoProxy",
    "ratelimit.v3.RateLimit",
    "rbac.v3.RBAC",
    "redis_proxy.v3.RedisProxy",
    "tcp_bandwidth_limit.v3.TcpBandwidthLimit",
    "thrift_proxy.v3.ThriftProxy",
    "zookeeper_proxy.v3.ZooKeeperProxy",
)
"""Network filters that forward no HTTP."""

TCP_PROXY = f"{_NETWORK}tcp_proxy.v3.TcpProxy"
GENERIC_PROXY = f"{_NETWORK}generic_proxy.v3.GenericProxy"
GENERIC_ROUTE = f"{_NETWORK}generic_proxy.action.v3.RouteAction"
SET_STATE = frozenset(
    {f"{_NETWORK}set_filter_state.v3.Config", f"{_LISTENER}set_filter_state.v3.Config"}
)
STEERING_STATE = frozenset(
    {
        "envoy.network.transport_socket.original_dst_address",
        "envoy.tcp_proxy.cluster",
        "envoy.upstream.dynamic_host",
        "envoy.upstream.dynamic_port",
    }
)
"""Filter state from which a proxy takes the upstream."""
SNI_CHOOSES = _network("sni_cluster.v3.SniCluster", "sni_dynamic_forward_proxy.v3.FilterConfig")
"""Network filters with which the SNI of a client chooses the upstream."""

LISTENER_HARMLESS = _listener(
    "http_inspector.v3.HttpInspector",
    "local_ratelimit.v3.LocalRateLimit",
    "original_src.v3.OriginalSrc",
    "tls_inspector.v3.TlsInspector",
) | {"envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig"}
"""Listener filters that inspect or refuse a connection, or set the source address."""

PROXY_PROTOCOL = f"{_LISTENER}proxy_protocol.v3.ProxyProtocol"
ORIGINAL_DST = f"{_LISTENER}original_dst.v3.OriginalDst"
UDP_PROXY = f"{_UDP_PROXY}v3.UdpProxyConfig"
UDP_ROUTE = f"{_UDP_PROXY}v3.Route"
SESSION_HARMLESS = frozenset(
    {
        f"{_UDP_PROXY}session.ext_authz.v3.FilterConfig",
        f"{_UDP_PROXY}session.http_capsule.v3.FilterConfig",
    }
)
"""Session filters of a UDP proxy that choose no upstream."""
