"""Each rule finds what it is for, says all that is to say, and says nothing of what is right.

``python -m tests.unit.envoy_extauthz_lint.test_rules`` writes ``findings.json`` anew; read the
difference.
"""

from __future__ import annotations

import json

import pytest

from envoy_extauthz_lint import RULES
from sidecar.cli.lint_options import lint_options
from sidecar.providers.overrides import OVERRIDING_HEADERS
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import HTTP, TYPES, UDP_PROXY, Edit
from tests.unit.envoy_extauthz_lint.mutations import CASES, Case
from tests.unit.envoy_extauthz_lint.mutations.case import FINDINGS, known_findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_change_is_reported_whole_and_nothing_else_is(case: Case) -> None:
    finding_lines = case.found()
    assert finding_lines == known_findings()[case.id]
    assert {line.split(" ")[1] for line in finding_lines} == {case.rule, *case.also}


def test_every_rule_has_a_change_that_breaks_it_and_no_other() -> None:
    alone = {case.rule for case in CASES if not case.also}
    # Where several services are asked, a second authoriser is there by its very nature.
    assert {rule.id for rule in RULES} - alone == {"unchecked-gate"}


def test_no_two_rules_and_no_two_changes_are_called_alike() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert len({case.id for case in CASES}) == len(CASES)
    assert list(known_findings()) == [case.id for case in CASES]


def test_whatever_header_the_gate_refuses_must_be_shown_to_it() -> None:
    edit = Edit()
    edit.gate["disallowed_headers"]["patterns"].append({"prefix": ""})
    (line,) = [one for one in edit.found() if "gate-headers-hidden" in one]
    options = lint_options()
    named = set(options.inspected_headers) >= OVERRIDING_HEADERS
    assert (named, options.credential_header in line) == (True, True)


def test_a_change_back_leaves_nothing() -> None:
    for base in ("jwt", "mtls"):
        assert Edit(base).found() == []


def test_what_is_known_before_and_beside_the_chains_is_not_told() -> None:
    edit = Edit()
    edit.quic()
    for kind in (
        "tls_inspector.v3.TlsInspector",
        "http_inspector.v3.HttpInspector",
        "local_ratelimit.v3.LocalRateLimit",
        "original_src.v3.OriginalSrc",
    ):
        edit.before(kind)
    capsule = {"@type": f"{UDP_PROXY}session.http_capsule.v3.FilterConfig"}
    session = {"name": "envoy.filters.udp.session.http_capsule", "typed_config": capsule}
    edit.datagrams(cluster="gate", session_filters=[session])
    edit.another("second-hop", "127.0.0.1")
    edit.datagrams(cluster="second-hop")
    assert edit.found(lint_options(next_hops={"second-hop"})) == []


def test_a_filter_that_leaves_requests_alone_is_not_told() -> None:
    for change in (*mutations.order.HARMLESS, *mutations.key.HARMLESS):
        edit = Edit()
        change(edit)
        assert edit.found() == [], change.__name__


def test_a_filter_that_the_operator_lists_is_not_told() -> None:
    acme = f"{HTTP}acme.v1.Acme".rpartition("/")[2]
    listed = lint_options(known_filters={acme, "y", "acme.v1.Connections"})
    for change in (
        mutations.unchecked.unknown_filter,
        mutations.unchecked.unknown_filter_of_the_providers_requests,
        mutations.unchecked.filter_from_elsewhere,
    ):
        edit = Edit()
        change(edit)
        edit.clusters[1]["filters"] = [
            {"name": "c", "typed_config": {"@type": f"{TYPES}acme.v1.Connections"}}
        ]
        assert edit.found(listed) == [], change.__name__
    # What changes requests is an error, whoever says that it is known.
    edit = Edit()
    edit.insert(1, "lua.v3.Lua")
    lua = f"{HTTP}lua.v3.Lua".rpartition("/")[2]
    found = edit.found(lint_options(known_filters={lua}))
    assert [line.split(" ")[:2] for line in found] == [["error", "order-changed-behind-gate"]]


def test_the_case_of_enum_names_is_nothing() -> None:
    edit = Edit()
    edit.gate["transport_api_version"] = "v3"
    edit.gate["status_on_error"] = {"code": "serviceunavailable"}
    edit.manager["codec_type"] = "auto"
    edit.manager["forward_client_cert_details"] = "sanitize"
    edit.clusters[0]["type"] = "static"
    assert edit.found() == []
    edit.clusters[0]["type"] = "original_dst"
    assert [line.split(" ")[1] for line in edit.found()] == ["cluster-gate-elsewhere"]


def test_what_can_be_switched_off_and_lets_pass_then_is_an_error() -> None:
    edit = Edit()
    edit.unseal()
    mutations.gate.off_by_a_runtime_key_and_open_otherwise(edit)
    assert "error gate-deny-at-disable" in " ".join(edit.found())
    edit = Edit()
    edit.unseal()
    mutations.gate.deny_at_disable_left_out(edit)
    assert [line for line in edit.found() if line.startswith("error")] == []


def test_an_address_matters_only_where_requests_go_on() -> None:
    edit = Edit()
    edit.before("proxy_protocol.v3.ProxyProtocol")
    edit.host["routes"] = [{"match": {"prefix": "/"}, "direct_response": {"status": 404}}]
    assert edit.found() == []


def test_a_listener_inside_is_judged_itself_and_not_the_way_to_it() -> None:
    edit = Edit()
    outer = Edit()
    del outer.filters[outer.at : -1]
    outer.listener["name"] = "outer"
    outer.action["cluster"] = outer.upload["route"]["cluster"] = "inner"
    edit.top["static_resources"]["listeners"].append(outer.listener)
    edit.listener["internal_listener"] = {}
    address = {"envoy_internal_address": {"server_listener_name": "applications"}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    assignment = {"cluster_name": "inner", "endpoints": endpoints}
    edit.clusters.append({"name": "inner", "load_assignment": assignment})
    assert edit.found() == []
    edit.gate["shadow_mode"] = True
    address["envoy_internal_address"]["server_listener_name"] = "elsewhere"
    rules = [line.split(" ")[1] for line in edit.found()]
    assert rules == ["gate-shadow", "bypass-without-gate", "bypass-without-gate"]


def test_of_a_listener_that_has_nothing_to_do_with_the_gate_only_the_bypass_is_reported() -> None:
    edit = Edit()
    other = Edit()
    del other.filters[other.at : -1]
    tidy = ("path_with_escaped_slashes_action", "use_remote_address", "request_timeout")
    for name in (*tidy, "early_header_mutation_extensions", "common_http_protocol_options"):
        del other.manager[name]
    other.listener["name"] = "metrics"
    other.manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    action = {"cluster": "other", "prefix_rewrite": "/", "retry_policy": {"retry_on": "5xx"}}
    mirror = {"request_mirror_policies": [{"cluster": "other"}]}
    other.host["routes"] = [{"match": {"prefix": "/"}, "route": {**action, **mirror}}]
    edit.another("other", "127.0.0.1")
    edit.top["static_resources"]["listeners"].append(other.listener)
    assert [line.split(" ")[1] for line in edit.found()] == ["bypass-without-gate"]
    named = lint_options(provider_clusters={"other"})
    assert {line.split(" ")[1] for line in edit.found(named)} >= {
        "bypass-without-gate",
        "bypass-mirror",
        "bypass-upgrade",
        "path-rewritten",
        "path-escaped-slashes",
        "trust-client-address",
        "limit-stream-duration",
    }


if __name__ == "__main__":
    written = {case.id: case.found() for case in CASES}
    FINDINGS.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
