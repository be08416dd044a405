"""Credentials that Envoy adds elsewhere than in the listener's chain make a cluster a provider.

Each change gives a route of a second listener, which has no gate, to a cluster of which nothing but
the credential shows what it is: the finding is an error with the credential and a warning without.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.unit.envoy_extauthz_lint.edit import HTTP, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.bypass_unasked import (
    second_listener_to_something_else,
)
from tests.unit.envoy_extauthz_lint.mutations.case import breaks

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
OVERWRITE = "OVERWRITE_IF_EXISTS_OR_ADD"


def manager(edit: Edit) -> dict[str, Any]:
    """The second listener's connection manager, whose routes lead to cluster ``other``."""
    second_listener_to_something_else(edit)
    listener = edit.top["static_resources"]["listeners"][1]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def host(edit: Edit) -> dict[str, Any]:
    found: dict[str, Any] = manager(edit)["route_config"]["virtual_hosts"][0]
    return found


def injector(edit: Edit) -> dict[str, Any]:
    """The reference's credential injector, to be put elsewhere, as Envoy Gateway does."""
    name = "envoy.filters.http.credential_injector"
    return {"name": name, "typed_config": deepcopy(edit.injector)}


def upstream(edit: Edit, *filters: dict[str, Any]) -> None:
    """Give cluster ``other`` upstream filters."""
    codec = {"@type": f"{HTTP}upstream_codec.v3.UpstreamCodec"}
    last = {"name": "envoy.filters.http.upstream_codec", "typed_config": codec}
    options = {
        "@type": f"{TYPES}{OPTIONS}",
        "explicit_http_config": {"http_protocol_options": {}},
        "http_filters": [*filters, last],
    }
    edit.clusters[-1]["typed_extension_protocol_options"] = {OPTIONS: options}


def added(name: str, value: str, action: str = OVERWRITE) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": action}


@breaks("bypass-without-gate")
def key_by_a_cluster(edit: Edit) -> None:
    manager(edit)
    upstream(edit, injector(edit))


@breaks("bypass-without-gate")
def no_key_by_a_cluster(edit: Edit) -> None:
    manager(edit)
    upstream(edit)


@breaks("bypass-without-gate")
def key_by_header_mutation_of_a_cluster(edit: Edit) -> None:
    manager(edit)
    append = added("authorization", "Bearer %ENVIRONMENT(KEY)%")
    kind = f"{HTTP}header_mutation.v3.HeaderMutation"
    mutations = {"request_mutations": [{"append": append}]}
    upstream(edit, {"name": "mutate", "typed_config": {"@type": kind, "mutations": mutations}})


@breaks("bypass-without-gate")
def key_by_the_router(edit: Edit) -> None:
    router = manager(edit)["http_filters"][-1]["typed_config"]
    codec = {"@type": f"{HTTP}upstream_codec.v3.UpstreamCodec"}
    last = {"name": "envoy.filters.http.upstream_codec", "typed_config": codec}
    router["upstream_http_filters"] = [injector(edit), last]


@breaks("bypass-without-gate")
def key_from_the_environment_on_a_host(edit: Edit) -> None:
    held = added("authorization", "Bearer %ENVIRONMENT(OPENAI_API_KEY)%")
    host(edit)["request_headers_to_add"] = [held]


@breaks("bypass-without-gate", "key-in-file")
def key_written_on_a_route(edit: Edit) -> None:
    held = added("api-key", "0123456789abcdef", "APPEND_IF_EXISTS_OR_ADD")
    host(edit)["routes"][0]["request_headers_to_add"] = [held]


@breaks("bypass-without-gate")
def key_from_the_environment_under_another_name(edit: Edit) -> None:
    held = added("ocp-apim-subscription-key", "%ENVIRONMENT(APIM)%")
    manager(edit)["route_config"]["request_headers_to_add"] = [held]


@breaks("bypass-without-gate")
def key_for_one_of_several_clusters(edit: Edit) -> None:
    route = host(edit)["routes"][0]["route"]
    del route["cluster"]
    held = added("x-api-key", "%ENVIRONMENT(KEY)%")
    weighted = {"name": "other", "weight": 1, "request_headers_to_add": [held]}
    route["weighted_clusters"] = {"clusters": [weighted]}


@breaks("bypass-without-gate")
def header_of_the_client_under_another_name(edit: Edit) -> None:
    host(edit)["request_headers_to_add"] = [added("authorization", "Bearer %REQ(x-token)%")]


@breaks("bypass-without-gate")
def environment_that_is_no_secret(edit: Edit) -> None:
    host(edit)["request_headers_to_add"] = [added("x-region", "%ENVIRONMENT(REGION)%")]


@breaks("bypass-without-gate")
def injector_that_no_route_enables(edit: Edit) -> None:
    manager(edit)["http_filters"].insert(0, {**injector(edit), "disabled": True})
