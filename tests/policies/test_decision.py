"""Whole decisions by the real OPA, over its socket, from facts built of the Python types."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.facts import to_input
from tests.policies import generate_schema, mutations
from tests.policies.opa import (
    DECISION,
    POLICIES,
    REVISION,
    ROOT,
    SCHEMAS,
    OpaServer,
    build_bundle,
    copy_policies,
    opa,
)
from tests.policies.samples import (
    MODEL,
    sample_adaptation,
    sample_approval,
    sample_environment,
    sample_facts,
)

OPEN_MAPS = frozenset({"hyperparameters", "metrics"})
NULLABLE = {"parent", "jurisdiction"}
LEASE = json.loads((POLICIES / "params/admission/data.json").read_text())["lease_seconds"]
SATISFIED = {"allow": True, "violations": []}


def facts_in(*jurisdictions: str) -> dict[str, Any]:
    """The sample as OPA gets it, in an environment of these jurisdictions."""
    environment = sample_environment(jurisdictions=jurisdictions)
    facts: dict[str, Any] = json.loads(json.dumps(to_input(sample_facts(environment=environment))))
    return facts


def admitted(*jurisdictions: str) -> dict[str, Any]:
    """The whole answer that admits the sample."""
    return {
        "allow": True,
        "nonce": sample_facts().nonce,
        "revision": REVISION,
        "violations": [],
        "warnings": [],
        "jurisdictions": dict.fromkeys(jurisdictions, SATISFIED),
        "lease_seconds": LEASE,
    }


@pytest.mark.parametrize("jurisdictions", [("eu",), ("us",), ("eu", "us"), ("us", "eu", "us")])
def test_an_admissible_call_is_allowed(server: OpaServer, jurisdictions: tuple[str, ...]) -> None:
    assert server.decide(facts_in(*jurisdictions)) == admitted(*jurisdictions)


def test_a_high_risk_call_is_allowed_with_a_regulators_approval(server: OpaServer) -> None:
    environment = sample_environment(risk_class="high")
    assert server.decide(to_input(sample_facts(environment=environment))) == admitted("eu")


def test_a_denial_names_rule_citation_remedy_and_subject(server: OpaServer) -> None:
    approvals = (sample_approval("provider"), sample_approval("customer"))
    facts = sample_facts(
        environment=sample_environment(risk_class="high"),
        adaptations=(sample_adaptation(approvals=approvals),),
    )
    violation = {
        "code": "eu.art6_high_risk",
        "jurisdiction": "eu",
        "message": 'risk class "high" needs an EU regulator\'s approval in force',
        "citation": "Regulation (EU) 2024/1689, Articles 6 and 16(f)",
        "remedy": "Declare one of the known risk classes; for high risk obtain a regulator's"
        " approval for eu.",
        "subject": MODEL,
    }
    assert server.decide(to_input(facts)) == {
        **admitted(),
        "allow": False,
        "violations": [violation],
        "jurisdictions": {"eu": {"allow": False, "violations": [violation]}},
    }


def test_an_unknown_jurisdiction_denies_and_is_named(server: OpaServer) -> None:
    for unknown in ("atlantis", "EU", "eu_test", "eu/deny", ""):
        answer = server.decide(facts_in("eu", unknown))
        assert answer["allow"] is False
        assert answer["jurisdictions"]["eu"]["violations"] == []
        codes = [one["code"] for one in answer["jurisdictions"][unknown]["violations"]]
        assert codes == ["jurisdiction_unknown"]
        assert unknown in [one["subject"] for one in answer["violations"]]


def test_an_environment_without_jurisdiction_is_denied(server: OpaServer) -> None:
    answer = server.decide(facts_in())
    assert (answer["allow"], answer["jurisdictions"]) == (False, {})
    assert [one["subject"] for one in answer["violations"]] == ["environment"]


def test_the_nonce_of_the_call_is_echoed(server: OpaServer) -> None:
    for nonce in ("a", "b" * 64):
        facts = dataclasses.replace(sample_facts(), nonce=nonce)
        assert server.decide(to_input(facts)) == {**admitted("eu"), "nonce": nonce}


def test_the_sample_has_every_field_of_the_facts() -> None:
    schema = generate_schema.schema()
    every = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    paths = list(mutations.fields(facts_in("eu"), OPEN_MAPS))
    assert {path[-1] for path in paths} == every


def test_no_facts_with_a_field_missing_are_allowed(server: OpaServer) -> None:
    facts = facts_in("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        assert_malformed(server, mutations.without(facts, path), path)


def test_no_facts_with_a_field_null_are_allowed(server: OpaServer) -> None:
    facts = facts_in("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        if path[-1] not in NULLABLE:
            assert_malformed(server, mutations.replaced(facts, path, None), path)


def test_no_facts_with_a_field_of_another_type_are_allowed(server: OpaServer) -> None:
    facts = facts_in("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        changed = mutations.other_type(mutations.at(facts, path))
        assert_malformed(server, mutations.replaced(facts, path, changed), path)


def test_without_a_suite_or_an_approval_that_a_rule_needs_the_call_is_denied(
    server: OpaServer,
) -> None:
    facts = facts_in("eu", "us")
    facts["environment"]["risk_class"] = "high"
    still_allowed = []
    for name in ("corpora", "evaluations", "suites", "approvals"):
        for index, element in enumerate(facts["adaptations"][0][name]):
            answer = server.decide(mutations.without(facts, ("adaptations", 0, name, index)))
            if answer["allow"]:
                still_allowed.append((name, element.get("role"), element.get("jurisdiction")))
    # The provider's approval and the US compliance suite are structure's to ask for, not policy's.
    assert still_allowed == [("suites", None, "us"), ("approvals", "provider", None)]


def test_adding_a_jurisdiction_never_turns_a_denial_into_an_allow(server: OpaServer) -> None:
    chance = random.Random(20240713)
    paths = [path for path in mutations.fields(facts_in("eu"), OPEN_MAPS) if path[0] != "nonce"]
    outcomes = set()
    for _ in range(150):
        facts = facts_in("eu")
        for path in chance.sample(paths, chance.randint(0, 1)):
            facts = mutations.without(facts, path)
        if "adaptations" in facts:
            chosen = facts["adaptations"][0]
            for name in {"suites", "approvals"} & set(chosen):
                chosen[name] = chance.sample(chosen[name], chance.choice([2, 3, len(chosen[name])]))
        allowed = [_allowed(server, facts, ids) for ids in (["eu"], ["us"], ["eu", "us"])]
        assert allowed[2] == (allowed[0] and allowed[1])
        assert _allowed(server, facts, ["eu", "atlantis"]) is False
        outcomes.add(tuple(allowed))
    assert outcomes == {
        (True, True, True), (True, False, False), (False, True, False), (False, False, False),
    }  # fmt: skip


def test_a_jurisdiction_added_as_the_guide_says_is_held_to(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "policy-authors.md").read_text()
    blocks = re.findall(r"^ *```rego\n(.*?)^ *```$", guide, re.MULTILINE | re.DOTALL)
    rule, its_test, header = (textwrap.dedent(block) for block in blocks)
    tree = copy_policies(tmp_path)
    package = tree / "jurisdiction" / "xx"
    package.mkdir()
    (package / "xx.rego").write_text(f"{header}\n{rule}")
    (package / "xx_test.rego").write_text(its_test)
    done = opa("check", "--strict", "--bundle", "--schema", SCHEMAS, tree)
    assert (done.returncode, done.stderr) == (0, "")
    done = opa("fmt", "--list", "--fail", tree)
    assert (done.returncode, done.stdout) == (0, "")
    done = opa("test", "--bundle", "--coverage", "--threshold", "100", tree)
    assert done.returncode == 0, done.stdout + done.stderr
    with OpaServer(build_bundle(tmp_path, tree=tree), tmp_path) as extended:
        assert extended.decide(facts_in("eu", "xx")) == admitted("eu", "xx")
        unmeasured = facts_in("xx")
        unmeasured["adaptations"][0]["evaluations"] = []
        answer = extended.decide(unmeasured)
    assert [one["code"] for one in answer["jurisdictions"]["xx"]["violations"]] == ["xx.measured"]
    assert answer["allow"] is False


def test_an_id_with_a_hyphen_is_a_jurisdiction_like_any_other(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    package = tree / "jurisdiction" / "xx-finance"
    package.mkdir()
    (package / "rules.rego").write_text(
        'package jurisdiction["xx-finance"]\n\nid := "xx-finance"\n\n'
        'deny contains "never" if input.environment.sector != "finance"\n'
    )
    with OpaServer(build_bundle(tmp_path, tree=tree), tmp_path) as extended:
        assert extended.decide(facts_in("xx-finance")) == admitted("xx-finance")


def test_without_a_revision_no_bundle_allows(tmp_path: Path) -> None:
    bundle = build_bundle(tmp_path, revision=None)
    with OpaServer(bundle, tmp_path) as unstamped:
        answer = unstamped.decide(facts_in("eu"))
    assert (answer["allow"], answer["revision"]) == (False, "")
    assert [one["code"] for one in answer["violations"]] == ["policy_data_missing"]


@pytest.mark.parametrize("spoil", ["remove", "null"])
def test_a_threshold_or_list_that_is_missing_denies(tmp_path: Path, spoil: str) -> None:
    tree = copy_policies(tmp_path)
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(facts_in("eu", "us")))
    (tree / "data.json").write_text(json.dumps({"revision": REVISION}))
    allowed = []
    for file in sorted((tree / "params").rglob("data.json")):
        whole = json.loads(file.read_text())
        for name in whole:
            path = (name,)
            file.write_text(
                json.dumps(
                    mutations.without(whole, path)
                    if spoil == "remove"
                    else mutations.replaced(whole, path, None)
                )
            )
            done = opa("eval", "--bundle", tree, "--input", facts, "--strict-builtin-errors",
                       "--format", "json", "data.admission.decision.allow")  # fmt: skip
            if json.loads(done.stdout)["result"][0]["expressions"][0]["value"]:
                allowed.append(f"{file.parent.name}.{name}")
        file.write_text(json.dumps(whole))
    # This one bounds a warning, which never denies.
    assert allowed == ["us.approval_warning_days"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/policies/evil"),
        ("DELETE", "/v1/policies/admission/decision.rego"),
        ("GET", "/v1/policies"),
        ("PUT", "/v1/data/params/eu"),
        ("PATCH", "/v1/data/params"),
        ("GET", "/v1/data/admission/decision"),
        ("GET", "/v1/data"),
        ("POST", "/v1/data?strict-builtin-errors=true"),
        ("POST", "/v1/data/admission?strict-builtin-errors=true"),
        ("POST", "/v1/data/admission/decision"),
        ("POST", "/v1/data/admission/decision?strict-builtin-errors=false"),
        ("POST", "/v1/data/admission/decision?strict-builtin-errors=true&explain=full"),
        ("POST", "/v1/data/admission/decision/allow?strict-builtin-errors=true"),
        ("POST", "/v0/data/admission/decision?strict-builtin-errors=true"),
        ("POST", "/v1/query"),
        ("POST", "/v1/compile"),
        ("POST", "/"),
        ("GET", "/v1/config"),
        ("GET", "/v1/status"),
        ("GET", "/metrics"),
        ("GET", "/debug/pprof"),
        ("POST", "/v1/data/admission//decision?strict-builtin-errors=true"),
        ("POST", "/v1/data/admission%2fdecision?strict-builtin-errors=true"),
        ("POST", "/v1/batch/data/admission/decision?strict-builtin-errors=true"),
        ("GET", "/health/live"),
    ],
)
def test_nothing_but_the_decision_passes_the_socket(
    server: OpaServer, method: str, path: str
) -> None:
    body = {"PUT": b"package evil", "PATCH": b"[]", "POST": b'{"input": {}}'}.get(method)
    assert server.request(method, path, body).status == 401
    assert server.decide(facts_in("eu")) == admitted("eu")


def test_decision_and_health_pass_the_socket(server: OpaServer) -> None:
    assert server.request("GET", "/health").status == 200
    body = json.dumps({"input": facts_in("eu")}).encode()
    reply = server.request("POST", DECISION, body)
    assert (reply.status, reply.json()["result"]) == (200, admitted("eu"))


def test_a_question_of_more_than_a_mebibyte_is_refused_before_it_is_read(
    server: OpaServer,
) -> None:
    body = json.dumps({"input": facts_in("eu")}).encode()
    body += b" " * ((1 << 20) - len(body))
    assert server.request("POST", DECISION, body).status == 200
    assert server.request("POST", DECISION, b"", length=(1 << 20) + 1).status == 400


def test_the_socket_is_its_owners_alone(server: OpaServer) -> None:
    assert server.socket.stat().st_mode & 0o777 == 0o600


def assert_malformed(server: OpaServer, facts: Any, path: mutations.Path) -> None:
    """The answer is a denial that says so of the facts, whatever the jurisdictions find."""
    answer = server.decide(facts)
    assert answer["allow"] is False, path
    assert all(not one["allow"] for one in answer["jurisdictions"].values()), path
    malformed = {one["subject"] for one in answer["violations"] if one["code"] == "facts_malformed"}
    assert malformed == {path[0]}, path


def _allowed(server: OpaServer, facts: dict[str, Any], jurisdictions: list[str]) -> bool:
    if "environment" in facts:
        environment = {**facts["environment"], "jurisdictions": jurisdictions}
        facts = {**facts, "environment": environment}
    allowed = server.decide(facts)["allow"]
    assert isinstance(allowed, bool)
    return allowed
