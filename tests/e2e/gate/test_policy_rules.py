"""Every rule, through a real gate: lawful evidence passes, one change of it is refused by name.

The parties sign real evidence, the gate is asked over gRPC, OPA serves the real policies. So that a
rule whose date is still to come can be seen to deny, the operator enforces all of them early, as
``enforce_early`` lets it. A rule without a case fails here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sidecar.opa.client import Address
from sidecar.opa.location import opa_path
from sidecar.policy import rules, scaffold
from sidecar.policy.rules import ADVISORY, CALL, Rule
from tests.process.policies.opa import POLICIES, OpaServer, build_bundle, copy_policies
from tests.process.policy.lawful import Lawful, documents
from tests.support.simulator.constants import BASE, ENV, OPERATION
from tests.support.simulator.predicates import suite, window
from tests.support.site.asking import Said, address_of, ask, ask_in

Change = Callable[[Lawful], None]


def declares(**values: str | None) -> Change:
    """The customer declares otherwise of the environment; null for not at all."""

    def change(lawful: Lawful) -> None:
        _put(lawful.environment["declarations"], values)

    return change


def producer_declares(**values: str | None) -> Change:
    def change(lawful: Lawful) -> None:
        _put(lawful.manifest["declarations"], values)

    return change


def customer_approves_without(name: str) -> Change:
    def change(lawful: Lawful) -> None:
        del lawful.approvals["customer"]["declarations"][name]

    return change


def environment(**fields: object) -> Change:
    def change(lawful: Lawful) -> None:
        lawful.environment.update(fields)

    return change


def manifest(**fields: object) -> Change:
    def change(lawful: Lawful) -> None:
        lawful.manifest.update(fields)

    return change


def without_document(kind: str) -> Change:
    def change(lawful: Lawful) -> None:
        kept = [one["kind"] for one in lawful.manifest["documents"] if one["kind"] != kind]
        lawful.manifest["documents"] = documents(*kept)

    return change


def corpora_of(*classes: str) -> Change:
    def change(lawful: Lawful) -> None:
        for corpus in lawful.manifest["corpora"]:
            corpus["classes"] = list(classes)

    return change


def low_floor(kind: str) -> Change:
    """A suite whose own threshold is lower than what the law's data asks for, and a score there."""

    def change(lawful: Lawful) -> None:
        others = [one for one in lawful.manifest["suites"] if one["kind"] != kind]
        lawful.manifest["suites"] = [*others, suite(kind, threshold=0.3)]
        lawful.result["scores"] = {kind: 0.5}

    return change


def performed(days: float) -> Change:
    def change(lawful: Lawful) -> None:
        lawful.result["window"] = window(days, 60)

    return change


def calls(model: str) -> Change:
    def change(lawful: Lawful) -> None:
        lawful.model = model

    return change


def both(*changes: Change) -> Change:
    def change(lawful: Lawful) -> None:
        for one in changes:
            one(lawful)

    return change


def ends(role: str, days: float) -> Change:
    def change(lawful: Lawful) -> None:
        lawful.approvals[role]["window"] = window(10, days)

    return change


def _put(declarations: dict[str, str], values: dict[str, str | None]) -> None:
    for word, value in values.items():
        name = word.replace("_", "-")
        if value is None:
            del declarations[name]
        else:
            declarations[name] = value


CASES: dict[str, Change] = {
    "eu.art5_prohibited_practice": both(
        environment(purpose="Social Scoring"), producer_declares(intended_purpose="Social Scoring")
    ),
    "eu.art5_intimate_imagery": both(
        environment(purpose="non-consensual-intimate-imagery"),
        producer_declares(intended_purpose="non-consensual-intimate-imagery"),
    ),
    "eu.art6_risk_class": environment(riskClass="unheard-of"),
    "eu.art6_high_risk": calls(BASE),
    "eu.art10_data_governance": manifest(corpora=[Lawful.corpus("training")]),
    "eu.art11_technical_documentation": both(
        without_document("technical-documentation"), producer_declares(gpai_modification="minor")
    ),
    "eu.art12_record_keeping": declares(log_retention_days="90"),
    "eu.art13_instructions_for_use": without_document("instructions-for-use"),
    "eu.art15_accuracy_robustness": low_floor("regression"),
    "eu.art25_substantial_modification": producer_declares(substantial_modification=None),
    "eu.art26_human_oversight": declares(human_oversight=None),
    "eu.art26_intended_purpose": producer_declares(intended_purpose="hiring"),
    "eu.art43_conformity_evidence": performed(380),
    "eu.art43_conformity_ageing": performed(350),
    "eu.art53_modification_declared": producer_declares(gpai_modification=None),
    "eu.art53_modifier_duties": without_document("copyright-policy"),
    "eu-finance.dora_register": declares(ict_register_reference="TBD"),
    "eu-finance.model_risk_sign_off": customer_approves_without("model-risk-sign-off"),
    "uk.art22c_human_intervention": declares(human_intervention=None),
    "uk.art35_impact_assessment": both(
        corpora_of("personal-data"), without_document("data-protection-impact-assessment")
    ),
    "us.govern_owner": environment(owner="unknown"),
    "us.map_purpose": environment(purpose="unspecified"),
    "us.measure_performance": manifest(evaluations=[]),
    "us.measure_resilience": low_floor("adversarial"),
    "us.manage_go_decision": customer_approves_without("risk-response"),
    "us.manage_approval_ending": ends("provider", 20),
    "us-finance.independent_validation": customer_approves_without("independent-validation"),
    "us-finance.effective_challenge": customer_approves_without("effective-challenge"),
    "us-finance.ongoing_monitoring": declares(monitoring_plan=None),
    "us-healthcare.hipaa_business_associate": declares(business_associate_agreement=None),
    "us-healthcare.hipaa_minimum_necessary": declares(phi_purpose="marketing"),
    "us-healthcare.fda_change_control_plan": without_document("predetermined-change-control-plan"),
    "us-defense.autonomy_review": declares(weapon_function="yes"),
    "us-defense.responsible_ai": without_document("responsible-ai-assessment"),
    "us-defense.export_controlled_corpora": corpora_of("ITAR"),
    "us-defense.cleared_environment": declares(impact_level="il2"),
}
"""For each rule one change of lawful evidence that breaks it and nothing else."""


def merged(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Apply a JSON Merge Patch (RFC 7396) in place."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            merged(target.setdefault(name, {}), value)
        else:
            target[name] = value


def patched(patches: dict[str, dict[str, Any]]) -> Change:
    """A change by patches of the environment, the manifest, the result and the approvals."""

    def change(lawful: Lawful) -> None:
        for part, patch in patches.items():
            merged(getattr(lawful, part), patch)

    return change


BESIDE = {
    code: patched(patches)
    for path in sorted((POLICIES / "jurisdiction").glob(f"*/{scaffold.CASES}"))
    for code, patches in json.loads(path.read_text()).items()
}
"""The same, from the files beside the rules."""
CASES |= BESIDE

CATALOGUE = rules.catalogue(opa_path(), POLICIES)
RULES = {rule.code: rule for rule in CATALOGUE.rules if rule.package != CALL}


def lawful_for(package: str) -> Lawful:
    jurisdiction, _, sector = package.partition("-")
    return Lawful(jurisdictions=(jurisdiction,), sector=sector or "retail")


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Real OPA over the real policies, all of them enforced by now."""
    folder = tmp_path_factory.mktemp("policies")
    tree = copy_policies(folder)
    path = tree / "params" / "admission" / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "enforce_early": sorted(RULES)}))
    with OpaServer(build_bundle(folder, tree=tree), folder) as server:
        yield address_of(server)


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    assert set(RULES) == CASES.keys()


@pytest.mark.parametrize("package", sorted({rule.package for rule in RULES.values()}))
def test_lawful_evidence_passes_every_rule_of_a_package(opa: Address, package: str) -> None:
    said = ask(opa, lawful_for(package))
    assert (said.reason, said.violations, said.warnings) == ("admitted", set(), set())
    (held_to,) = said.outcome.asked[-1].facts
    assert package.startswith(held_to.environment.jurisdictions[0])


@pytest.mark.parametrize("rule", [RULES[code] for code in CASES if code in RULES],
                         ids=lambda rule: rule.code)  # fmt: skip
def test_each_rule_refuses_what_breaks_it_and_nothing_else_does(opa: Address, rule: Rule) -> None:
    lawful = lawful_for(rule.package)
    CASES[rule.code](lawful)
    said = ask(opa, lawful)
    if rule.state == ADVISORY:
        assert (said.reason, said.warnings) == ("admitted", {rule.code})
    else:
        # A sector may ask what its jurisdiction asks too: two packages begun with the same rule.
        own = {code for code in said.violations if code.startswith(f"{rule.package}.")}
        found = own if rule.code in BESIDE else said.violations
        assert (said.reason, found) == ("jurisdiction_denied", {rule.code})


GRADER = {"type": "score_model", "name": "helpful", "model": BASE, "input": []}


def tune_a_base_model(opa: Address, **job: object) -> Said:
    """In an environment of high risk, whose customer lists the base model for both uses."""
    lawful = lawful_for("eu")
    world = lawful.world()
    listed = [f"openai/{BASE}"]
    world.declare(
        jurisdictions=["eu"],
        sector=lawful.sector,
        baseModels=listed,
        tuningModels=listed,
        **lawful.environment,
    )
    covered = {
        "id": ENV,
        "jurisdictions": ["eu"],
        "sector": lawful.sector,
        "purpose": lawful.environment["purpose"],
        "operations": [OPERATION],
    }
    specified = {"admissibility_specification": world.specify(environments=[covered])}
    return ask_in(opa, world, BASE, "/v1/fine_tuning/jobs", training_file="file-1",
                  metadata=specified, **job)  # fmt: skip


def test_high_risk_use_may_begin_with_tuning_a_base_model(opa: Address) -> None:
    said = tune_a_base_model(opa)
    assert (said.reason, said.violations, said.warnings) == ("admitted", set(), set())
    graded = {"type": "reinforcement", "reinforcement": {"grader": GRADER}}
    said = tune_a_base_model(opa, method=graded)
    assert (said.reason, said.violations) == ("jurisdiction_denied", {"eu.art6_high_risk"})
