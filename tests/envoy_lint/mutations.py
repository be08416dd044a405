"""For each rule the least changes of a reference configuration that break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.envoy_lint import Options
from tests.envoy_lint.edit import (
    FILTER_CONFIG,
    GATE,
    HTTP,
    NETWORK,
    PER_ROUTE,
    TLS,
    TYPES,
    UDP_PROXY,
    Edit,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One change.

    Attributes:
        rule: The rule it breaks.
        change: Makes the change.
        base: The reference that is changed.
        options: What the operator says.
        also: Other rules that the same change breaks.
    """

    rule: str
    change: Callable[[Edit], object]
    base: str = "jwt"
    options: Options | None = None
    also: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.rule}/{self.change.__name__}"


CASES: list[Case] = []
Change = Callable[[Edit], object]


def breaks(
    rule: str,
    *also: str,
    base: str = "jwt",
    options: Options | None = None,
) -> Callable[[Callable[[Edit], object]], Callable[[Edit], object]]:
    """Register a change as one that breaks ``rule``."""

    def register(change: Callable[[Edit], object]) -> Callable[[Edit], object]:
        CASES.append(Case(rule, change, base, options, also))
        return change

    return register


# ---- gate ----------------------------------------------------------------------------------------


@breaks("gate-fail-open")
def fail_open(edit: Edit) -> None:
    edit.gate["failure_mode_allow"] = True


@breaks("gate-fail-open")
def fail_open_in_quotes_and_camel_case(edit: Edit) -> None:
    del edit.gate["failure_mode_allow"]
    edit.gate["failureModeAllow"] = "Yes"


@breaks("gate-fail-open-header")
def fail_open_header(edit: Edit) -> None:
    edit.gate["failure_mode_allow_header_add"] = True


@breaks("gate-shadow")
def shadow(edit: Edit) -> None:
    edit.gate["shadow_mode"] = True


@breaks("gate-over-http")
def over_http(edit: Edit) -> None:
    del edit.gate["grpc_service"]
    uri = {"uri": "http://gate", "cluster": "gate", "timeout": "1s"}
    edit.gate["http_service"] = {"server_uri": uri}


@breaks("gate-transport-version")
def version_left_out(edit: Edit) -> None:
    del edit.gate["transport_api_version"]


@breaks("gate-transport-version")
def version_by_number(edit: Edit) -> None:
    edit.gate["transport_api_version"] = 1


@breaks("gate-timeout")
def timeout_left_out(edit: Edit) -> None:
    del edit.gate["grpc_service"]["timeout"]


@breaks("gate-timeout")
def timeout_zero(edit: Edit) -> None:
    edit.gate["grpc_service"]["timeout"] = "0s"


@breaks("gate-timeout")
def timeout_long(edit: Edit) -> None:
    edit.gate["grpc_service"]["timeout"] = "60.5s"


@breaks("gate-not-always")
def enabled_for_half(edit: Edit) -> None:
    edit.gate["filter_enabled"]["default_value"]["numerator"] = 50


@breaks("gate-not-always")
def enabled_for_a_hundred_of_a_million(edit: Edit) -> None:
    edit.gate["filter_enabled"]["default_value"]["denominator"] = "MILLION"


@breaks("gate-not-always")
def enabled_by_a_runtime_key(edit: Edit) -> None:
    edit.gate["filter_enabled"]["runtime_key"] = "gate.enabled"


@breaks("gate-not-always")
def enabled_by_metadata(edit: Edit) -> None:
    edit.gate["filter_enabled_metadata"] = {"filter": "x", "path": [{"key": "y"}]}


@breaks("gate-not-always", "gate-deny-at-disable")
def enabled_for_half_and_open_otherwise(edit: Edit) -> None:
    edit.gate["filter_enabled"]["default_value"]["numerator"] = 50
    del edit.gate["deny_at_disable"]


@breaks("gate-deny-at-disable")
def deny_at_disable_left_out(edit: Edit) -> None:
    del edit.gate["deny_at_disable"]


@breaks("gate-deny-at-disable")
def deny_at_disable_false(edit: Edit) -> None:
    edit.gate["deny_at_disable"]["default_value"] = False


@breaks("gate-body-missing")
def no_body(edit: Edit) -> None:
    del edit.gate["with_request_body"]


@breaks("gate-body-partial")
def partial_body(edit: Edit) -> None:
    edit.gate["with_request_body"]["allow_partial_message"] = True


@breaks("gate-body-partial")
def partial_body_on_a_route(edit: Edit) -> None:
    body = {"max_request_bytes": 10, "pack_as_bytes": True, "allow_partial_message": True}
    edit.settings["with_request_body"] = body


@breaks("gate-body-text")
def body_as_text(edit: Edit) -> None:
    del edit.gate["with_request_body"]["pack_as_bytes"]


@breaks("gate-body-size")
def body_of_no_size(edit: Edit) -> None:
    del edit.gate["with_request_body"]["max_request_bytes"]


@breaks("gate-body-size")
def body_of_any_size(edit: Edit) -> None:
    edit.gate["with_request_body"]["max_request_bytes"] = "4294967295"


@breaks("gate-headers-joined")
def headers_joined(edit: Edit) -> None:
    edit.gate["encode_raw_headers"] = False


@breaks("gate-headers-hidden")
def headers_allowed(edit: Edit) -> None:
    edit.gate["allowed_headers"] = {"patterns": [{"prefix": "content-"}, {"exact": "host"}]}


@breaks("gate-headers-hidden")
def headers_disallowed(edit: Edit) -> None:
    edit.gate["disallowed_headers"]["patterns"].append({"prefix": "x-"})


@breaks("gate-headers-hidden")
def headers_disallowed_by_what_nobody_can_read(edit: Edit) -> None:
    edit.gate["disallowed_headers"]["patterns"].append({"custom": {"name": "x"}})


@breaks("gate-headers-shown")
def keys_shown(edit: Edit) -> None:
    del edit.gate["disallowed_headers"]["patterns"][:3]


@breaks("gate-mutations-unvalidated")
def mutations_unvalidated(edit: Edit) -> None:
    del edit.gate["validate_mutations"]


@breaks("gate-mutations-unbounded")
def mutations_unbounded(edit: Edit) -> None:
    del edit.gate["decoder_header_mutation_rules"]


@breaks("gate-mutations-unbounded")
def mutations_not_all_disallowed(edit: Edit) -> None:
    edit.gate["decoder_header_mutation_rules"]["disallow_all"] = False


@breaks("gate-mutations-unbounded")
def mutations_dropped_in_silence(edit: Edit) -> None:
    del edit.gate["decoder_header_mutation_rules"]["disallow_is_error"]


@breaks("gate-mutations-unbounded")
def mutations_of_the_path(edit: Edit) -> None:
    edit.gate["decoder_header_mutation_rules"]["allow_expression"] = {"regex": ":.*|x-a"}


@breaks("gate-route-cache")
def route_cache_cleared(edit: Edit) -> None:
    edit.gate["clear_route_cache"] = True


@breaks("gate-route-cache")
def route_cache_cleared_by_header(edit: Edit) -> None:
    edit.gate["clear_route_cache_headers"] = ["x-a", "x-b"]


@breaks("gate-error-status")
def error_is_ok(edit: Edit) -> None:
    edit.gate["status_on_error"]["code"] = "OK"


@breaks("gate-error-status")
def error_is_no_content(edit: Edit) -> None:
    edit.gate["status_on_error"]["code"] = 204


@breaks("gate-error-status")
def error_is_forbidden(edit: Edit) -> None:
    del edit.gate["status_on_error"]


@breaks("gate-certificate-hidden", base="mtls")
def certificate_hidden(edit: Edit) -> None:
    edit.gate["include_peer_certificate"] = False


@breaks("gate-stat-prefix")
def no_statistics(edit: Edit) -> None:
    del edit.gate["stat_prefix"]


@breaks("gate-optional")
def optional(edit: Edit) -> None:
    edit.filters[edit.at]["is_optional"] = True


# ---- way -----------------------------------------------------------------------------------------


@breaks("way-without-gate")
def gate_taken_out(edit: Edit) -> None:
    del edit.filters[edit.at]


@breaks("way-without-gate")
def another_authoriser_in_its_place(edit: Edit) -> None:
    edit.gate["grpc_service"]["envoy_grpc"]["cluster_name"] = "provider"


@breaks("way-without-gate")
def second_listener(edit: Edit) -> None:
    other = Edit().listener
    other["name"] = "back-door"
    manager = other["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["http_filters"][:-1]
    edit.top["static_resources"]["listeners"].append(other)


@breaks("way-without-gate")
def second_listener_to_something_else(edit: Edit) -> None:
    second_listener(edit)
    edit.another("other", "127.0.0.1")
    host = edit.top["static_resources"]["listeners"][1]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]["route_config"]["virtual_hosts"][0]
    host["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster": "other"}}]


@breaks("way-without-gate")
def second_listener_of_quic(edit: Edit) -> None:
    manager = edit.quic()["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["http_filters"][:-1]


@breaks("way-without-gate")
def api_listener(edit: Edit) -> None:
    manager = {**edit.manager, "http_filters": edit.filters[-1:]}
    listener = {"name": "inside", "api_listener": {"api_listener": manager}}
    edit.top["static_resources"]["listeners"].append(listener)


@breaks("way-gate-disabled")
def disabled_on_a_route(edit: Edit) -> None:
    edit.route["typed_per_filter_config"][GATE] = {"@type": PER_ROUTE, "disabled": True}


@breaks("way-gate-disabled")
def disabled_on_a_hidden_route(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    route = {"match": {"prefix": "/x"}, "route": {"cluster": "provider"}}
    edit.host["routes"].append({**route, "typed_per_filter_config": off})


@breaks("way-gate-disabled")
def disabled_by_a_generic_setting_on_the_host(edit: Edit) -> None:
    off = {"@type": FILTER_CONFIG, "disabled": True}
    edit.host["typed_per_filter_config"] = {GATE: off}
    del edit.route["typed_per_filter_config"]


@breaks("way-gate-disabled")
def disabled_for_one_of_two_clusters(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    del edit.action["cluster"]
    one = {"name": "provider", "weight": 1}
    edit.action["weighted_clusters"] = {"clusters": [one, {**one, "typed_per_filter_config": off}]}


@breaks("way-gate-disabled")
def disabled_in_the_chain(edit: Edit) -> None:
    edit.filters[edit.at]["disabled"] = True
    del edit.route["typed_per_filter_config"]


@breaks("way-gate-disabled")
def disabled_inside_a_tree_of_matchers(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    route = {"match": {"prefix": "/x"}, "route": {"cluster": "provider"}}
    typed = {"@type": f"{TYPES}envoy.config.route.v3.Route", **route}
    action = {"name": "r", "typed_config": {**typed, "typed_per_filter_config": off}}
    edit.host["matcher"] = {"on_no_match": {"action": action}}


@breaks("way-gate-disabled")
def disabled_by_a_generic_setting_around_the_filters_own(edit: Edit) -> None:
    inner = {"@type": PER_ROUTE, "disabled": True}
    generic = {"@type": FILTER_CONFIG, "config": inner}
    edit.route["typed_per_filter_config"][GATE] = generic


@breaks("way-another-authoriser")
def another_authoriser_on_a_route(edit: Edit) -> None:
    edit.settings["grpc_service"] = {"envoy_grpc": {"cluster_name": "provider"}}


@breaks("way-body-skipped")
def body_skipped_on_calls(edit: Edit) -> None:
    edit.settings["disable_request_body_buffering"] = True


@breaks("way-body-skipped")
def upload_route_that_takes_calls(edit: Edit) -> None:
    edit.upload["match"] = {"prefix": "/v1/"}


@breaks("way-body-skipped")
def upload_route_by_a_policy(edit: Edit) -> None:
    edit.upload["match"] = {"path_match_policy": {"name": "envoy.path.match.uri_template"}}


@breaks("way-body-skipped")
def upload_route_by_what_only_envoy_can_read(edit: Edit) -> None:
    edit.upload["match"] = {"safe_regex": {"regex": r"/v1/files/\pN+"}}


@breaks("way-body-skipped")
def upload_that_is_not_called_one(edit: Edit) -> None:
    settings = edit.upload["typed_per_filter_config"][GATE]["check_settings"]
    settings["context_extensions"]["route_class"] = "api"


@breaks("way-provider-unnamed")
def provider_unnamed(edit: Edit) -> None:
    del edit.settings["context_extensions"]["provider"]


@breaks("way-provider-unnamed")
def provider_named_under_another_filter(edit: Edit) -> None:
    settings = edit.route["typed_per_filter_config"]
    settings["authz"] = settings.pop(GATE)


def _tcp(edit: Edit, cluster: str, **chain: object) -> None:
    proxy = {"@type": f"{NETWORK}tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": cluster}
    entry = {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
    edit.listener["filter_chains"].append({"filters": [entry], **chain})


@breaks("way-tcp")
def tcp_to_the_provider(edit: Edit) -> None:
    _tcp(edit, "provider")


@breaks("way-tcp")
def tcp_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    _tcp(edit, "other")


@breaks("way-tcp")
def tcp_where_no_chain_matches(edit: Edit) -> None:
    _tcp(edit, "provider")
    edit.listener["default_filter_chain"] = edit.listener["filter_chains"].pop()


@breaks(
    "way-tcp",
    "cluster-provider-plaintext",
    options=Options(provider_hosts=("*.models.example",)),
)
def tcp_to_a_host_that_an_operator_names(edit: Edit) -> None:
    edit.another("egress", "eu.models.example")
    _tcp(edit, "egress")


@breaks("way-tcp")
def tls_passed_through_by_name(edit: Edit) -> None:
    edit.another("egress", "127.0.0.1")
    _tcp(edit, "egress", filter_chain_match={"server_names": ["api.openai.com"]})


@breaks("way-tcp")
def passed_through_to_wherever(edit: Edit) -> None:
    edit.clusters.append({"name": "passthrough", "type": "ORIGINAL_DST"})
    _tcp(edit, "passthrough")


@breaks("way-tcp")
def tcp_in_a_listener_of_quic(edit: Edit) -> None:
    _tcp(edit, "provider")
    edit.quic()["filter_chains"][0]["filters"] = edit.listener["filter_chains"].pop()["filters"]


def _routed(action: dict[str, object]) -> dict[str, object]:
    """A UDP proxy's tree of matchers: one action for an address, another one for the rest."""
    source = f"{TYPES}envoy.extensions.matching.common_inputs.network.v3.SourceIPInput"
    to_gate = {"@type": f"{UDP_PROXY}v3.Route", "cluster": "gate"}
    tree = {
        "input": {"name": "source", "typed_config": {"@type": source}},
        "exact_match_map": {"map": {"127.0.0.9": {"action": {"name": "a", **action}}}},
    }
    rest = {"action": {"name": "gate", "typed_config": to_gate}}
    return {"on_no_match": {"matcher": {"matcher_tree": tree, "on_no_match": rest}}}


@breaks("way-udp")
def udp_to_the_provider(edit: Edit) -> None:
    edit.datagrams(cluster="provider")


@breaks("way-udp")
def udp_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    edit.datagrams(cluster="other")


@breaks("way-udp")
def udp_by_a_matcher(edit: Edit) -> None:
    route = {"@type": f"{UDP_PROXY}v3.Route", "cluster": "provider"}
    edit.datagrams(matcher=_routed({"typed_config": route}))


@breaks("way-udp")
def udp_to_wherever(edit: Edit) -> None:
    edit.clusters.append({"name": "passthrough", "type": "ORIGINAL_DST"})
    edit.datagrams(cluster="passthrough")


@breaks("way-udp")
def udp_through_a_tunnel(edit: Edit) -> None:
    edit.another("egress", "127.0.0.1")
    tunnel = {"proxy_host": "egress.example", "target_host": "api.openai.com"}
    edit.datagrams(cluster="egress", tunneling_config=tunnel)


@breaks("way-udp")
def udp_and_nothing_else(edit: Edit) -> None:
    # With the routes goes what showed this cluster to be a provider.
    edit.datagrams(cluster="provider")
    del edit.top["static_resources"]["listeners"][0]


@breaks("way-client-chooses")
def cluster_from_a_header(edit: Edit) -> None:
    del edit.action["cluster"]
    edit.action["cluster_header"] = "x-cluster"


@breaks("way-client-chooses")
def host_from_a_header(edit: Edit) -> None:
    edit.action["host_rewrite_header"] = "x-host"


@breaks("way-client-chooses")
def address_from_a_header(edit: Edit) -> None:
    edit.clusters[1]["type"] = "ORIGINAL_DST"
    del edit.clusters[1]["load_assignment"]


@breaks("way-client-chooses")
def upstream_from_the_greeting(edit: Edit) -> None:
    sni = {"@type": f"{NETWORK}sni_cluster.v3.SniCluster"}
    edit.chain["filters"].insert(0, {"name": "sni", "typed_config": sni})


@breaks("way-mirror")
def mirrored_to_the_provider(edit: Edit) -> None:
    edit.action["request_mirror_policies"] = [{"cluster": "provider"}]


@breaks("way-mirror")
def mirrored_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    edit.table["request_mirror_policies"] = [{"cluster": "other"}]


@breaks("way-internal-redirect")
def redirects_followed(edit: Edit) -> None:
    edit.action["internal_redirect_policy"] = {"max_internal_redirects": 1}


@breaks("way-retry")
def retried(edit: Edit) -> None:
    edit.host["retry_policy"] = {"retry_on": "5xx"}


@breaks("way-upgrade")
def websocket_everywhere(edit: Edit) -> None:
    edit.manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]


@breaks("way-upgrade")
def websocket_on_calls(edit: Edit) -> None:
    edit.manager["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": False}]
    edit.action["upgrade_configs"] = [{"upgrade_type": "websocket"}]


@breaks("way-upgrade")
def websocket_on_a_route_of_its_own(edit: Edit) -> None:
    route = dict(edit.route, match={"path": "/v1/realtime"})
    route["route"] = {**edit.action, "upgrade_configs": [{"upgrade_type": "websocket"}]}
    edit.host["routes"].insert(0, route)


@breaks("way-upgrade")
def tunnels(edit: Edit) -> None:
    route = dict(edit.route, match={"connect_matcher": {}})
    connect = {"upgrade_type": "CONNECT", "connect_config": {}}
    route["route"] = {**edit.action, "upgrade_configs": [connect]}
    edit.host["routes"].insert(0, route)


@breaks("way-upgrade-chain")
def upgraded_past_the_gate(edit: Edit) -> None:
    router = edit.filters[-1]
    config = {"upgrade_type": "websocket", "enabled": False, "filters": [router]}
    edit.manager["upgrade_configs"] = [config]


# ---- order ---------------------------------------------------------------------------------------


@breaks("order-code-before-gate")
def lua_before(edit: Edit) -> None:
    edit.insert(0, "lua.v3.Lua", default_source_code={"inline_string": "x = 1"})


@breaks("order-body-before-gate")
def decompressed_before(edit: Edit) -> None:
    edit.insert(0, "decompressor.v3.Decompressor")


@breaks("order-cache-before-gate")
def cached_before(edit: Edit) -> None:
    edit.insert(0, "cache.v3.CacheConfig")


@breaks("order-key-before-gate")
def key_before(edit: Edit) -> None:
    edit.filters.insert(edit.at, edit.filters.pop(edit.at + 1))


@breaks("order-changed-behind-gate")
def lua_behind(edit: Edit) -> None:
    edit.insert(1, "lua.v3.Lua", default_source_code={"inline_string": "x = 1"})


@breaks("order-changed-behind-gate")
def decompressed_behind(edit: Edit) -> None:
    edit.insert(2, "decompressor.v3.Decompressor")


@breaks("order-changed-behind-gate")
def type_changed_behind(edit: Edit) -> None:
    header = {"key": "content-type", "value": "multipart/form-data; boundary=x"}
    append = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mutation = {"request_mutations": [{"append": append}]}
    edit.insert(1, "header_mutation.v3.HeaderMutation", mutations=mutation)


@breaks("order-changed-behind-gate")
def processed_behind_by_somebody_else(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)


@breaks("order-changed-behind-gate")
def lua_in_the_router(edit: Edit) -> None:
    lua = {"name": "lua", "typed_config": {"@type": f"{HTTP}lua.v3.Lua"}}
    edit.filters[-1]["typed_config"]["upstream_http_filters"] = [lua]


@breaks("order-changed-behind-gate")
def lua_in_the_cluster(edit: Edit) -> None:
    (options,) = edit.clusters[1]["typed_extension_protocol_options"].values()
    lua = {"name": "lua", "typed_config": {"@type": f"{HTTP}lua.v3.Lua"}}
    options["http_filters"] = [lua]


@breaks("order-elsewhere")
def forwarded_by_host(edit: Edit) -> None:
    edit.insert(2, "dynamic_forward_proxy.v3.FilterConfig")


@breaks("order-reader-fail-open")
def reader_fail_open(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service, failure_mode_allow=True)


@breaks("order-reader-fail-open")
def reader_fail_open_on_a_route(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)
    per_route = {
        "@type": f"{HTTP}ext_proc.v3.ExtProcPerRoute",
        "overrides": {"failure_mode_allow": True},
    }
    edit.route["typed_per_filter_config"]["ext_proc"] = per_route


@breaks("order-second-authoriser")
def asked_twice(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_authz.v3.ExtAuthz", grpc_service=service)


# ---- path ----------------------------------------------------------------------------------------


@breaks("path-rewritten")
def path_rewritten(edit: Edit) -> None:
    edit.action["prefix_rewrite"] = "/v2/"


@breaks("path-filter-view")
def path_for_filters(edit: Edit) -> None:
    edit.manager["path_normalization_options"] = {"http_filter_transformation": {}}


@breaks("path-normalized")
def path_normalized(edit: Edit) -> None:
    edit.manager["normalize_path"] = True


@breaks("path-normalized")
def path_left_to_runtime(edit: Edit) -> None:
    del edit.manager["normalize_path"]


@breaks("path-normalized")
def slashes_merged(edit: Edit) -> None:
    edit.manager["merge_slashes"] = True


@breaks("path-escaped-slashes")
def slashes_unescaped(edit: Edit) -> None:
    edit.manager["path_with_escaped_slashes_action"] = "UNESCAPE_AND_FORWARD"


@breaks("path-escaped-slashes")
def slashes_rejected(edit: Edit) -> None:
    edit.manager["path_with_escaped_slashes_action"] = 2


@breaks("path-parameters-ignored")
def parameters_ignored(edit: Edit) -> None:
    edit.table["ignore_path_parameters_in_path_matching"] = True


@breaks("path-header-changed")
def encoding_set(edit: Edit) -> None:
    header = {"key": "Content-Encoding", "value": "gzip"}
    edit.route["request_headers_to_add"] = [{"header": header}]


@breaks("path-header-changed")
def type_removed(edit: Edit) -> None:
    edit.host["request_headers_to_remove"].append("content-type")


# ---- trust ---------------------------------------------------------------------------------------


@breaks("trust-certificate-header")
def certificate_header_of_anybody(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"


@breaks("trust-certificate-header")
def certificate_header_of_nobody(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "APPEND_FORWARD"


@breaks("trust-certificate-header", "trust-client-unverified", base="mtls")
def certificate_header_of_any_certificate(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "FORWARD_ONLY"
    certificate_not_verified(edit)


@breaks("trust-certificate-header", base="mtls")
def certificate_header_of_a_proxy(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "FORWARD_ONLY"


@breaks("trust-certificate-header", base="mtls")
def certificate_header_always(edit: Edit) -> None:
    edit.manager["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"


@breaks("trust-client-address")
def address_of_the_client(edit: Edit) -> None:
    edit.manager["use_remote_address"] = False


@breaks("trust-client-address")
def address_of_a_hop(edit: Edit) -> None:
    edit.manager["xff_num_trusted_hops"] = 1


@breaks("trust-peer-address")
def peer_told_by_the_connection(edit: Edit) -> None:
    edit.before("proxy_protocol.v3.ProxyProtocol", allow_requests_without_proxy_protocol=True)


@breaks("trust-peer-address")
def peer_told_by_the_connection_of_a_chain(edit: Edit) -> None:
    edit.chain["use_proxy_proto"] = True


@breaks("trust-peer-address")
def destination_before_a_redirection(edit: Edit) -> None:
    edit.before("original_dst.v3.OriginalDst")


@breaks("trust-peer-address")
def destination_before_a_redirection_by_the_listener(edit: Edit) -> None:
    edit.listener["use_original_dst"] = True


@breaks("trust-envoy-headers")
def steered(edit: Edit) -> None:
    del edit.early[-1]


@breaks("trust-own-headers")
def own_headers_of_the_client(edit: Edit) -> None:
    edit.early[:] = [one for one in edit.early if "x-admissibility-" not in str(one)]


@breaks("trust-credential-leaves")
def credential_leaves(edit: Edit) -> None:
    edit.host["request_headers_to_remove"].remove("x-environment-credential")


@breaks("trust-underscores")
def underscores(edit: Edit) -> None:
    del edit.manager["common_http_protocol_options"]["headers_with_underscores_action"]


@breaks("trust-request-id")
def request_id_of_the_client(edit: Edit) -> None:
    edit.manager["preserve_external_request_id"] = True


@breaks("trust-lenient-http")
def two_lengths(edit: Edit) -> None:
    edit.manager["http_protocol_options"] = {"allow_chunked_length": True, "accept_http_10": True}


@breaks("trust-plaintext-listener")
def plain_listener(edit: Edit) -> None:
    edit.listener["address"]["socket_address"]["address"] = "0.0.0.0"


@breaks("trust-client-unverified")
def certificate_unverified_over_quic(edit: Edit) -> None:
    edit.quic(require_client_certificate=True)


@breaks("trust-client-unverified", base="mtls")
def certificate_not_required(edit: Edit) -> None:
    edit.chain["transport_socket"]["typed_config"]["require_client_certificate"] = False


@breaks("trust-client-unverified", base="mtls")
def certificate_not_verified(edit: Edit) -> None:
    del edit.chain["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]


@breaks("trust-reply-rewritten")
def refusals_are_ok(edit: Edit) -> None:
    edit.manager["local_reply_config"] = {"mappers": [{"status_code": 200}]}


# ---- key -----------------------------------------------------------------------------------------


@breaks("key-in-file")
def key_in_a_header(edit: Edit) -> None:
    header = {"key": "api-key", "value": "0123456789abcdef"}
    edit.route["request_headers_to_add"] = [{"header": header}]


@breaks("key-in-file")
def key_as_a_secret(edit: Edit) -> None:
    secret = {"secret": {"inline_string": "Bearer sk-proj-0123456789abcdef"}}
    edit.top["static_resources"]["secrets"] = [{"name": "provider", "generic_secret": secret}]


@breaks("key-in-file")
def secret_of_any_form(edit: Edit) -> None:
    secret = {"secret": {"inline_bytes": "aHVudGVyMg=="}}
    edit.top["static_resources"]["secrets"] = [{"name": "provider", "generic_secret": secret}]


@breaks("key-of-client")
def other_key_of_the_client(edit: Edit) -> None:
    edit.early.remove({"remove": "api-key"})


@breaks("key-of-client", options=Options(provider_clusters=frozenset({"provider"})))
def only_keys_of_clients(edit: Edit) -> None:
    del edit.filters[edit.at + 1]
    del edit.early[:5]


@breaks("key-not-overwritten")
def key_not_overwritten(edit: Edit) -> None:
    edit.injector["overwrite"] = False


@breaks("key-not-overwritten", "key-of-client")
def key_of_the_client_first(edit: Edit) -> None:
    edit.injector["overwrite"] = False
    edit.early.remove({"remove": "authorization"})


@breaks("key-left-out")
def key_left_out(edit: Edit) -> None:
    edit.injector["allow_request_without_credential"] = True


# ---- cluster -------------------------------------------------------------------------------------


@breaks("cluster-gate-remote")
def gate_far_away(edit: Edit) -> None:
    endpoints = edit.clusters[0]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"]["address"] = "192.0.2.1"


@breaks("cluster-gate-elsewhere")
def gate_or_something_else(edit: Edit) -> None:
    del edit.clusters[0]["type"]
    edit.clusters[0]["cluster_type"] = {"name": "envoy.clusters.aggregate"}


def _hosted(edit: Edit, **context: object) -> None:
    endpoints = edit.clusters[1]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"] = {"address": "api.openai.com", "port_value": 443}
    if context:
        typed = {"@type": f"{TYPES}{TLS}UpstreamTlsContext", "sni": "api.openai.com", **context}
        edit.clusters[1]["transport_socket"] = {"name": "tls", "typed_config": typed}


@breaks("cluster-provider-plaintext")
def provider_in_the_open(edit: Edit) -> None:
    _hosted(edit)


@breaks("cluster-provider-plaintext")
def model_server_in_the_open(edit: Edit) -> None:
    _hosted(edit)
    endpoints = edit.clusters[1]["load_assignment"]["endpoints"]
    address = endpoints[0]["lb_endpoints"][0]["endpoint"]["address"]
    address["socket_address"]["address"] = "vllm.example"


@breaks("cluster-provider-unverified")
def any_certificate(edit: Edit) -> None:
    _hosted(edit, common_tls_context={})


@breaks("cluster-provider-unverified")
def any_name(edit: Edit) -> None:
    trusted = {"trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"}}
    _hosted(edit, common_tls_context={"validation_context": trusted})


@breaks("cluster-provider-unverified")
def untrusted_accepted(edit: Edit) -> None:
    context = {
        "trusted_ca": {"filename": "/ca.pem"},
        "trust_chain_verification": "ACCEPT_UNTRUSTED",
    }
    _hosted(edit, common_tls_context={"validation_context": context})


# ---- admin, runtime, limits ----------------------------------------------------------------------


@breaks("admin-remote")
def admin_far_away(edit: Edit) -> None:
    edit.top["admin"]["address"]["socket_address"]["address"] = "0.0.0.0"


@breaks("admin-writable")
def admin_of_everything(edit: Edit) -> None:
    del edit.top["admin"]["allow_paths"]


@breaks("admin-writable")
def admin_of_the_runtime(edit: Edit) -> None:
    edit.top["admin"]["allow_paths"].append({"prefix": "/runtime"})


@breaks("runtime-mutable")
def runtime_of_the_admin(edit: Edit) -> None:
    edit.top["layered_runtime"]["layers"].append({"name": "admin", "admin_layer": {}})


@breaks("runtime-mutable")
def runtime_without_layers(edit: Edit) -> None:
    edit.top["layered_runtime"] = {}


@breaks("runtime-overrides-gate")
def runtime_says_otherwise(edit: Edit) -> None:
    layer = {"admissibility": {"deny_at_disable": False}}
    edit.top["layered_runtime"]["layers"][0]["static_layer"] = layer


@breaks("limit-stream-duration")
def streams_for_ever(edit: Edit) -> None:
    del edit.action["max_stream_duration"]
    del edit.manager["common_http_protocol_options"]["max_stream_duration"]


@breaks("limit-stream-duration")
def streams_for_ever_on_a_route(edit: Edit) -> None:
    edit.action["max_stream_duration"]["max_stream_duration"] = "0s"


@breaks("limit-stream-duration")
def streams_for_a_day(edit: Edit) -> None:
    edit.action["max_stream_duration"]["max_stream_duration"] = "86400s"


@breaks("limit-idle")
def idle_for_ever(edit: Edit) -> None:
    edit.manager["stream_idle_timeout"] = "0s"


@breaks("limit-slow-senders")
def slow_senders(edit: Edit) -> None:
    del edit.manager["request_timeout"]


# ---- unchecked -----------------------------------------------------------------------------------


@breaks("unchecked-nothing")
def no_listener(edit: Edit) -> None:
    del edit.top["static_resources"]["listeners"]


@breaks("unchecked-listeners")
def listeners_from_a_file(edit: Edit) -> None:
    edit.top["dynamic_resources"] = {"lds_config": {"path_config_source": {"path": "/lds.yaml"}}}


@breaks("unchecked-listeners")
def chains_from_elsewhere(edit: Edit) -> None:
    edit.listener["fcds_config"] = {}


@breaks("unchecked-clusters")
def clusters_from_a_file(edit: Edit) -> None:
    edit.top["dynamic_resources"] = {"cds_config": {"path_config_source": {"path": "/cds.yaml"}}}


@breaks("unchecked-routes", "unchecked-nothing")
def routes_from_elsewhere(edit: Edit) -> None:
    del edit.manager["route_config"]
    edit.manager["rds"] = {"route_config_name": "provider"}


@breaks("unchecked-routes")
def hosts_from_elsewhere(edit: Edit) -> None:
    edit.table["vhds"] = {}


@breaks("unchecked-routes")
def routes_by_extension(edit: Edit) -> None:
    edit.route["route_specifiers"] = [{"name": "x"}]


@breaks("unchecked-filter")
def unknown_filter(edit: Edit) -> None:
    edit.insert(1, "acme.v1.Acme")


@breaks("unchecked-filter")
def filter_from_elsewhere(edit: Edit) -> None:
    edit.filters.insert(edit.at + 1, {"name": "some", "config_discovery": {"type_urls": ["x/y"]}})


@breaks("unchecked-filter")
def unknown_network_filter(edit: Edit) -> None:
    wasm = {"@type": f"{NETWORK}wasm.v3.Wasm"}
    edit.chain["filters"].insert(0, {"name": "wasm", "typed_config": wasm})


@breaks("unchecked-filter")
def unknown_listener_filter(edit: Edit) -> None:
    edit.before("dynamic_modules.v3.DynamicModuleListenerFilter")


@breaks("unchecked-filter")
def listener_filter_from_elsewhere(edit: Edit) -> None:
    entry = {"name": "some", "config_discovery": {"type_urls": ["x/y"]}}
    edit.listener["listener_filters"] = [entry]


@breaks("unchecked-filter")
def unknown_filter_of_datagrams(edit: Edit) -> None:
    edit.datagrams(cluster="gate")["@type"] = f"{TYPES}acme.v1.Datagrams"


@breaks("unchecked-filter")
def unknown_filters_of_sessions(edit: Edit) -> None:
    kind = f"{UDP_PROXY}session.dynamic_forward_proxy.v3.FilterConfig"
    known = {"name": "envoy.filters.udp.session.dynamic_forward_proxy"}
    discovered = {"name": "some", "config_discovery": {"type_urls": ["x/y"]}}
    sessions = [{**known, "typed_config": {"@type": kind}}, discovered]
    edit.datagrams(cluster="gate", session_filters=sessions)


@breaks("unchecked-gate-conditional")
def gate_from_elsewhere(edit: Edit) -> None:
    source = {"type_urls": [f"{HTTP}ext_authz.v3.ExtAuthz"]}
    edit.filters.insert(edit.at + 1, {"name": "some", "config_discovery": source})


@breaks("unchecked-gate-conditional", "way-without-gate")
def gate_in_a_matcher(edit: Edit) -> None:
    matched = f"{TYPES}envoy.extensions.common.matching.v3.ExtensionWithMatcher"
    inner = {"name": "gate", "typed_config": dict(edit.gate)}
    typed = {"@type": matched, "extension_config": inner}
    edit.filters[edit.at] = {"name": GATE, "typed_config": typed}


@breaks("unchecked-route-settings")
def unknown_settings(edit: Edit) -> None:
    edit.host["typed_per_filter_config"] = {GATE: {"@type": f"{HTTP}acme.v1.Acme"}}


@breaks("unchecked-destination")
def cluster_by_plugin(edit: Edit) -> None:
    del edit.action["cluster"]
    edit.action["cluster_specifier_plugin"] = "plugin"


@breaks("unchecked-destination")
def cluster_not_there(edit: Edit) -> None:
    edit.action["cluster"] = "elsewhere"


@breaks("unchecked-destination")
def udp_without_a_cluster(edit: Edit) -> None:
    edit.datagrams()


@breaks("unchecked-destination")
def udp_by_an_unknown_action(edit: Edit) -> None:
    action = {"@type": f"{TYPES}acme.v1.Route", "cluster": "gate"}
    edit.datagrams(matcher=_routed({"typed_config": action}))


@breaks("unchecked-destination")
def unknown_action(edit: Edit) -> None:
    route = {"match": {"prefix": "/x"}, "filter_action": {}}
    edit.host["routes"].insert(0, route)


@breaks("unchecked-field")
def unknown_setting(edit: Edit) -> None:
    edit.gate["skip_on_tuesdays"] = True


@breaks("unchecked-field")
def unknown_settings_of_datagrams(edit: Edit) -> None:
    edit.datagrams(cluster="gate", tunneling_config={"hop": 1}, routes=[])
    listener = edit.quic()
    listener["udp_listener_config"]["listener_name"] = "x"
    listener["udp_listener_config"]["quic_options"]["versions"] = []
    edit.before("tls_inspector.v3.TlsInspector")
    edit.listener["listener_filters"][0]["disabled"] = True


@breaks("unchecked-gate", "order-second-authoriser", "gate-timeout")
def which_gate(edit: Edit) -> None:
    edit.clusters[0]["name"] = "authz"
    edit.gate["grpc_service"]["envoy_grpc"]["cluster_name"] = "authz"
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_authz.v3.ExtAuthz", **{**edit.gate, "grpc_service": service})


@breaks("unchecked-bootstrap")
def dump_without_bootstrap(edit: Edit) -> None:
    dumped = f"{TYPES}envoy.admin.v3."
    listeners = [{"listener": edit.listener}]
    clusters = [{"cluster": cluster} for cluster in edit.clusters]
    edit.top = {
        "configs": [
            {"@type": f"{dumped}ListenersConfigDump", "static_listeners": listeners},
            {"@type": f"{dumped}ClustersConfigDump", "static_clusters": clusters},
        ]
    }
