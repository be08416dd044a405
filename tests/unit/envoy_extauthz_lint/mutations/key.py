"""The provider's key: written down, the client's own, left out, or told."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint.edit import FILTER_CONFIG, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import TRUSTED, breaks, hosted


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


@breaks("key-of-client", options=lint_options(provider_clusters={"provider"}))
def only_keys_of_clients(edit: Edit) -> None:
    del edit.filters[edit.at + 2]
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


def _format(text: str) -> dict[str, object]:
    return {"text_format_source": {"inline_string": text}}


def _log(kind: str, **settings: object) -> list[dict[str, object]]:
    typed = {"@type": f"{TYPES}envoy.extensions.access_loggers.{kind}", **settings}
    return [{"name": "log", "typed_config": typed}]


@breaks("key-exposed")
def key_in_an_answer(edit: Edit) -> None:
    header = {"key": "x-debug", "value": "%REQ(Authorization)%"}
    edit.host["response_headers_to_add"] = [{"header": header}]


@breaks("key-exposed")
def key_in_a_refusal(edit: Edit) -> None:
    edit.manager["local_reply_config"] = {"body_format": _format("%REQ(x-a?api-key)%")}


@breaks("key-exposed")
def key_in_a_log(edit: Edit) -> None:
    text = "%START_TIME% %REQ(AUTHORIZATION):20%"
    path = "/var/log/envoy.log"
    edit.manager["access_log"] = _log("file.v3.FileAccessLog", path=path, log_format=_format(text))


@breaks("key-exposed")
def credential_in_a_log_by_an_expression(edit: Edit) -> None:
    fields = {"who": "%CEL(request.headers['x-environment-credential'])%"}
    log = _log("stream.v3.StdoutAccessLog", log_format={"json_format": fields})
    edit.listener["access_log"] = log


@breaks("key-exposed")
def key_in_a_log_of_somebody_else(edit: Edit) -> None:
    log = _log("grpc.v3.HttpGrpcAccessLogConfig", additional_request_headers_to_log=["Api-Key"])
    edit.manager["access_log"] = log


@breaks("key-exposed")
def key_in_a_trace(edit: Edit) -> None:
    tag = {"tag": "who", "request_header": {"name": "authorization"}}
    edit.manager["tracing"] = {"custom_tags": [tag]}


@breaks("key-exposed")
def requests_tapped(edit: Edit) -> None:
    edit.insert(2, "tap.v3.Tap", common_config={"admin_config": {"config_id": "x"}})


def _written(edit: Edit, text: str) -> None:
    """One access log line of this form."""
    path = "/dev/null"
    edit.manager["access_log"] = _log("file.v3.FileAccessLog", path=path, log_format=_format(text))


def _into_metadata(edit: Edit, header: str) -> None:
    """Copy a header of requests into dynamic metadata, before the gate."""
    present = {"metadata_namespace": "seen", "key": "who"}
    rule = {"header": header, "on_header_present": present}
    edit.insert(0, "header_to_metadata.v3.Config", request_rules=[rule])


@breaks("key-exposed")
def key_in_a_log_by_the_longer_name(edit: Edit) -> None:
    _written(edit, "%REQUEST_HEADER(authorization)%")


@breaks("key-exposed")
def key_in_a_log_by_the_first_of_several(edit: Edit) -> None:
    commands = '{"operators":[{"command":"REQ","param":"x-a"},{"command":"REQ","param":"api-key"}]}'
    _written(edit, f"%COALESCE({commands})%")


@breaks("key-exposed")
def key_in_a_log_from_the_environment(edit: Edit) -> None:
    _written(edit, "%ENVIRONMENT(OPENAI_API_KEY)% %ENVIRONMENT(REGION)%")


@breaks("key-exposed")
def key_in_a_trace_from_the_environment(edit: Edit) -> None:
    tag = {"tag": "who", "environment": {"name": "OPENAI_API_KEY"}}
    edit.manager["tracing"] = {"custom_tags": [tag]}


@breaks("key-exposed")
def credential_in_a_log_by_metadata(edit: Edit) -> None:
    _into_metadata(edit, "x-environment-credential")
    _written(edit, "%DYNAMIC_METADATA(seen:other)% %DYNAMIC_METADATA(seen:who)%")


@breaks("key-exposed")
def credential_in_a_log_of_all_metadata(edit: Edit) -> None:
    _into_metadata(edit, "x-environment-credential")
    service = {"envoy_grpc": {"cluster_name": "provider"}}
    common = {"log_name": "all", "transport_api_version": "V3", "grpc_service": service}
    edit.manager["access_log"] = _log("grpc.v3.HttpGrpcAccessLogConfig", common_config=common)


@breaks("key-in-file")
def key_of_a_collector(edit: Edit) -> None:
    service = {
        "envoy_grpc": {"cluster_name": "provider"},
        "initial_metadata": [{"key": "authorization", "value": "Bearer 0123456789abcdef0123"}],
    }
    common = {"log_name": "all", "transport_api_version": "V3", "grpc_service": service}
    edit.manager["access_log"] = _log("grpc.v3.HttpGrpcAccessLogConfig", common_config=common)


def _second_provider(edit: Edit) -> dict[str, Any]:
    """A second provider behind the same gate and injector; its route is given back."""
    tls = {"common_tls_context": TRUSTED, "auto_sni_san_validation": True}
    hosted(edit, **tls)
    edit.clusters[1]["type"] = "STRICT_DNS"
    socket = deepcopy(edit.clusters[1]["transport_socket"])
    socket["typed_config"]["sni"] = "api.anthropic.com"
    edit.another("second", "api.anthropic.com", type="STRICT_DNS", transport_socket=socket)
    route = deepcopy(edit.route)
    route["match"], route["route"]["cluster"] = {"path": "/v1/messages"}, "second"
    edit.host["routes"].insert(0, route)
    return route


@breaks("key-to-several")
def key_of_one_provider_for_another(edit: Edit) -> None:
    _second_provider(edit)


def _second_route(edit: Edit, provider: str, cluster: str) -> None:
    """One more route through the same gate and injector, with what it states to the gate."""
    route = deepcopy(edit.route)
    route["match"], route["route"]["cluster"] = {"prefix": "/own/"}, cluster
    (settings,) = route["typed_per_filter_config"].values()
    settings["check_settings"]["context_extensions"]["provider"] = provider
    edit.host["routes"].insert(0, route)


@breaks("key-to-several")
def key_of_a_provider_for_a_server_of_ones_own(edit: Edit) -> None:
    edit.another("own", "127.0.0.2", type="STATIC")
    _second_route(edit, "acme-vllm", "own")


def key_of_one_server_by_two_names(edit: Edit) -> None:
    _second_route(edit, "acme-vllm", "provider")


def key_of_one_provider_at_two_places(edit: Edit) -> None:
    edit.another("own", "127.0.0.2", type="STATIC")
    _second_route(edit, "openai", "own")


def key_of_one_provider_alone(edit: Edit) -> None:
    route = _second_provider(edit)
    (name,) = [one["name"] for one in edit.filters if "credential" in one["name"]]
    off = {"@type": FILTER_CONFIG, "disabled": True}
    route["typed_per_filter_config"][name] = off


HARMLESS = (
    key_of_one_provider_alone,
    key_of_one_provider_at_two_places,
    key_of_one_server_by_two_names,
)
"""Near misses: what a rule of this family must not take for what it is about."""
