"""Filters behind the gate that a chain does not show at first sight act in real Envoy.

On a level of a route, inside another filter, in a chain of upgrades, or by having the route
selected again. As in ``test_proofs``, each change is one of ``mutations/``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.process.envoy_extauthz_lint.wired import (
    BODY,
    CALL,
    Lines,
    allowed,
    changed,
    passed,
    requests,
    wire,
)
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import HTTP, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations import Change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            mutations.order.route_selected_again_behind,
            {"filter_state": [{"key": "tenant", "string_match": {"exact": "b"}}]},
        ),
        (
            mutations.order.route_selected_again_by_the_body,
            {
                "dynamic_metadata": [
                    {
                        "filter": "acme.model",
                        "path": [{"key": "model"}],
                        "value": {"string_match": {"exact": "m"}},
                    }
                ]
            },
        ),
        (
            mutations.order.route_selected_again_by_tags,
            {"headers": [{"name": "x-envoy-ip-tags", "present_match": True}]},
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_filter_behind_the_gate_leads_elsewhere_after_the_yes(
    tmp_path: Path, change: Change, match: dict[str, object]
) -> None:
    edit = changed(change)
    edit.another("other", "127.0.0.1")
    to_other = {"match": {"prefix": "/", **match}, "route": {**edit.action, "cluster": "other"}}
    edit.host["routes"].insert(0, {**edit.route, **to_other})
    headers: Lines = [("Content-Type", "application/json"), ("x-tenant", "b")]
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send(headers=headers)
        assert (passed(wired), len(wired.other.received)) == ((1, 0), 1)


@pytest.mark.parametrize(
    "change",
    [
        mutations.order.query_changed_by_the_host,
        mutations.order.query_changed_by_the_table,
        mutations.order.query_changed_for_one_cluster,
    ],
    ids=lambda change: change.__name__,
)
def test_any_level_of_a_route_has_a_filter_change_the_query_after_the_yes(
    tmp_path: Path, change: Change
) -> None:
    with wire(changed(change), tmp_path, allowed()) as wired:
        wired.send()
        assert requests(wired) == [(f"{CALL}?model=other", BODY)]


@pytest.mark.parametrize(
    "change",
    [
        mutations.order.lua_in_a_matcher,
        mutations.order.lua_chosen_at_run_time,
        mutations.order.lua_in_a_matcher_in_the_router,
    ],
    ids=lambda change: change.__name__,
)
def test_a_program_inside_another_filter_makes_another_request(
    tmp_path: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = 'function envoy_on_request(handle) handle:headers():replace(":path", "/v1/other") end'
    monkeypatch.setitem(mutations.order.LUA, "default_source_code", {"inline_string": code})
    with wire(changed(change), tmp_path, allowed()) as wired:
        chosen = change is mutations.order.lua_chosen_at_run_time
        wired.send(headers=[("x-special", "1")] if chosen else [])
        assert requests(wired) == [("/v1/other", BODY)]


@pytest.mark.parametrize("chosen", [False, True], ids=["in the chain", "by a composite filter"])
def test_a_filter_from_elsewhere_makes_another_request(tmp_path: Path, *, chosen: bool) -> None:
    """No file shows what it does, so the linter counts it as an error behind the gate."""
    code = 'function envoy_on_request(handle) handle:headers():replace(":path", "/v1/other") end'
    lua = {**mutations.order.LUA, "default_source_code": {"inline_string": code}}
    resource = {"@type": f"{TYPES}envoy.config.core.v3.TypedExtensionConfig", "name": "some"}
    source = tmp_path / "ecds.json"
    source.write_text(
        json.dumps({"version_info": "1", "resources": [{**resource, "typed_config": lua}]})
    )
    discovery = {
        "config_source": {
            "path_config_source": {"path": str(source)},
            "resource_api_version": "V3",
        },
        "type_urls": [lua["@type"]],
    }
    edit = Edit()
    found: dict[str, Any] = {"name": "some", "config_discovery": discovery}
    if chosen:
        action = {"@type": f"{HTTP}composite.v3.ExecuteFilterAction", "dynamic_config": found}
        composite = {"@type": f"{HTTP}composite.v3.Composite"}
        typed = mutations.order.matched(composite, action)
        found = {"name": "chosen", "typed_config": typed}
    edit.filters.insert(-1, found)
    assert [line.split(" ")[:2] for line in edit.found()] == [["error", "unchecked-filter"]]
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send(headers=[("x-special", "1")])
        assert requests(wired) == [("/v1/other", BODY)]


def test_an_upgrade_meets_a_gate_of_its_own_that_fails_open(tmp_path: Path) -> None:
    edit = Edit()
    edit.unseal()
    mutations.bypass_onward.upgraded_by_a_gate_that_fails_open(edit)
    assert [line.split(" ")[1] for line in edit.found() if line.startswith("error")] == [
        "gate-fail-open"
    ]
    edit.manager["upgrade_configs"][0]["enabled"] = True
    with wire(edit, tmp_path) as wired:
        wired.gate.stop()
        upgrade: Lines = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        assert wired.send().status == 503
        wired.send(headers=upgrade, body=b"")
        assert len(wired.provider.received) == 1
