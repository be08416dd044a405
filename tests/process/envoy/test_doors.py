"""The routes of the reference configurations and the gate's tables say the same."""

from __future__ import annotations

import re

import pytest

from admissibility_devtools.tools.envoy_config import Gated
from sidecar.providers import PROVIDERS, Operation
from sidecar.providers.operation import Body
from tests.process.envoy.config import Config, host, loaded
from tests.process.envoy.sites import SITES


def path_of(row: Operation) -> str:
    """A path that a row is for."""
    return re.sub(r"\{[a-z_]+\}", "abc-1", row.route)


def route_for(config: Config, path: str) -> Config:
    """The first route that Envoy would take."""

    def takes(match: Config) -> bool:
        if "safe_regex" in match:
            return re.fullmatch(match["safe_regex"]["regex"], path) is not None
        return match.get("path") == path or match.get("prefix") == "/"

    found: Config = next(each for each in host(config)["routes"] if takes(each["match"]))
    return found


@pytest.mark.parametrize("name", SITES)
def test_exactly_what_the_gate_decides_without_a_body_is_an_upload_to_envoy(name: Gated) -> None:
    site, config = SITES[name], loaded(name)
    table = PROVIDERS[site.extensions.get("api", site.extensions["provider"])]
    unseen = set()
    for row in table.operations:
        (settings,) = (
            each["check_settings"]
            for kind, each in route_for(config, path_of(row))["typed_per_filter_config"].items()
            if kind.endswith("ext_authz")
        )
        if settings.get("disable_request_body_buffering", False):
            unseen.add((row.method, row.route))
    # GET /v1/files and its like share a path with an upload; they have no body to see.
    streamed = {(row.method, row.route) for row in table.operations if row.body is Body.STREAMED}
    assert {each for each in unseen if each[0] == "POST"} == streamed
    with_a_body = {
        (row.method, row.route) for row in table.operations if row.body in (Body.READ, Body.UNREAD)
    }
    assert unseen & with_a_body == set()


def test_vllm_has_a_route_for_each_operation_and_for_nothing_else() -> None:
    config, table = loaded("vllm"), PROVIDERS["vllm"]
    reaching = {
        path_of(row) for row in table.operations if "route" in route_for(config, path_of(row))
    }
    assert reaching == {path_of(row) for row in table.operations if not row.never}
    exact = {each["match"].get("path") for each in host(config)["routes"]} - {None}
    assert exact == reaching - {"/v1/models/abc-1"}
