"""The filter that asks the gate: it is soft, blind, slow, or believed in the wrong thing."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks


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
def account_disallowed(edit: Edit) -> None:
    edit.gate["disallowed_headers"]["patterns"].append({"prefix": "openai-"})


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


@breaks("gate-deny-at-disable", "gate-not-always")
def off_by_a_runtime_key_and_open_otherwise(edit: Edit) -> None:
    edit.gate["filter_enabled"]["runtime_key"] = "gate.enabled"
    del edit.gate["deny_at_disable"]
