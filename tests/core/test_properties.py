"""Over random chains: *allow* implies every conjunct, and taking one away always denies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.evidence import MANIFEST
from sidecar.core.reasons import Reason
from tests.simulator.world import (
    BASE,
    DAY,
    ENV,
    NOW,
    OPERATION,
    World,
    credential,
    grant,
    manifest_predicate,
    parties_world,
    sha,
    statement,
    suite,
    window,
)

JURISDICTIONS = ("eu", "us", "uk")


@dataclass
class Plan:
    """A random chain: how deep, where, with which extra roles, and windows of its own."""

    depth: int
    jurisdictions: list[str]
    extra_roles: list[str]
    days: dict[str, tuple[float, float]] = field(default_factory=dict)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    days = st.tuples(st.floats(0.1, 20), st.floats(0.1, 20))
    names = ["environment", "manifest", "result", "approval"]
    return Plan(
        depth=draw(st.integers(1, 3)),
        jurisdictions=draw(st.lists(st.sampled_from(JURISDICTIONS), min_size=1, unique=True)),
        extra_roles=draw(st.lists(st.sampled_from(["auditor", "works-council"]), unique=True)),
        days={name: draw(days) for name in names},
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
    for name, grants in world.grants.items():
        world.grants[name] = tuple(
            grant(
                g.role,
                jurisdictions=("**",),
                base_models=g.base_models,
                trust_domains=g.trust_domains,
            )
            for g in grants
        )
    for role in plan.extra_roles:
        world.join(role, grant(role, jurisdictions=("**",)))
    for name in plan.jurisdictions:
        world.join(f"regulator-{name}", grant("regulator", jurisdictions=(name,)))
    world.declare(jurisdictions=plan.jurisdictions, window=window(*plan.days["environment"]))
    for level in range(plan.depth):
        add_level(world, plan, level)
    return world


def add_level(world: World, plan: Plan, level: int) -> None:
    suites = [
        suite("adversarial"),
        suite("regression"),
        *(suite("compliance", name) for name in plan.jurisdictions),
    ]
    model: dict[str, object] = {"provider": "openai", "id": model_name(level), "base": BASE}
    if level:
        parent = {"sha256": world.digests[f"{level - 1}:manifest"]}
        model = {**model, "base": model_name(level - 1), "parent": parent}
    spec = {**manifest_predicate()["environments"][0], "jurisdictions": list(JURISDICTIONS)}
    predicate = {
        **manifest_predicate(model=model_name(level)),
        "model": model,
        "envelope": {"suites": suites},
        "environments": [spec],
        "approvals": {"required": ["provider", *plan.extra_roles]},
        "window": window(*plan.days["manifest"]),
    }
    payload = statement(MANIFEST, model_name(level), sha(model_name(level)), predicate)
    world.sign(f"{level}:manifest", payload, "producer")
    about = {"manifest": f"{level}:manifest", "model": model_name(level)}
    world.result(f"{level}:result", suites=suites, window=window(*plan.days["result"]), **about)
    for role, signer in roles_of(plan):
        world.approve(
            role,
            label=f"{level}:approval:{signer}",
            signer=signer,
            jurisdictions=plan.jurisdictions,
            window=window(*plan.days["approval"]),
            **about,
        )


def ask(world: World, plan: Plan, now: datetime = NOW) -> Assessment:
    call = Call("openai", OPERATION, (model_name(plan.depth - 1),))
    far = credential(ENV, expires=NOW + 300 * DAY)
    return assess(call, far, world.state(), now)


QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(plan=plans())
def test_a_complete_chain_is_admissible_and_relies_on_everyone_it_should(plan: Plan) -> None:
    assessment = ask(built(plan), plan)
    assert assessment.reason is None
    expected = {"producer", "evaluator", "provider"} | {signer for _, signer in roles_of(plan)}
    assert set(assessment.constituents) == expected
    assert len(assessment.manifests) == plan.depth


@QUICK
@given(plan=plans(), data=st.data())
def test_taking_away_any_one_piece_of_evidence_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    top = plan.depth - 1
    relied = [
        label
        for label in world.evidence
        if label == "environment" or label.endswith(":manifest") or label.startswith(f"{top}:")
    ]
    world.evidence.pop(data.draw(st.sampled_from(sorted(relied))))
    assert ask(world, plan).reason is not None


@QUICK
@given(plan=plans(), data=st.data())
def test_one_flipped_bit_in_any_one_signature_denies(plan: Plan, data: st.DataObject) -> None:
    world = built(plan)
    top = plan.depth - 1
    relied = sorted(label for label in world.evidence if label.startswith((f"{top}:", "env")))
    label = data.draw(st.sampled_from(relied))
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
