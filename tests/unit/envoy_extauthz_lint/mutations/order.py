"""What stands before the gate, or behind it, in the chain of filters."""

from __future__ import annotations

from typing import Any

from tests.unit.envoy_extauthz_lint.edit import HTTP, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks


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
    edit.filters.insert(edit.at, edit.filters.pop(edit.at + 2))


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


@breaks("order-processor-fail-open")
def reader_fail_open(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service, failure_mode_allow=True)


@breaks("order-processor-fail-open")
def reader_fail_open_on_a_route(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)
    per_route = {
        "@type": f"{HTTP}ext_proc.v3.ExtProcPerRoute",
        "overrides": {"failure_mode_allow": True},
    }
    edit.route["typed_per_filter_config"]["ext_proc"] = per_route


@breaks("order-second-authz")
def asked_twice(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    edit.insert(1, "ext_authz.v3.ExtAuthz", grpc_service=service)


def _direction(enabled: bool) -> dict[str, object]:
    """The direction of requests of a compressor or decompressor."""
    flag = {"default_value": enabled}
    return {"request_direction_config": {"common_config": {"enabled": flag}}}


def _library(edit: Edit, place: int, name: str, **settings: object) -> None:
    """A compressor or decompressor with gzip."""
    part, kind = f"{name}_library", f"compression.gzip.{name}.v3.Gzip"
    typed = {"@type": f"{TYPES}envoy.extensions.{kind}"}
    library = {part: {"name": "gzip", "typed_config": typed}}
    edit.insert(place, f"{name}.v3.{name.capitalize()}", **library, **settings)


@breaks("order-changed-behind-gate")
def requests_compressed_behind(edit: Edit) -> None:
    _library(edit, 1, "compressor", request_direction_config={})


@breaks("order-body-before-gate")
def requests_compressed_before(edit: Edit) -> None:
    _library(edit, 0, "compressor", request_direction_config={})


@breaks("order-changed-behind-gate")
def body_processed_on_a_route(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    mode = {"request_header_mode": "SKIP", "response_header_mode": "SKIP"}
    kind = "ext_proc.v3.ExternalProcessor"
    edit.insert(1, kind, grpc_service=service, processing_mode=mode)
    overrides = {"processing_mode": {**mode, "request_body_mode": "BUFFERED"}}
    per_route = {"@type": f"{HTTP}ext_proc.v3.ExtProcPerRoute", "overrides": overrides}
    edit.route["typed_per_filter_config"]["ext_proc"] = per_route


@breaks("order-key-before-gate")
def key_on_arrival(edit: Edit) -> None:
    header = {"key": "authorization", "value": "Bearer %ENVIRONMENT(KEY)%"}
    action = "OVERWRITE_IF_EXISTS_OR_ADD"
    edit.early.append({"append": {"header": header, "append_action": action}})


@breaks("order-key-before-gate")
def key_by_header_mutation_before(edit: Edit) -> None:
    header = {"key": "api-key", "value": "%ENVIRONMENT(KEY)%"}
    append = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mutations = {"request_mutations": [{"append": append}]}
    edit.insert(0, "header_mutation.v3.HeaderMutation", mutations=mutations)


@breaks("order-second-authz")
def asked_twice_on_a_route_that_enables_it(edit: Edit) -> None:
    second = edit.copy_of_the_gate("provider")
    edit.filters.insert(-1, {**second, "disabled": True})
    per_route = {"@type": f"{HTTP}ext_authz.v3.ExtAuthzPerRoute", "check_settings": {}}
    edit.route["typed_per_filter_config"]["second"] = per_route


# ---- What a chain does not show at first sight -------------------------------------------------

LUA = {"@type": f"{HTTP}lua.v3.Lua", "default_source_code": {"inline_string": "x = 1"}}
MATCHED = f"{TYPES}envoy.extensions.common.matching.v3.ExtensionWithMatcher"


def query_changed(edit: Edit, holder: dict[str, Any]) -> None:
    """A level of a route has a filter behind the gate change the query."""
    edit.insert(1, "header_mutation.v3.HeaderMutation")
    record = {"record": {"key": "model", "value": "other"}}
    mutations = {"query_parameter_mutations": [{"append": record}]}
    kind = f"{HTTP}header_mutation.v3.HeaderMutationPerRoute"
    settings = holder.setdefault("typed_per_filter_config", {})
    settings["header_mutation"] = {"@type": kind, "mutations": mutations}


def matched(filter_: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    """A filter in a matcher, with an action for requests that have the header ``x-special``."""
    header = {
        "@type": f"{TYPES}envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": "x-special",
    }
    tree = {
        "input": {"name": "header", "typed_config": header},
        "exact_match_map": {"map": {"1": {"action": {"name": "a", "typed_config": action}}}},
    }
    extension = {"name": "inner", "typed_config": filter_}
    return {"@type": MATCHED, "extension_config": extension, "xds_matcher": {"matcher_tree": tree}}


def _skipped(filter_: dict[str, Any]) -> dict[str, Any]:
    kind = f"{TYPES}envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
    return matched(filter_, {"@type": kind})


@breaks("order-changed-behind-gate")
def query_changed_by_the_host(edit: Edit) -> None:
    query_changed(edit, edit.host)


@breaks("order-changed-behind-gate")
def query_changed_by_the_table(edit: Edit) -> None:
    query_changed(edit, edit.table)


@breaks("order-changed-behind-gate")
def query_changed_for_one_cluster(edit: Edit) -> None:
    one = {"name": edit.action.pop("cluster"), "weight": 1}
    edit.action["weighted_clusters"] = {"clusters": [one]}
    query_changed(edit, one)


@breaks("order-processor-fail-open")
def reader_fail_open_on_a_host(edit: Edit) -> None:
    service = {"envoy_grpc": {"cluster_name": "gate"}}
    edit.insert(1, "ext_proc.v3.ExternalProcessor", grpc_service=service)
    kind = f"{HTTP}ext_proc.v3.ExtProcPerRoute"
    per_route = {"@type": kind, "overrides": {"failure_mode_allow": True}}
    edit.host["typed_per_filter_config"] = {"ext_proc": per_route}


@breaks("order-changed-behind-gate", "unchecked-filter")
def lua_in_a_matcher(edit: Edit) -> None:
    edit.filters.insert(-1, {"name": "matched", "typed_config": _skipped(LUA)})


@breaks("order-changed-behind-gate", "unchecked-filter")
def lua_chosen_at_run_time(edit: Edit) -> None:
    action = {
        "@type": f"{HTTP}composite.v3.ExecuteFilterAction",
        "typed_config": {"name": "lua", "typed_config": LUA},
    }
    composite = {"@type": f"{HTTP}composite.v3.Composite"}
    edit.filters.insert(-1, {"name": "chosen", "typed_config": matched(composite, action)})


@breaks("order-changed-behind-gate", "unchecked-filter")
def lua_in_a_matcher_in_the_router(edit: Edit) -> None:
    codec = {"@type": f"{HTTP}upstream_codec.v3.UpstreamCodec"}
    edit.filters[-1]["typed_config"]["upstream_http_filters"] = [
        {"name": "matched", "typed_config": _skipped(LUA)},
        {"name": "codec", "typed_config": codec},
    ]


@breaks("gate-route-cache")
def route_selected_again_behind(edit: Edit) -> None:
    value = {
        "object_key": "tenant",
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": "%REQ(x-tenant)%"}},
    }
    kind = "set_filter_state.v3.Config"
    edit.insert(1, kind, on_request_headers=[value], clear_route_cache=True)


@breaks("gate-route-cache")
def route_selected_again_by_a_processor(edit: Edit) -> None:
    edit.insert(
        1,
        "ext_proc.v3.ExternalProcessor",
        grpc_service={"envoy_grpc": {"cluster_name": "gate"}},
        route_cache_action="CLEAR",
    )


def _told_by_the_body(rules: str) -> dict[str, Any]:
    """Rules by which the body's model becomes dynamic metadata."""
    target = {"metadata_namespace": "acme.model", "key": "model"}
    rule = {"selectors": [{"key": "model"}], "on_present": target}
    return {rules: {"rules": [rule]}}


@breaks("gate-route-cache")
def route_selected_again_by_the_body(edit: Edit) -> None:
    edit.insert(1, "json_to_metadata.v3.JsonToMetadata", **_told_by_the_body("request_rules"))


@breaks("gate-route-cache")
def route_selected_again_by_tags(edit: Edit) -> None:
    loopback = {"address_prefix": "127.0.0.0", "prefix_len": 8}
    tags = [{"ip_tag_name": "inside", "ip_list": [loopback]}]
    edit.insert(1, "ip_tagging.v3.IPTagging", ip_tags=tags)


def model_of_the_body_before(edit: Edit) -> None:
    edit.insert(0, "json_to_metadata.v3.JsonToMetadata", **_told_by_the_body("request_rules"))


def model_of_the_answer_behind(edit: Edit) -> None:
    edit.insert(1, "json_to_metadata.v3.JsonToMetadata", **_told_by_the_body("response_rules"))


def query_changed_before(edit: Edit) -> None:
    query_changed(edit, edit.host)
    (at,) = [at for at, one in enumerate(edit.filters) if one["name"] == "header_mutation"]
    edit.filters.insert(edit.at, edit.filters.pop(at))


def responses_compressed(edit: Edit) -> None:
    _library(edit, 1, "compressor")


def requests_not_compressed(edit: Edit) -> None:
    _library(edit, 1, "compressor", **_direction(False))


def responses_decompressed(edit: Edit) -> None:
    _library(edit, 1, "decompressor", **_direction(False))


def second_authoriser_that_no_route_enables(edit: Edit) -> None:
    edit.filters.insert(-1, {**edit.copy_of_the_gate("provider"), "disabled": True})


def token_of_the_client_renamed_before(edit: Edit) -> None:
    append = {"header": {"key": "x-tenant", "value": "%REQ(x-team)%"}}
    edit.insert(
        0,
        "header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": [{"append": append}]},
    )


HARMLESS = (
    query_changed_before,
    model_of_the_body_before,
    model_of_the_answer_behind,
    responses_compressed,
    requests_not_compressed,
    responses_decompressed,
    second_authoriser_that_no_route_enables,
    token_of_the_client_renamed_before,
)
"""Near misses: what a rule of this family must not take for what it is about."""
