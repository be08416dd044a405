"""Ways to the provider on which the gate is not asked, or not about what goes on."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import FILTER_CONFIG, GATE, NETWORK, PER_ROUTE, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import aggregate, breaks


@breaks("bypass-without-gate")
def gate_taken_out(edit: Edit) -> None:
    del edit.filters[edit.at]


@breaks("bypass-without-gate", "seal-forgeable")
def another_authoriser_in_its_place(edit: Edit) -> None:
    edit.gate["grpc_service"]["envoy_grpc"]["cluster_name"] = "provider"


@breaks("bypass-without-gate")
def second_listener(edit: Edit) -> None:
    other = Edit().listener
    other["name"] = "back-door"
    manager = other["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["http_filters"][:-1]
    edit.top["static_resources"]["listeners"].append(other)


@breaks("bypass-without-gate")
def second_listener_to_something_else(edit: Edit) -> None:
    second_listener(edit)
    edit.another("other", "127.0.0.1")
    host = edit.top["static_resources"]["listeners"][1]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]["route_config"]["virtual_hosts"][0]
    host["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster": "other"}}]


@breaks("bypass-without-gate")
def second_listener_of_quic(edit: Edit) -> None:
    manager = edit.quic()["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["http_filters"][:-1]


@breaks("bypass-without-gate")
def second_listener_to_one_of_several_that_is_the_provider(edit: Edit) -> None:
    second_listener(edit)
    aggregate(edit, "all")
    edit.top["static_resources"]["listeners"][1]["filter_chains"][0]["filters"][0]["typed_config"][
        "route_config"
    ]["virtual_hosts"][0]["routes"] = [{"match": {"prefix": "/"}, "route": {"cluster": "all"}}]


@breaks("bypass-without-gate")
def second_manager_inside_another_filter(edit: Edit) -> None:
    second_listener(edit)
    (entry,) = edit.top["static_resources"]["listeners"][1]["filter_chains"][0]["filters"]
    inner = entry["typed_config"]
    del inner["@type"]
    kind = f"{NETWORK}reverse_tunnel.v3.DrainAwareHttpConnectionManager"
    entry["typed_config"] = {"@type": kind, "hcm_config": inner}


@breaks("bypass-without-gate")
def api_listener(edit: Edit) -> None:
    manager = {**edit.manager, "http_filters": edit.filters[-1:]}
    listener = {"name": "inside", "api_listener": {"api_listener": manager}}
    edit.top["static_resources"]["listeners"].append(listener)


@breaks("bypass-gate-disabled")
def disabled_on_a_route(edit: Edit) -> None:
    edit.route["typed_per_filter_config"][GATE] = {"@type": PER_ROUTE, "disabled": True}


@breaks("bypass-gate-disabled")
def disabled_on_a_hidden_route(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    route = {"match": {"prefix": "/x"}, "route": {"cluster": "provider"}}
    edit.host["routes"].append({**route, "typed_per_filter_config": off})


@breaks("bypass-gate-disabled")
def disabled_by_a_generic_setting_on_the_host(edit: Edit) -> None:
    off = {"@type": FILTER_CONFIG, "disabled": True}
    edit.host["typed_per_filter_config"] = {GATE: off}
    del edit.route["typed_per_filter_config"]


@breaks("bypass-gate-disabled")
def disabled_for_one_of_two_clusters(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    del edit.action["cluster"]
    one = {"name": "provider", "weight": 1}
    edit.action["weighted_clusters"] = {"clusters": [one, {**one, "typed_per_filter_config": off}]}


@breaks("bypass-gate-disabled")
def disabled_in_the_chain(edit: Edit) -> None:
    edit.filters[edit.at]["disabled"] = True
    del edit.route["typed_per_filter_config"]


@breaks("bypass-gate-disabled")
def disabled_inside_a_tree_of_matchers(edit: Edit) -> None:
    off = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    route = {"match": {"prefix": "/x"}, "route": {"cluster": "provider"}}
    typed = {"@type": f"{TYPES}envoy.config.route.v3.Route", **route}
    action = {"name": "r", "typed_config": {**typed, "typed_per_filter_config": off}}
    edit.host["matcher"] = {"on_no_match": {"action": action}}


@breaks("bypass-gate-disabled")
def disabled_by_a_generic_setting_around_the_filters_own(edit: Edit) -> None:
    inner = {"@type": PER_ROUTE, "disabled": True}
    generic = {"@type": FILTER_CONFIG, "config": inner}
    edit.route["typed_per_filter_config"][GATE] = generic


@breaks("bypass-another-service")
def another_authoriser_on_a_route(edit: Edit) -> None:
    edit.settings["grpc_service"] = {"envoy_grpc": {"cluster_name": "provider"}}


@breaks("bypass-body-skipped")
def body_skipped_on_calls(edit: Edit) -> None:
    edit.settings["disable_request_body_buffering"] = True


@breaks("bypass-body-skipped")
def upload_route_that_takes_calls(edit: Edit) -> None:
    edit.upload["match"] = {"prefix": "/v1/"}


@breaks("bypass-body-skipped")
def upload_route_by_a_policy(edit: Edit) -> None:
    edit.upload["match"] = {"path_match_policy": {"name": "envoy.path.match.uri_template"}}


@breaks("bypass-body-skipped")
def upload_route_by_what_only_envoy_can_read(edit: Edit) -> None:
    edit.upload["match"] = {"safe_regex": {"regex": r"/v1/files/\pN+"}}


@breaks("bypass-body-skipped")
def upload_that_is_not_called_one(edit: Edit) -> None:
    settings = edit.upload["typed_per_filter_config"][GATE]["check_settings"]
    settings["context_extensions"]["route_class"] = "api"


@breaks("bypass-provider-unnamed")
def provider_unnamed(edit: Edit) -> None:
    del edit.settings["context_extensions"]["provider"]


@breaks("bypass-provider-unnamed")
def provider_named_under_another_filter(edit: Edit) -> None:
    settings = edit.route["typed_per_filter_config"]
    settings["authz"] = settings.pop(GATE)
