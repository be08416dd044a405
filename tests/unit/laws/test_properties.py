"""Over random chains: *allow* implies every conjunct, and taking one away always denies.

Beside the tests of the core rather than among them: it reaches nothing in it that they do not, and
under their coverage it would take twice the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.examples import examples
from tests.support.simulator.constants import BASE, DAY, DEPLOYMENT, ENV, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, suite, window
from tests.support.simulator.verified_once import verified_once
from tests.support.simulator.world import World, credential, parties_world

JURISDICTIONS = ("eu", "us", "uk")
TUNE = "fine_tuning.jobs.create"


@pytest.fixture(scope="module", autouse=True)
def answers() -> Iterator[None]:
    with verified_once():
        yield


@dataclass
class Plan:
    """A random chain: how deep, where, with which extra roles, and windows of its own.

    Called by its own name or as a deployment, tuned under a specification or without, and asked
    about to be called or to be tuned on.
    """

    depth: int
    jurisdictions: list[str]
    extra_roles: list[str]
    deployed: bool
    specified: bool
    tuned: bool
    days: dict[str, tuple[float, float]] = field(default_factory=dict)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    days = st.tuples(st.floats(0.1, 20), st.floats(0.1, 20))
    names = ["environment", "manifest", "result", "approval"]
    deployed, tuned = draw(st.booleans()), draw(st.booleans())
    if deployed:
        names.append("binding")
    found = {name: draw(days) for name in names}
    if tuned:
        # It held when the runs began, and holds still.
        found["specification"] = (60, draw(st.floats(0.1, 20)))
    return Plan(
        deployed=deployed,
        specified=tuned or draw(st.booleans()),
        tuned=tuned,
        depth=draw(st.integers(1, 3)),
        jurisdictions=draw(st.lists(st.sampled_from(JURISDICTIONS), min_size=1, unique=True)),
        extra_roles=draw(st.lists(st.sampled_from(["auditor", "works-council"]), unique=True)),
        days=found,
    )


def model_name(level: int) -> str:
    return f"ft:{BASE}:acme:v{level}"


def roles_of(plan: Plan) -> list[tuple[str, str]]:
    """Each required role with the authority that fills it; one regulator per jurisdiction."""
    return [
        ("provider", "provider"),
        ("customer", "customer"),
        *((role, role) for role in plan.extra_roles),
        *(("regulator", f"regulator-{name}") for name in plan.jurisdictions),
    ]


def built(plan: Plan) -> World:
    world = parties_world()
    world.open_jurisdictions()
    for role in plan.extra_roles:
        world.join(role, grant(role, jurisdictions=("**",)))
    for name in plan.jurisdictions:
        world.join(f"regulator-{name}", grant("regulator", jurisdictions=(name,)))
    world.declare(jurisdictions=plan.jurisdictions, window=window(*plan.days["environment"]))
    if plan.specified:
        world.join("planner", grant("customer", jurisdictions=("**",)))
        world.specify(
            signer="planner",
            environments=environments(plan),
            envelope={"suites": suites(plan)},
            window=window(*plan.days.get("specification", (60, -30))),
        )
    for level in range(plan.depth):
        add_level(world, plan, level)
    if plan.deployed:
        world.join("cloud", grant("provider", jurisdictions=("**",)))
        top = plan.depth - 1
        period = window(*plan.days["binding"])
        bound = {"model": model_name(top), "manifest": f"{top}:manifest"}
        world.bind_deployment(signer="cloud", window=period, **bound)
    return world


def suites(plan: Plan) -> list[dict[str, Any]]:
    return [
        suite("adversarial"),
        suite("regression"),
        *(suite("compliance", name) for name in plan.jurisdictions),
    ]


def environments(plan: Plan) -> list[dict[str, Any]]:
    declared = manifest_predicate()["environments"][0]
    return [{**declared, "jurisdictions": plan.jurisdictions, "operations": [OPERATION, TUNE]}]


def add_level(world: World, plan: Plan, level: int) -> None:
    model: dict[str, object] = {"provider": "openai", "id": model_name(level), "base": BASE}
    if level:
        parent = {"sha256": world.digests[f"{level - 1}:manifest"]}
        model = {**model, "base": model_name(level - 1), "parent": parent}
    named = {"specification": {"sha256": world.digests["specification"]}} if plan.specified else {}
    predicate = {
        **manifest_predicate(model=model_name(level)),
        "model": model,
        "envelope": {"suites": suites(plan)},
        "environments": environments(plan),
        **named,
        "approvals": {"required": ["provider", *plan.extra_roles]},
        "window": window(*plan.days["manifest"]),
    }
    payload = statement(MANIFEST, model_name(level), sha(model_name(level)), predicate)
    world.sign(f"{level}:manifest", payload, "producer")
    about = {"manifest": f"{level}:manifest", "model": model_name(level)}
    world.result(
        f"{level}:result", suites=suites(plan), window=window(*plan.days["result"]), **about
    )
    for role, signer in roles_of(plan):
        world.approve(
            role,
            label=f"{level}:approval:{signer}",
            signer=signer,
            jurisdictions=plan.jurisdictions,
            operations=[OPERATION, TUNE],
            window=window(*plan.days["approval"]),
            **about,
        )


def ask(world: World, plan: Plan, now: datetime = NOW) -> Assessment:
    name = DEPLOYMENT if plan.deployed else model_name(plan.depth - 1)
    call = Call(
        "openai",
        TUNE if plan.tuned else OPERATION,
        () if plan.tuned else (name,),
        tuned=(name,) if plan.tuned else (),
        deployments=(name,) if plan.deployed else (),
        specification=world.digests["specification"] if plan.tuned else None,
    )
    far = credential(ENV, expires=NOW + 300 * DAY)
    return assess(call, far, world.state(), now)


def relied_on(world: World, plan: Plan) -> list[str]:
    """Labels of all evidence without which there is no allow."""
    top = plan.depth - 1
    return sorted(
        label
        for label in world.evidence
        if label in {"environment", "binding", "specification"}
        or label.endswith(":manifest")
        or label.startswith(f"{top}:")
    )


QUICK = settings(max_examples=examples(60))


@QUICK
@given(plan=plans())
def test_a_complete_chain_is_admissible_and_relies_on_everyone_it_should(plan: Plan) -> None:
    assessment = ask(built(plan), plan)
    assert assessment.reason is None
    expected = {"producer", "evaluator", "provider"} | {signer for _, signer in roles_of(plan)}
    expected |= {"planner"} if plan.specified else set()
    expected |= {"cloud"} if plan.deployed else set()
    assert set(assessment.constituents) == expected
    assert len(assessment.manifests) == plan.depth


@QUICK
@given(plan=plans(), data=st.data())
def test_taking_away_any_one_piece_of_evidence_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    world.evidence.pop(data.draw(st.sampled_from(relied_on(world, plan))))
    assert ask(world, plan).reason is not None


@QUICK
@given(plan=plans(), data=st.data())
def test_one_flipped_bit_in_any_one_signature_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    label = data.draw(st.sampled_from(relied_on(world, plan)))
    text = world.evidence[label]
    place = text.rindex(b'"sig": "') + 8
    other = b"A" if text[place : place + 1] != b"A" else b"B"
    world.evidence[label] = text[:place] + other + text[place + 1 :]
    assert ask(world, plan).reason is not None


@QUICK
@given(plan=plans(), data=st.data())
def test_moving_the_time_past_any_one_window_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    before, after = plan.days[data.draw(st.sampled_from(sorted(plan.days)))]
    if data.draw(st.booleans()):
        instant = NOW + after * DAY
    else:
        instant = NOW - before * DAY - timedelta(seconds=1)
    assert ask(world, plan, instant).reason is not None


@QUICK
@given(plan=plans(), data=st.data())
def test_an_allow_holds_until_it_says_and_never_longer_than_its_conjuncts(
    plan: Plan, data: st.DataObject
) -> None:
    world = built(plan)
    assessment = ask(world, plan)
    later = data.draw(st.floats(0, 0.999))
    until = assessment.valid_until
    assert ask(world, plan, NOW + later * (until - NOW)).reason is None
    assert until <= NOW + min(after for _, after in plan.days.values()) * DAY


@QUICK
@given(plan=plans(), data=st.data())
def test_any_constituents_withdrawal_of_any_level_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    name = data.draw(st.sampled_from(ask(world, plan).constituents))
    level = data.draw(st.integers(0, plan.depth - 1))
    world.parties[name].withdraw("manifest", world.digests[f"{level}:manifest"])
    assert ask(world, plan).reason is Reason.WITHDRAWN


@QUICK
@given(plan=plans(), data=st.data())
def test_nothing_taken_away_and_nothing_withdrawn_ever_admits(
    plan: Plan, data: st.DataObject
) -> None:
    world = built(plan)
    kinds = {
        "binding": "deployment-binding",
        "specification": "specification",
        "environment": "environment",
        "manifest": "manifest",
        "result": "result",
    }
    digests = [
        (kinds.get(label.split(":")[-1], "approval"), digest)
        for label, digest in sorted(world.digests.items())
    ]
    keys = [("key", party.key.fingerprint) for _, party in sorted(world.parties.items())]
    authorities = [("authority", name) for name in sorted(world.parties)]
    admitted = [True]
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            world.evidence.pop(data.draw(st.sampled_from(sorted(world.evidence))))
        else:
            party = world.parties[data.draw(st.sampled_from(sorted(world.parties)))]
            party.withdraw(*data.draw(st.sampled_from(digests + keys + authorities)))
        admitted.append(ask(world, plan).reason is None)
    assert admitted == sorted(admitted, reverse=True)


@QUICK
@given(plan=plans(), data=st.data())
def test_whoever_withdraws_a_binding_or_a_specification_that_counts_is_heard(
    plan: Plan, data: st.DataObject
) -> None:
    world = built(plan)
    kinds = {"binding": "deployment-binding", "specification": "specification"}
    present = sorted(label for label in kinds if label in world.evidence)
    assume(present)
    label = data.draw(st.sampled_from(present))
    name = data.draw(st.sampled_from(ask(world, plan).constituents))
    world.parties[name].withdraw(kinds[label], world.digests[label])
    assert ask(world, plan).reason is Reason.WITHDRAWN
