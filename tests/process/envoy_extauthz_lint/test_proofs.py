"""The gravest rules are no folklore: with the change, real Envoy lets a request pass.

Each test makes the very change of ``mutations/``, so what is proved here is what is found there.
The gate denies everything (unless a test says otherwise); with the reference as it stands nothing
would reach the provider, which the first test shows.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.process.envoy_extauthz_lint.wired import (
    BODY,
    CALL,
    INJECTED,
    Lines,
    allowed,
    changed,
    passed,
    requests,
    wire,
)
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import GATE, NETWORK, PER_ROUTE, Edit
from tests.unit.envoy_extauthz_lint.mutations import Change


def test_with_the_reference_as_it_stands_a_denial_holds(tmp_path: Path) -> None:
    with wire(Edit(), tmp_path) as wired:
        wired.send()
        # An upgrade is refused by Envoy itself.
        wired.send(headers=[("Upgrade", "websocket"), ("Connection", "Upgrade")])
        assert (wired.send("/v1/files").status, passed(wired)) == (403, (2, 0))
        wired.gate.stop()
        assert (wired.send().status, wired.provider.received) == (503, [])


@pytest.mark.parametrize(
    "change", [mutations.gate.fail_open, mutations.gate.fail_open_in_quotes_and_camel_case]
)
def test_fail_open_passes_what_nobody_was_asked_about(tmp_path: Path, change: Change) -> None:
    with wire(changed(change), tmp_path) as wired:
        wired.gate.stop()
        assert (wired.send().status, requests(wired)) == (200, [(CALL, BODY)])


def test_in_shadow_a_denial_is_only_written_down(tmp_path: Path) -> None:
    with wire(changed(mutations.gate.shadow), tmp_path) as wired:
        assert (wired.send().status, passed(wired)) == (200, (1, 1))


def _whole_host_off(edit: Edit) -> None:
    edit.table["typed_per_filter_config"] = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    del edit.route["typed_per_filter_config"]


@pytest.mark.parametrize(
    "change",
    [
        mutations.bypass_unasked.disabled_on_a_route,
        mutations.bypass_unasked.disabled_by_a_generic_setting_on_the_host,
        mutations.bypass_unasked.disabled_in_the_chain,
        _whole_host_off,
        mutations.bypass_unasked.gate_taken_out,
    ],
    ids=lambda change: change.__name__,
)
def test_where_the_gate_is_off_nobody_asks_it(tmp_path: Path, change: Change) -> None:
    with wire(changed(change), tmp_path) as wired:
        assert (wired.send().status, passed(wired)) == (200, (0, 1))
        assert wired.provider.received[0].headers["authorization"] == INJECTED


@pytest.mark.parametrize("level", ["host", "table"])
def test_a_more_specific_level_turns_the_gate_on_again(tmp_path: Path, level: str) -> None:
    # The other way around: what the linter passes over does hold.
    edit = Edit()
    holder = edit.host if level == "host" else edit.table
    holder["typed_per_filter_config"] = {GATE: {"@type": PER_ROUTE, "disabled": True}}
    assert edit.found() == []
    with wire(edit, tmp_path) as wired:
        assert (wired.send().status, passed(wired)) == (403, (1, 0))


def test_one_of_two_clusters_can_be_left_out(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_unasked.disabled_for_one_of_two_clusters)
    with wire(edit, tmp_path) as wired:
        statuses = {wired.send().status for _ in range(64)}
        asked, received = passed(wired)
    assert (statuses, asked + received) == ({200, 403}, 64)


def test_a_share_is_left_out_where_the_rest_is_not_denied(tmp_path: Path) -> None:
    def none(edit: Edit) -> None:
        edit.gate["filter_enabled"]["default_value"]["numerator"] = 0

    with wire(changed(none), tmp_path / "denied") as wired:
        assert (wired.send().status, passed(wired)) == (503, (0, 0))
    with wire(changed(none, mutations.gate.deny_at_disable_false), tmp_path / "open") as wired:
        assert (wired.send().status, passed(wired)) == (200, (0, 1))


def test_who_can_change_runtime_keys_can_turn_the_gate_off(tmp_path: Path) -> None:
    edit = changed(
        mutations.operation.runtime_without_layers,
        mutations.gate.enabled_by_a_runtime_key,
        mutations.operation.admin_of_the_runtime,
    )
    keys = "gate.enabled=0&admissibility.deny_at_disable=false"
    with wire(edit, tmp_path) as wired:
        assert (wired.send().status, passed(wired)) == (403, (1, 0))
        assert wired.envoy.ask_admin(f"/runtime_modify?{keys}", "POST")[0] == 200
        assert (wired.send().status, passed(wired)) == (200, (1, 1))


def test_a_static_layer_says_otherwise_than_the_filter(tmp_path: Path) -> None:
    def none(edit: Edit) -> None:
        edit.gate["filter_enabled"]["default_value"]["numerator"] = 0

    with wire(changed(none, mutations.operation.runtime_says_otherwise), tmp_path) as wired:
        assert (wired.send().status, passed(wired)) == (200, (0, 1))


def test_of_a_partial_body_the_gate_sees_the_beginning(tmp_path: Path) -> None:
    def small(edit: Edit) -> None:
        edit.gate["with_request_body"]["max_request_bytes"] = 13

    body = b'{"model":"m"}' + b" " * 9 + b'{"model":"n"}'
    edit = changed(mutations.gate.partial_body, small)
    with wire(edit, tmp_path, allowed()) as wired:
        assert wired.send(body=body).status == 200
        (asked,) = wired.gate.asked
        assert asked.attributes.request.http.raw_body == b'{"model":"m"}'
        assert requests(wired) == [(CALL, body)]


def test_a_body_as_text_is_another_one(tmp_path: Path) -> None:
    body = b'{"model":"\xff\xfe"}'
    with wire(changed(mutations.gate.body_as_text), tmp_path, allowed()) as wired:
        wired.send(body=body)
        (asked,) = wired.gate.asked
        http = asked.attributes.request.http
        assert (http.raw_body, http.body, requests(wired)) == (
            b"",
            '{"model":"!!"}',
            [(CALL, body)],
        )


@pytest.mark.parametrize(
    "change", [mutations.gate.no_body, mutations.bypass_unasked.body_skipped_on_calls]
)
def test_without_a_body_the_gate_cannot_know_the_model(tmp_path: Path, change: Change) -> None:
    with wire(changed(change), tmp_path, allowed()) as wired:
        wired.send()
        (asked,) = wired.gate.asked
        http = asked.attributes.request.http
        assert (http.raw_body, http.body, requests(wired)) == (b"", "", [(CALL, BODY)])


def test_joined_lines_hide_that_there_were_two(tmp_path: Path) -> None:
    twice: Lines = [("x-role", "reader"), ("x-role", "admin")]
    with wire(changed(mutations.gate.headers_joined), tmp_path, allowed()) as wired:
        wired.send(headers=twice)
        (asked,) = wired.gate.asked
        http = asked.attributes.request.http
        assert (http.headers["x-role"], len(http.header_map.headers)) == ("reader,admin", 0)


def test_headers_that_are_hidden_from_the_gate_go_upstream(tmp_path: Path) -> None:
    with wire(changed(mutations.gate.headers_allowed), tmp_path, allowed()) as wired:
        wired.send(headers=[("x-ms-oai-image-generation-deployment", "other")])
        assert "x-ms-oai-image-generation-deployment" not in dict(wired.headers_asked())
        (received,) = wired.provider.received
        assert received.headers["x-ms-oai-image-generation-deployment"] == "other"


@pytest.mark.parametrize(
    ("change", "target", "asked", "sent"),
    [
        (mutations.path.path_rewritten, "/v1/files/1", "/v1/files/1", "/v2/v1/files/1"),
        (mutations.path.path_normalized, "/v1/x/../files/1", "/v1/files/1", "/v1/files/1"),
        (mutations.path.slashes_merged, "/v1//files/1", "/v1/files/1", "/v1/files/1"),
        (mutations.path.slashes_unescaped, "/v1%2Ffiles/1", "/v1/files/1", "/v1/files/1"),
    ],
)
def test_another_path_is_checked_than_the_client_or_the_provider_has(
    tmp_path: Path, change: Change, target: str, asked: str, sent: str
) -> None:
    with wire(changed(change), tmp_path, allowed()) as wired:
        wired.send(target)
        (question,) = wired.gate.asked
        assert (question.attributes.request.http.path, requests(wired)) == (asked, [(sent, BODY)])


def test_two_paths_for_filters_and_upstream_are_not_made_by_this_envoy(tmp_path: Path) -> None:
    # Why this is a warning only.
    edit = changed(mutations.path.path_for_filters)
    operations: list[dict[str, object]] = [{"merge_slashes": {}}, {"normalize_path_rfc_3986": {}}]
    view = {"http_filter_transformation": {"operations": operations}}
    edit.manager["path_normalization_options"] = view
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send("/v1//a/../b")
        (asked,) = wired.gate.asked
        assert asked.attributes.request.http.path == "/v1//a/../b"
        assert requests(wired) == [("/v1//a/../b", BODY)]


def test_a_header_that_says_what_a_body_is_changes_behind_the_gate(tmp_path: Path) -> None:
    edit = changed(mutations.order.type_changed_behind)
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send(headers=[("Content-Type", "application/json")])
        (received,) = wired.provider.received
        assert dict(wired.headers_asked())["content-type"] == "application/json"
        assert received.headers["content-type"] == "multipart/form-data; boundary=x"


def _lua(edit: Edit) -> None:
    code = """
    function envoy_on_request(handle)
      handle:headers():replace(":path", "/v1/fine_tuning/jobs")
      handle:body():setBytes('{"model":"n"}')
    end
    """
    edit.insert(1, "lua.v3.Lua", default_source_code={"inline_string": code})


def test_a_program_behind_the_gate_makes_another_request(tmp_path: Path) -> None:
    with wire(changed(_lua), tmp_path, allowed()) as wired:
        wired.send()
        (asked,) = wired.gate.asked
        http = asked.attributes.request.http
        assert (http.path, http.raw_body) == (CALL, BODY)
        assert requests(wired) == [("/v1/fine_tuning/jobs", b'{"model":"n"}')]


def _decompressed(edit: Edit, place: int) -> None:
    library = "type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip"
    typed = {"name": "gzip", "typed_config": {"@type": library}}
    edit.insert(place, "decompressor.v3.Decompressor", decompressor_library=typed)


def test_a_decompressor_before_the_gate_shows_it_what_goes_upstream(tmp_path: Path) -> None:
    # Why this is a warning only.
    with wire(changed(lambda edit: _decompressed(edit, 0)), tmp_path, allowed()) as wired:
        wired.send(headers=[("Content-Encoding", "gzip")], body=gzip.compress(BODY))
        (asked,) = wired.gate.asked
        assert asked.attributes.request.http.raw_body == BODY
        assert "content-encoding" not in dict(wired.headers_asked())


def test_a_decompressor_behind_the_gate_makes_another_body(tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    with wire(changed(lambda edit: _decompressed(edit, 1)), tmp_path, allowed()) as wired:
        request: Lines = [("Content-Encoding", "gzip")]
        wired.send(headers=request, body=packed)
        (asked,) = wired.gate.asked
        assert asked.attributes.request.http.raw_body == packed
        (received,) = wired.provider.received
        assert "content-encoding" not in received.headers


def test_another_authoriser_on_a_route_is_asked_in_the_gates_place(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_unasked.another_authoriser_on_a_route)
    edit.settings["grpc_service"]["envoy_grpc"]["cluster_name"] = "nobody"
    edit.gate["failure_mode_allow"] = True
    edit.another("nobody", "127.0.0.1")
    with wire(edit, tmp_path) as wired:
        wired.send()
        assert passed(wired) == (0, 1)


def test_a_route_cache_that_is_cleared_leads_elsewhere_after_the_yes(tmp_path: Path) -> None:
    edit = changed(mutations.gate.route_cache_cleared)
    edit.gate["decoder_header_mutation_rules"]["allow_expression"]["regex"] = ".*"
    edit.another("other", "127.0.0.1")
    match = {"prefix": "/", "headers": [{"name": "x-admissibility-to", "present_match": True}]}
    route = {**edit.route, "match": match, "route": {**edit.action, "cluster": "other"}}
    edit.host["routes"].insert(0, route)
    answer = allowed()
    header = answer.ok_response.headers.add()
    header.header.key, header.header.value = "x-admissibility-to", "other"
    with wire(edit, tmp_path, answer) as wired:
        wired.send()
        assert (passed(wired), len(wired.other.received)) == ((1, 0), 1)


def test_a_clients_header_names_the_cluster_that_gets_the_key(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_onward.cluster_from_a_header)
    edit.another("other", "127.0.0.1")
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send(headers=[("x-cluster", "other")])
        (received,) = wired.other.received
        assert (passed(wired), received.headers["authorization"]) == ((1, 0), INJECTED)


def test_a_mirror_gets_body_and_key(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_onward.mirrored_to_something_else)
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send()
        # Envoy does not wait for a mirror's answer: the next call comes after its first copy.
        for _ in range(200):
            if wired.other.received:
                break
            wired.send()
        copy = wired.other.received[0]
        assert (copy.body, copy.headers["authorization"]) == (BODY, INJECTED)


def test_an_upgrade_with_filters_of_its_own_does_not_meet_the_gate(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_onward.upgraded_past_the_gate)
    edit.manager["upgrade_configs"][0]["enabled"] = True
    with wire(edit, tmp_path) as wired:
        upgrade: Lines = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        wired.send(headers=upgrade, body=b"")
        assert passed(wired) == (0, 1)


def test_a_websocket_reaches_the_gate_without_its_frames(tmp_path: Path) -> None:
    edit = changed(mutations.bypass_onward.websocket_everywhere)
    with wire(edit, tmp_path, allowed()) as wired:
        upgrade: Lines = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        wired.send(headers=upgrade, body=b"")
        (asked,) = wired.gate.asked
        assert (asked.attributes.request.http.raw_body, passed(wired)) == (b"", (1, 1))


def test_a_tcp_proxy_beside_the_gate_asks_nobody(tmp_path: Path) -> None:
    def back_door(edit: Edit) -> None:
        proxy = {"@type": f"{NETWORK}tcp_proxy.v3.TcpProxy", "stat_prefix": "t"}
        proxy["cluster"] = "provider"
        entry = {"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}
        address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
        chains = [{"filters": [entry]}]
        listener = {"name": "back-door", "address": address, "filter_chains": chains}
        edit.top["static_resources"]["listeners"].append(listener)

    with wire(changed(back_door), tmp_path) as wired:
        port = wired.port_of("back-door")
        assert (wired.send(port=port).status, passed(wired)) == (200, (0, 1))


def test_a_key_of_the_application_reaches_the_provider(tmp_path: Path) -> None:
    with wire(changed(mutations.key.key_of_the_client_first), tmp_path, allowed()) as wired:
        wired.send(headers=[("Authorization", "Bearer of-the-application")])
        (received,) = wired.provider.received
        assert received.headers["authorization"] == "Bearer of-the-application"


def test_only_one_setting_believes_a_certificate_header_without_a_certificate(
    tmp_path: Path,
) -> None:
    forged: Lines = [("x-forwarded-client-cert", "URI=spiffe://acme.example/forged")]
    seen = {}
    for details in ("APPEND_FORWARD", "FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"):
        edit = Edit()
        edit.manager["forward_client_cert_details"] = details
        # Only here: the door of the reference drops every x-forwarded- header first.
        edit.early[:] = [one for one in edit.early if "x-forwarded-" not in str(one)]
        with wire(edit, tmp_path / details, allowed()) as wired:
            wired.send(headers=forged)
            seen[details] = dict(wired.headers_asked()).get("x-forwarded-client-cert")
    assert seen == {
        "APPEND_FORWARD": None,
        "FORWARD_ONLY": None,
        "ALWAYS_FORWARD_ONLY": "URI=spiffe://acme.example/forged",
    }


def test_a_path_parameter_takes_the_route_of_another_path(tmp_path: Path) -> None:
    with wire(changed(mutations.path.parameters_ignored), tmp_path, allowed()) as wired:
        wired.send("/v1/files;x")
        (asked,) = wired.gate.asked
        words = dict(asked.attributes.context_extensions)
        assert (words["route_class"], asked.attributes.request.http.raw_body) == ("upload", b"")
        assert requests(wired) == [("/v1/files;x", BODY)]
