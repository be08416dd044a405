"""Whole decisions by the real OPA, over its socket, from facts built of the Python types."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sidecar.core import verdict
from sidecar.core.facts import to_input
from sidecar.opa.executable import MAX_QUESTION_BYTES
from sidecar.opa.server import DECISION
from tests.process.policies import generate_schema, mutations
from tests.process.policies.facts import SATISFIED, admitted, facts_in, facts_with_waiver
from tests.process.policies.opa import (
    REVISION,
    OpaServer,
    build_unstamped,
)
from tests.process.policies.samples import (
    MODEL,
    NOW,
    sample_adaptation,
    sample_approval,
    sample_environment,
    sample_facts,
    sample_waiver,
)

OPEN_MAPS = frozenset({"hyperparameters", "metrics", "declarations"})
NULLABLE = {"parent", "jurisdiction", "specification"}


@pytest.mark.parametrize("jurisdictions", [("eu",), ("us",), ("eu", "us"), ("us", "eu", "us")])
def test_an_admissible_call_is_allowed(server: OpaServer, jurisdictions: tuple[str, ...]) -> None:
    assert server.decide(facts_in(*jurisdictions)) == admitted(*jurisdictions)


def test_a_high_risk_call_with_all_its_evidence_is_allowed(server: OpaServer) -> None:
    environment = sample_environment(risk_class="high")
    assert server.decide(to_input(sample_facts(environment=environment))) == admitted("eu")


def high_risk_without_a_regulator(now: str) -> dict[str, Any]:
    """A high-risk call that no regulator approved."""
    approvals = (sample_approval("provider"), sample_approval("customer"))
    facts = sample_facts(
        environment=sample_environment(risk_class="high"),
        adaptations=(sample_adaptation(approvals=approvals),),
        now=now,
    )
    return to_input(facts)


def unapproved(state: str) -> dict[str, str]:
    """What the rule says of it."""
    return {
        "code": "eu.art6_high_risk",
        "jurisdiction": "eu",
        "message": "high-risk use without an EU regulator's approval in force",
        "citation": "Regulation (EU) 2024/1689, Articles 6, 16(f) and 43; for what is tuned,"
        " Articles 2(8) and 3(11)",
        "remedy": "Obtain an approval for eu by whom the operator granted the role regulator there,"
        " or declare the true risk class of the environment.",
        "subject": MODEL,
        "term": "adaptations[].approvals",
        "effective_on": "2027-12-02",
        "state": state,
        "authority": "",
    }


def test_a_rule_warns_until_its_date_and_says_all_that_mends_it(server: OpaServer) -> None:
    answer = server.decide(high_risk_without_a_regulator(NOW))
    assert answer == {**admitted("eu"), "warnings": [unapproved("pending")]}


def test_a_rule_brought_forward_denies_and_says_all_that_mends_it(early: OpaServer) -> None:
    violation = unapproved("enforced")
    assert early.decide(high_risk_without_a_regulator(NOW)) == {
        **admitted("eu"),
        "allow": False,
        "violations": [violation],
        "jurisdictions": {
            "eu": {"allow": False, "violations": [violation]},
            "eu-finance": SATISFIED,
        },
    }


def test_a_waiver_excuses_its_rule_and_no_other(server: OpaServer) -> None:
    declarations = dict(sample_environment().declarations)
    del declarations["ict-register-reference"]
    environment = sample_environment(declarations=declarations)
    told = {}
    for waiver in (sample_waiver(), sample_waiver(rule="eu-finance.model_risk_sign_off")):
        answer = server.decide(to_input(sample_facts(environment=environment, waivers=(waiver,))))
        told[waiver.rule] = (
            answer["allow"],
            [(one["code"], one["state"]) for one in answer["violations"]],
            [(one["code"], one["state"], one["authority"]) for one in answer["warnings"]],
        )
    assert told == {
        "eu-finance.dora_register": (
            True,
            [],
            [("eu-finance.dora_register", "waived", "the-regulator")],
        ),
        "eu-finance.model_risk_sign_off": (
            False,
            [("eu-finance.dora_register", "enforced")],
            [],
        ),
    }


def carried(**environment: Any) -> dict[str, Any]:
    """An operation that can reach no model, such as reading a file back."""
    facts = sample_facts(environment=sample_environment(**environment), adaptations=())
    request = dataclasses.replace(facts.request, models=(), run=(), modelless=True)
    return to_input(dataclasses.replace(facts, request=request))


def test_a_modelless_operation_is_held_to_what_is_asked_of_its_environment(
    early: OpaServer,
) -> None:
    assert early.decide(carried()) == admitted("eu")
    told = {}
    spoilt: dict[str, dict[str, Any]] = {
        "purpose": {"purpose": "social-scoring"},
        "risk class": {"risk_class": "unheard-of"},
        "declaration": {"declarations": {}},
        "sector": {"sector": "alchemy"},
        "jurisdiction": {"jurisdictions": ("eu", "atlantis")},
    }
    for name, environment in spoilt.items():
        answer = early.decide(carried(**environment))
        told[name] = (answer["allow"], [one["code"] for one in answer["violations"]])
    assert told == {
        "purpose": (False, ["eu.art5_prohibited_practice"]),
        "risk class": (False, ["eu.art6_risk_class"]),
        "declaration": (False, ["eu-finance.dora_register"]),
        "sector": (False, ["sector_unknown"]),
        "jurisdiction": (False, ["jurisdiction_unknown"]),
    }


def test_nothing_is_a_modelless_operation_by_being_silent(server: OpaServer) -> None:
    silent = facts_in("eu")
    silent["request"].update(models=[], run=[])
    for facts in (silent, {**silent, "adaptations": []}):
        assert_malformed(server, facts, ("request",))
    named = facts_in("eu")
    named["request"]["modelless"] = True
    assert_malformed(server, named, ("request",))
    stray = carried()
    stray["adaptations"] = named["adaptations"]
    assert_malformed(server, stray, ("adaptations",))


def test_what_opa_answers_is_what_the_gate_reads(server: OpaServer) -> None:
    body = json.dumps({"input": high_risk_without_a_regulator(NOW)}).encode()
    reply = server.request("POST", DECISION, body)
    read = verdict.read(
        reply.body, nonce=sample_facts().nonce, revision=REVISION, jurisdictions=("eu",)
    )
    assert read.warnings == (verdict.Violation(**unapproved("pending")),)
    assert set(read.jurisdictions) == {"eu", "eu-finance"}


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
    paths = list(mutations.fields(facts_with_waiver("eu"), OPEN_MAPS))
    assert {path[-1] for path in paths} == every


def test_no_facts_with_a_field_missing_are_allowed(server: OpaServer) -> None:
    facts = facts_with_waiver("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        assert_malformed(server, mutations.without(facts, path), path)


def test_no_facts_with_a_field_null_are_allowed(server: OpaServer) -> None:
    facts = facts_with_waiver("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        if path[-1] not in NULLABLE:
            assert_malformed(server, mutations.replaced(facts, path, None), path)


def test_no_facts_with_a_field_of_another_type_are_allowed(server: OpaServer) -> None:
    facts = facts_with_waiver("eu", "us")
    for path in mutations.fields(facts, OPEN_MAPS):
        changed = mutations.other_type(mutations.at(facts, path))
        assert_malformed(server, mutations.replaced(facts, path, changed), path)


def test_without_a_suite_or_an_approval_that_a_rule_needs_the_call_is_denied(
    early: OpaServer,
) -> None:
    facts = facts_in("eu", "us")
    facts["environment"]["risk_class"] = "high"
    assert early.decide(facts) == admitted("eu", "us")
    still_allowed = []
    for name in ("corpora", "evaluations", "suites", "approvals"):
        for index, element in enumerate(facts["adaptations"][0][name]):
            answer = early.decide(mutations.without(facts, ("adaptations", 0, name, index)))
            if answer["allow"]:
                still_allowed.append((name, element.get("role"), element.get("jurisdiction")))
    # The provider's approval and the US compliance suite are structure's to ask for, not policy's.
    assert still_allowed == [("suites", None, "us"), ("approvals", "provider", None)]


def test_without_a_revision_no_bundle_allows(tmp_path: Path) -> None:
    with OpaServer(build_unstamped(tmp_path), tmp_path) as unstamped:
        answer = unstamped.decide(facts_in("eu"))
    assert (answer["allow"], answer["revision"]) == (False, "")
    assert [one["code"] for one in answer["violations"]] == ["policy_data_missing"]


def sources(server: OpaServer) -> dict[str, str]:
    """The text of every policy that OPA has, by its id."""
    listed = server.request("GET", "/v1/policies").json()["result"]
    return {one["id"]: one["raw"] for one in listed}


def test_nothing_that_passes_the_socket_changes_what_decides(server: OpaServer) -> None:
    served = sources(server)
    policies = [f"/v1/policies/{quote(name, safe='')}" for name in served]
    assert len(policies) > 10
    patch = b'[{"op": "replace", "path": "/revision", "value": "r-2"}]'
    writes = [
        *(("DELETE", path, None) for path in policies),
        *(("PUT", path, b"package admission") for path in policies),
        ("PUT", "/v1/policies/evil", b"package evil"),
        *((method, path, b"{}") for method in ("PUT", "PATCH", "DELETE")
          for path in ("/v1/data", "/v1/data/params", "/v1/data/evil", "/v1/config")),
        ("PATCH", "/v1/data", patch),
    ]  # fmt: skip
    taken = [(m, path) for m, path, body in writes if server.request(m, path, body).status < 400]
    assert taken == []
    assert sources(server) == served
    assert server.decide(facts_in("eu")) == admitted("eu")


def test_decision_and_health_pass_the_socket(server: OpaServer) -> None:
    assert server.request("GET", "/health").status == 200
    body = json.dumps({"input": facts_in("eu")}).encode()
    reply = server.request("POST", DECISION, body)
    assert (reply.status, reply.json()["result"]) == (200, admitted("eu"))


def test_a_question_beyond_the_limit_is_refused_before_it_is_read(server: OpaServer) -> None:
    body = json.dumps({"input": facts_in("eu")}).encode()
    body += b" " * (MAX_QUESTION_BYTES - len(body))
    assert server.request("POST", DECISION, body).status == 200
    assert server.request("POST", DECISION, b"", length=MAX_QUESTION_BYTES + 1).status == 400


def test_the_socket_is_its_owners_alone(server: OpaServer) -> None:
    assert server.socket.stat().st_mode & 0o777 == 0o600


def assert_malformed(server: OpaServer, facts: Any, path: mutations.Path) -> None:
    """The answer is a denial that says so of the facts, whatever the jurisdictions find."""
    answer = server.decide(facts)
    assert answer["allow"] is False, path
    assert all(not one["allow"] for one in answer["jurisdictions"].values()), path
    malformed = {one["subject"] for one in answer["violations"] if one["code"] == "facts_malformed"}
    assert malformed == {path[0]}, path
