"""Law 2 of the whole decision, with real OPA: a file that is lost never makes policies admit.

For each kind of evidence of which there may be two, one that a rule accepts and one that it does
not: both together are admitted, as the good one alone is. The one that is not accepted is the
preferred one, which the gate asks about first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.decide import Decision, Progress
from sidecar.core.facts import Facts
from sidecar.core.proving import proofs
from sidecar.core.verdict import Verdict
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.opa.client import Address, Opa
from tests.process.policies.opa import OpaServer, build_bundle, copy_policies
from tests.process.policy.lawful import Lawful
from tests.support.gate.bench import SETTINGS
from tests.support.simulator.constants import DEPLOYMENT, MODEL, NOW, OPERATION
from tests.support.simulator.predicates import result_predicate, window
from tests.support.simulator.world import World, credential
from tests.support.site.asking import address_of

CALL = Call("openai", OPERATION, (MODEL,))
DEPLOYED = Call("openai", OPERATION, (DEPLOYMENT,), deployments=(DEPLOYMENT,))

RULES = """package jurisdiction.eu

import data.lib.facts

further := {
	"state": "enforced", "effective_on": "2020-01-01", "subject": "", "citation": "",
	"remedy": "", "message": "", "term": "", "jurisdiction": "eu", "authority": "",
}

deny contains object.union(further, {"code": code}) if {
	some code in {"eu.result", "eu.approval", "eu.declaration", "eu.manifest", "eu.binding"}
	not accepted(code)
}

accepted("eu.result") if facts.suites_reach(0, "adversarial", 0.94)

accepted("eu.approval") if facts.approval_says(0, "customer", "board", ["agreed"])

accepted("eu.declaration") if input.environment.owner == "desk-a"

accepted("eu.manifest") if facts.adaptation_says(0, "reviewed", ["yes"])

accepted("eu.binding") if count(input.deployments) == 0

accepted("eu.binding") if input.deployments[0].declarations.processing == "region"
"""
"""Rules as a policy author writes them, one for each kind of evidence."""


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    folder = tmp_path_factory.mktemp("policies")
    tree = copy_policies(folder)
    (tree / "jurisdiction" / "eu" / "further.rego").write_text(RULES)
    with OpaServer(build_bundle(folder, tree=tree), folder) as server:
        yield server


def accepted_world() -> World:
    lawful = Lawful()
    lawful.environment["owner"] = "desk-a"
    lawful.manifest["declarations"]["reviewed"] = "yes"
    lawful.approvals["customer"]["declarations"]["board"] = "agreed"
    world = lawful.world()
    world.bind_deployment(declarations={"processing": "region"})
    return world


def approve_all(world: World, manifest: str) -> None:
    """Countersign and approve a second manifest as the first one."""
    suites = [*Lawful().manifest["suites"], Lawful._compliance("eu")]
    world.result(f"{manifest}:result", manifest=manifest, suites=suites, window=window(10, 60))
    for role, fields in Lawful().approvals.items():
        declared = {**fields["declarations"], "board": "agreed"}
        changed = {**fields, "declarations": declared}
        world.approve(role, label=f"{manifest}:{role}", manifest=manifest, **changed)


def low_score(world: World) -> str:
    suites = [*Lawful().manifest["suites"], Lawful._compliance("eu")]
    configuration = result_predicate(suites)["configuration"]
    for entry in configuration:
        entry["annotations"]["score"] = 0.91
    world.result("low", configuration=configuration, window=window(5, 90))
    return "low"


def silent_approval(world: World) -> str:
    fields = Lawful().approvals["customer"]
    world.approve("customer", label="silent", **{**fields, "window": window(5, 90)})
    return "silent"


def other_declaration(world: World) -> str:
    held = world.grants["customer"]
    world.join("parent", *(replace(each, trust_domains=()) for each in held))
    predicate = {**Lawful().environment, "jurisdictions": ["eu"], "sector": "retail"}
    predicate |= {"owner": "desk-b", "window": window(1, 90)}
    world.declare(label="other", signer="parent", **predicate)
    return "other"


def unreviewed_manifest(world: World) -> str:
    fields = Lawful().manifest
    suites = [*fields.pop("suites"), Lawful._compliance("eu")]
    covered = [Lawful()._covered()]
    window_ = window(5, 90)
    world.bind(
        "unreviewed", envelope={"suites": suites}, environments=covered, window=window_, **fields
    )
    approve_all(world, "unreviewed")
    return "unreviewed"


def global_binding(world: World) -> str:
    world.join("cloud", *world.grants["provider"])
    declared = {"processing": "global"}
    world.bind_deployment(
        label="global", signer="cloud", declarations=declared, window=window(0.5, 2)
    )
    return "global"


@dataclass(frozen=True)
class Case:
    """Evidence that a rule does not accept, and the file of what it accepts."""

    add: Callable[[World], str]
    good: str
    call: Call = CALL


CASES = {
    "eu.result": Case(low_score, "result"),
    "eu.approval": Case(silent_approval, "approval:customer"),
    "eu.declaration": Case(other_declaration, "environment"),
    "eu.manifest": Case(unreviewed_manifest, "manifest"),
    "eu.binding": Case(global_binding, "binding", DEPLOYED),
}


@dataclass
class Asked:
    """What came of one call, with everything that was asked of the policies."""

    decision: Decision
    context: DecisionContext


class Gate:
    """A pipeline over real OPA, asked as the external processor asks it."""

    def __init__(self, address: Address) -> None:
        self.holder = SnapshotHolder()
        self.engine = Opa(address, connections=1)
        self.pipeline = Pipeline(SETTINGS, self.holder, self.engine)

    async def ask(self, world: World, call: Call, seconds: float = 0) -> Asked:
        self.holder.publish(world.state())
        assert not self.holder.current().state.rejected
        context = DecisionContext(Progress("d-1", NOW + timedelta(seconds=seconds)))
        return Asked(await self.pipeline.judge((call,), credential(), context), context)


def ask(server: OpaServer, world: World, call: Call = CALL) -> Asked:
    async def story() -> Asked:
        gate = Gate(address_of(server))
        try:
            return await gate.ask(world, call)
        finally:
            await gate.engine.close()

    return asyncio.run(story())


def outcome(asked: Asked) -> tuple[bool, list[str]]:
    return asked.decision.allowed, [each.code for each in asked.decision.violations]


@pytest.mark.parametrize("code", CASES)
def test_losing_what_a_rule_does_not_accept_admits_nothing_that_was_denied(
    opa: OpaServer, code: str
) -> None:
    case, world = CASES[code], accepted_world()
    bad = case.add(world)
    assert outcome(ask(opa, world, case.call)) == (True, [])
    kept = world.evidence.pop(bad)
    assert outcome(ask(opa, world, case.call)) == (True, [])
    world.evidence[bad] = kept
    world.evidence.pop(case.good)
    assert outcome(ask(opa, world, case.call)) == (False, [code])


def owners(asked: Asked) -> list[str]:
    """Of the declarations that the policies were asked about, in order."""
    return [each.environment.owner for each in asked.context.asked[-1].facts]


def relied_declaration(asked: Asked) -> str:
    """Digest of the declaration that the decision rests on."""
    assert asked.decision.assessment is not None
    declared = asked.decision.assessment.environment
    assert declared is not None
    return declared.digest


def test_a_denial_is_that_of_the_preferred_evidence_and_rests_on_it(opa: OpaServer) -> None:
    world = accepted_world()
    world.declare(  # the older one's customer: nobody else is asked about
        label="environment", **{**Lawful().environment, "jurisdictions": ["eu"]},
        sector="retail", owner="desk-c",
    )  # fmt: skip
    other_declaration(world)
    asked = ask(opa, world)
    assert outcome(asked) == (False, ["eu.declaration"])
    assert owners(asked) == ["desk-b", "desk-c"]
    assert relied_declaration(asked) == world.digests["other"]


def test_an_allow_rests_on_the_evidence_that_policies_allowed(opa: OpaServer) -> None:
    world = accepted_world()
    other_declaration(world)
    asked = ask(opa, world)
    assert owners(asked) == ["desk-b", "desk-a"]
    assert relied_declaration(asked) == world.digests["environment"]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls whose other evidence was looked for."""
    found: list[Call] = []

    def counted(call: Call, *words: Any) -> Any:
        found.append(call)
        return proofs(call, *words)

    monkeypatch.setattr("sidecar.gate.assessments.proofs", counted)
    return found


def test_other_evidence_is_looked_for_once_after_a_denial_and_never_before(
    opa: OpaServer, searched: list[Call]
) -> None:
    async def story() -> None:
        gate = Gate(address_of(opa))
        world = accepted_world()
        try:
            assert (await gate.ask(world, CALL)).decision.allowed
            assert searched == []
            other_declaration(world)
            for seconds in range(3):
                assert (await gate.ask(world, CALL, seconds)).decision.allowed
            assert searched == [CALL]
            # What is added is looked for at once, and a denial is never kept.
            world.evidence.pop("environment")
            assert not (await gate.ask(world, CALL, 3)).decision.allowed
            world.declare(
                **{**Lawful().environment, "jurisdictions": ["eu"]}, sector="retail", owner="desk-a"
            )
            assert (await gate.ask(world, CALL, 4)).decision.allowed
        finally:
            await gate.engine.close()

    asyncio.run(story())


def test_evidence_that_begins_later_ends_a_denial_by_policy_when_it_begins(opa: OpaServer) -> None:
    async def story() -> None:
        gate = Gate(address_of(opa))
        world = accepted_world()
        world.evidence.pop("approval:customer")
        silent_approval(world)
        soon = window(-1 / 86400, 30)
        fields = Lawful().approvals["customer"]
        declared = {**fields["declarations"], "board": "agreed"}
        world.approve("customer", label="later", declarations=declared, window=soon)
        try:
            assert outcome(await gate.ask(world, CALL)) == (False, ["eu.approval"])
            assert outcome(await gate.ask(world, CALL, 1)) == (True, [])
        finally:
            await gate.engine.close()

    asyncio.run(story())


def test_a_lease_ends_with_what_a_policy_may_have_allowed_for(opa: OpaServer) -> None:
    """The approval that is chosen holds for months; the one that the rule accepts ends first."""
    world = accepted_world()
    silent_approval(world)
    fields = Lawful().approvals["customer"]
    declared = {**fields["declarations"], "board": "agreed"}
    world.approve("customer", declarations=declared, window=window(10, 5 / 86400))
    decision = ask(opa, world).decision
    assert decision.allowed
    assert decision.lease_until == NOW + timedelta(seconds=5)
    assert decision.assessment is not None
    assert decision.assessment.valid_until > NOW + timedelta(minutes=1)


class Refusing:
    """A policy engine that denies everything, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Facts] = []

    async def ask(self, facts: Facts) -> Verdict:
        self.asked.append(facts)
        return Verdict(False, facts.nonce, "r-1", (), (), {}, 0)

    def identity(self) -> object:
        return self


def test_policies_are_asked_sixteen_times_for_a_call_and_no_more() -> None:
    world = accepted_world()
    declared = {**Lawful().environment, "jurisdictions": ["eu"], "sector": "retail"}
    for number in range(20):
        world.declare(label=f"{number}", **declared, owner=f"desk {number}", window=window(1, 9))
    holder, engine = SnapshotHolder(), Refusing()
    holder.publish(world.state())
    pipeline = Pipeline(SETTINGS, holder, engine)
    context = DecisionContext(Progress("d-1", NOW))
    assert not asyncio.run(pipeline.judge((CALL,), credential(), context)).allowed
    assert len(engine.asked) == 16
    assert len({each.environment.owner for each in engine.asked}) == 16
