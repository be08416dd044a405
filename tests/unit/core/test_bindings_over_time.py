"""A deployment is bound anew, its binding withdrawn or outlived: what holds before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sidecar.core.assess import assess
from sidecar.core.assessment import Deployed
from sidecar.core.evidence import Signer
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, CHILD, DAY, DEPLOYMENT, MODEL, NOW, SECOND
from tests.support.simulator.keys import SimKey
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, window
from tests.support.simulator.world import World, admitted_world, credential, tuned_on_world
from tests.unit.core.deployments import CALL, UNBOUND, deployed_world, told


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (NOW - SECOND, Reason.DEPLOYMENT_UNBOUND),
        (NOW, None),
        (NOW + SECOND, None),
        (NOW + DAY / 24 - SECOND, None),
        (NOW + DAY / 24, Reason.DEPLOYMENT_UNBOUND),
    ],
)
def test_a_binding_holds_in_its_window_and_not_at_its_end(at: Any, reason: Reason | None) -> None:
    world = admitted_world()
    world.bind_deployment(window=window(0, 1 / 24))
    state = world.state()
    assessment = assess(CALL, credential(expires=NOW + DAY), state, at)
    until = NOW + DAY / 24 if reason is None else assessment.valid_until
    assert (assessment.reason, assessment.valid_until) == (reason, until)


def test_rebinding_is_ordinary_and_the_newest_word_is_in_force() -> None:
    world = tuned_on_world()
    world.bind_deployment(window=window(1, 2))
    world.bind_deployment(model=CHILD, manifest="child", label="newer", window=window(0.5, 0.6))
    state, far = world.state(), credential(expires=NOW + 9 * DAY)
    assessment = assess(CALL, far, state, NOW)
    assert assessment.reason is None
    (chain,) = assessment.chains
    assert chain.manifest is not None
    assert chain.manifest.digest == world.digests["child"]
    ended = assess(CALL, far, state, NOW + 0.7 * DAY)
    assert ended.reason is Reason.DEPLOYMENT_UNBOUND


def test_a_refusal_is_that_of_the_manifest_bound_and_not_of_a_newer_one() -> None:
    world = deployed_world()
    world.bind("newer", run={**manifest_predicate()["run"], "id": "other"}, window=window(1, 9))
    assert assess(CALL, credential(), world.state(), NOW).reason is None
    world.parties["regulator"].withdraw("manifest", world.digests["manifest"])
    assert assess(CALL, credential(), world.state(), NOW).reason is Reason.WITHDRAWN
    world.evidence.pop("manifest")
    assert assess(CALL, credential(), world.state(), NOW).reason is Reason.DEPLOYMENT_UNBOUND


def test_a_newer_word_by_one_that_may_not_give_it_changes_nothing() -> None:
    world = deployed_world()
    world.bind_deployment(
        model=BASE, manifest=None, label="newer", signer="customer", window=window(0.5, 1)
    )
    assert world.put(CALL).chains[0].deployed == deployed_world_answer(world)


def deployed_world_answer(world: World) -> Deployed:
    (first, second) = world.state().bindings["openai", DEPLOYMENT]
    binding = first if first.predicate.model == MODEL else second
    signer = Signer("provider", world.parties["provider"].key.fingerprint)
    return Deployed(binding, signer, False, NOW + DAY)


KINDS: list[tuple[str, Callable[[World], str]]] = [
    ("deployment-binding", lambda w: w.digests["binding"]),
    ("key", lambda w: w.parties["cloud"].key.fingerprint),
    ("authority", lambda _: "cloud"),
]


@pytest.mark.parametrize("of_base", [False, True])
@pytest.mark.parametrize(("kind", "subject"), KINDS, ids=[kind for kind, _ in KINDS])
def test_a_withdrawn_binding_ends_every_call_to_its_deployment(
    kind: str, subject: Callable[[World], str], of_base: bool
) -> None:
    world = admitted_world()
    world.join("cloud", grant("provider", base_models=("openai/gpt-4o-*",)))
    target: dict[str, Any] = {"model": BASE, "manifest": None} if of_base else {}
    world.bind_deployment(label="older", signer="cloud", window=window(2, 3), **target)
    world.bind_deployment(signer="cloud", **target)
    assert told(world)[0] is None
    world.parties["cloud"].withdraw(kind, subject(world), NOW + SECOND)
    assert world.put(CALL).valid_until == NOW + SECOND
    assert told(world, now=NOW + SECOND)[:2] == (Reason.WITHDRAWN, 6)
    if kind == "deployment-binding":
        assert world.ask(BASE if of_base else MODEL, now=NOW + SECOND).reason is None


def test_every_provider_granted_in_scope_is_heard_whether_or_not_it_signed() -> None:
    world = deployed_world()
    world.join("cloud", grant("provider"))
    world.parties["cloud"].withdraw("manifest", world.digests["manifest"])
    assert told(world)[:2] == (Reason.WITHDRAWN, 6)
    assert world.ask().reason is Reason.WITHDRAWN


def test_one_standing_signature_is_enough_and_is_the_one_relied_on() -> None:
    world = deployed_world()
    world.join("cloud", grant("provider", of_record=True))
    world.bind_deployment(label="countersigned", signer="cloud")
    cloud = world.parties["cloud"]
    first = world.parties["provider"]
    cloud.withdraw("key", cloud.key.fingerprint)
    assessment = world.put(CALL)
    assert assessment.reason is None
    assert assessment.chains[0].deployed is not None
    assert assessment.chains[0].deployed.signer == Signer("provider", first.key.fingerprint)
    assert assessment.of_record == ()


def test_stale_metadata_of_who_bound_denies_the_deployment_and_not_the_model() -> None:
    world = admitted_world()
    world.join("cloud", grant("provider", silence="ignored"))
    world.bind_deployment(signer="cloud")
    world.parties["cloud"].expires = NOW
    assert told(world) == (Reason.TRUST_STALE, 7, "no current trust metadata of cloud")
    assert world.ask().reason is None


def test_after_a_key_rotation_the_deployment_is_bound_anew() -> None:
    world = admitted_world()
    world.join("cloud", grant("provider"))
    world.bind_deployment(signer="cloud")
    world.parties["cloud"].key = SimKey.ed25519()
    assert told(world) == UNBOUND
    world.bind_deployment(signer="cloud")
    assert told(world)[0] is None


def ends(change: Callable[[World], Any]) -> Any:
    world = admitted_world()
    world.join("cloud", grant("provider"))
    world.bind_deployment(signer="cloud", window=window(1, 9))
    change(world)
    assessment = assess(CALL, credential(expires=NOW + 300 * DAY), world.state(), NOW)
    assert assessment.reason is None
    return assessment.valid_until


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.bind_deployment(signer="cloud", window=window(1, 0.5)),
        lambda w: w.bind_deployment(
            label="newer", signer="provider", manifest="result", window=window(-0.5, 9)
        ),
        lambda w: setattr(w.parties["cloud"], "key_window", window(300, 0.5)),
        lambda w: setattr(w.parties["cloud"], "expires", NOW + DAY / 2),
        lambda w: w.parties["cloud"].withdraw(
            "deployment-binding", w.digests["binding"], NOW + DAY / 2
        ),
        lambda w: w.declare(label="newer", window=window(-0.5, 9)),
    ],
)
def test_a_decision_ends_when_the_binding_does_or_a_newer_one_begins(
    change: Callable[[World], Any],
) -> None:
    assert ends(change) == NOW + DAY / 2


def test_what_others_announce_does_not_end_it_early() -> None:
    def announce(world: World) -> None:
        world.bind_deployment(label="x", signer="customer", window=window(-0.5, 9))
        world.declare(label="y", signer="provider", window=window(-0.5, 9))

    assert ends(announce) == NOW + DAY
