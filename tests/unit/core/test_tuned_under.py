"""What was tuned under a specification keeps to it, and ends with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from sidecar.core.assess import assess
from sidecar.core.assessment import Specified
from sidecar.core.call import Call
from sidecar.core.evidence import Signer
from sidecar.core.predicates import MANIFEST
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import APPROVERS, BASE, CHILD, DAY, ENV, MODEL, NOW, SECOND
from tests.support.simulator.keys import SimKey
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import (
    manifest_predicate,
    sha,
    specification_predicate,
    stamp,
    statement,
    suite,
    suites,
    window,
)
from tests.support.simulator.world import World, admitted_world, credential, refusal, tuned_on_world
from tests.unit.core.tuning import spec, told, unverified

RUN = NOW - 40 * DAY
"""When the run of ``manifest_predicate`` began."""


def specified_world(**changes: Any) -> World:
    """``MODEL`` was tuned under a specification of the office, which is over by now."""
    world = admitted_world()
    world.join("office", grant("customer"))
    world.specify(signer="office", **{"window": window(60, -20), **changes})
    tuned_under(world)
    return world


def tuned_under(world: World, **changes: Any) -> None:
    """Sign the manifest as one that names the specification, and all that is about it."""
    declared = specification_predicate()
    predicate = {
        **manifest_predicate(),
        "environments": declared["environments"],
        "envelope": declared["envelope"],
        "specification": {"sha256": world.digests["specification"]},
        **changes,
    }
    world.sign("manifest", statement(MANIFEST, MODEL, sha("job"), predicate), "producer")
    world.result(suites=predicate["envelope"]["suites"])
    for role in APPROVERS:
        world.approve(role)


def called(world: World, model: str = MODEL) -> tuple[Reason | None, int, str]:
    return told(world, Call("openai", "chat.completions", (model,)))


def test_what_was_tuned_under_a_specification_says_so() -> None:
    world = specified_world()
    digest = world.digests["specification"]
    assessment = world.ask()
    found = [(f.step, f.detail) for f in assessment.findings if f.subject == MODEL]
    assert found == [
        (2, f"manifest {world.digests['manifest']}"),
        (3, "signed by producer"),
        (3, f"tuned under {digest}"),
        (4, "countersigned by evaluator"),
        (5, "approved by customer, provider, regulator"),
        (6, "28 things relied on, none withdrawn"),
    ]
    signer = Signer("office", world.parties["office"].key.fingerprint)
    expected = (Specified(world.state().specifications[digest], signer),)
    assert [chain.specifications for chain in assessment.chains] == [expected]
    assert "office" in assessment.constituents
    call = Call("openai", "chat.completions", (MODEL,))
    facts = prove(call, credential(), assessment, rfc3339(NOW), "n")
    assert facts.adaptations[0].specification == digest
    assert facts.request.specification is None


def under(why: str, digest: str) -> tuple[Reason, int, str]:
    return unverified(f"{MODEL} was tuned under {digest}: {why}")


def test_an_operator_that_requires_specifications_refuses_a_manifest_that_names_none() -> None:
    without, within = admitted_world(), specified_world()
    without.specified = within.specified = True
    assert refusal(without.ask()) == (
        Reason.SPECIFICATION_MISSING,
        3,
        f"{MODEL} names none, and the operator requires it",
    )
    assert within.ask().reason is None


@pytest.mark.parametrize(
    ("begins", "over", "holds"),
    [
        (RUN, RUN + SECOND, True),
        (RUN - SECOND, RUN, False),
        (RUN + SECOND, NOW + DAY, False),
        (RUN - SECOND, RUN + SECOND, True),
    ],
)
def test_a_manifests_specification_held_when_the_run_began(
    begins: datetime, over: datetime, holds: bool
) -> None:
    period = {"notBefore": stamp(begins), "notAfter": stamp(over)}
    world = specified_world(window=period)
    refused = under("it did not hold when the run began", world.digests["specification"])
    assert called(world) == ((None, -1, "") if holds else refused)


NOT_SPECIFIED = "the manifest's environments or suites are not those that were specified"
MANIFESTS: list[tuple[str, Callable[[World], Any], str]] = [
    (
        "unknown",
        lambda w: w.evidence.pop("specification"),
        "no specification of this digest is known",
    ),
    (
        "nobody's",
        lambda w: w.grants.update(office=(grant("auditor"),)),
        "signed by office: no customer of every environment it names",
    ),
    (
        "a key that is over",
        lambda w: setattr(w.parties["office"], "key_window", window(300, -1)),
        "signed by office: no customer of every environment it names",
    ),
    (
        "a looser environment",
        lambda w: tuned_under(w, environments=[spec(operations=["chat.completions", "batches"])]),
        NOT_SPECIFIED,
    ),
    (
        "one environment more",
        lambda w: tuned_under(w, environments=[spec(), spec(id=ENV)]),
        NOT_SPECIFIED,
    ),
    (
        "a lower threshold",
        lambda w: tuned_under(
            w,
            envelope={"suites": suites(adversarial=0.8)},
        ),
        NOT_SPECIFIED,
    ),
    (
        "a suite less",
        lambda w: tuned_under(w, envelope={"suites": [suite("compliance")]}),
        NOT_SPECIFIED,
    ),
]


@pytest.mark.parametrize(
    ("spoil", "why"), [c[1:] for c in MANIFESTS], ids=[c[0] for c in MANIFESTS]
)
def test_a_manifest_that_does_not_keep_to_its_specification_is_refused(
    spoil: Callable[[World], Any], why: str
) -> None:
    world = specified_world()
    assert called(world)[0] is None
    spoil(world)
    assert called(world) == under(why, world.digests["specification"])


def test_a_manifest_cannot_name_a_specification_for_other_models_or_without_suites() -> None:
    world = specified_world(models=["openai/gpt-4.1-*"])
    why = f"it does not cover tuning openai/{BASE}"
    assert called(world) == under(why, world.digests["specification"])
    declared = [spec(jurisdictions=["eu", "us"])]
    world = specified_world(environments=declared)
    tuned_under(world, environments=declared)
    why = "it declares no compliance suite for us"
    assert called(world) == under(why, world.digests["specification"])


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("specification", lambda w: w.digests["specification"]),
        ("key", lambda w: w.parties["office"].key.fingerprint),
        ("authority", lambda _: "office"),
    ],
)
def test_withdrawing_a_specification_ends_what_was_tuned_under_it_and_what_was_tuned_on(
    kind: str, subject: Callable[[World], str]
) -> None:
    world = tuned_on_world()
    world.join("office", grant("customer"))
    world.specify(signer="office", window=window(60, -20))
    tuned_under(world)
    parent = {"sha256": world.digests["manifest"]}
    model = {"provider": "openai", "id": CHILD, "base": MODEL, "parent": parent}
    predicate = {**manifest_predicate(model=CHILD), "model": model}
    world.sign("child", statement(MANIFEST, CHILD, sha("child"), predicate), "producer")
    world.result("child:result", manifest="child", model=CHILD)
    for role in APPROVERS:
        world.approve(role, label=f"child:approval:{role}", manifest="child", model=CHILD)
    assert [called(world, model)[0] for model in (MODEL, CHILD)] == [None, None]
    assert "office" in world.ask(CHILD).constituents
    world.parties["office"].withdraw(kind, subject(world))
    assert [called(world, model)[:2] for model in (MODEL, CHILD)] == [(Reason.WITHDRAWN, 6)] * 2
    world.evidence.pop("specification")
    assert called(world, CHILD) == under(
        "no specification of this digest is known", world.digests["specification"]
    )


def test_after_a_key_rotation_the_same_specification_is_signed_anew() -> None:
    world = specified_world()
    office = world.parties["office"]
    office.key, office.key_window = SimKey.ed25519(), window(1, 300)
    digest = world.digests["specification"]
    assert called(world) == under("no specification of this digest is known", digest)
    assert world.specify(signer="office", window=window(60, -20)) == digest
    assert called(world)[0] is None


def test_a_call_ends_with_the_key_that_signed_its_models_specification() -> None:
    world = specified_world()
    world.parties["office"].key_window = window(300, 0.5)
    call = Call("openai", "chat.completions", (MODEL,))
    far = credential(expires=NOW + 300 * DAY)
    assert assess(call, far, world.state(), NOW).valid_until == NOW + DAY / 2
