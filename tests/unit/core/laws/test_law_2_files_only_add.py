"""Law 2: a yes is only ever added by evidence; losing, adding or reordering files can only deny."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sidecar.core.call import Call
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, BASE, CHILD, DEPLOYMENT, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, window
from tests.support.simulator.world import World, admitted_world, tuned_on_world


def stale_second_evaluator(world: World) -> None:
    world.join("lab", grant("evaluator"))
    world.result(label="lab", signer="lab")
    world.parties["lab"].expires = NOW


def withdrawn_second_approval(world: World) -> None:
    world.join("second", grant("regulator"))
    digest = world.approve("regulator", label="second", signer="second", window=window(10, 29))
    world.parties["second"].withdraw("approval", digest)


BESIDE: dict[str, Callable[[World], object]] = {
    "a stale evaluator's result": stale_second_evaluator,
    "a withdrawn approval": withdrawn_second_approval,
    "a second manifest": lambda w: w.bind("second", window=window(5, 5)),
    "a second declaration": lambda w: w.declare(label="second", window=window(20, 40)),
    "a failed result": lambda w: w.result(label="adverse", result="FAILED"),
    "an unknown signer's approval": lambda w: w.approve("regulator", label="x", signer="stranger"),
}


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_a_file_beside_a_good_one_denies_nothing_that_its_loss_would_allow(
    beside: Callable[[World], object],
) -> None:
    world = admitted_world()
    beside(world)
    assert world.ask().reason is None


def test_losing_the_manifest_of_a_model_does_not_make_it_a_base_model() -> None:
    world = admitted_world()
    world.grants["provider"] = (grant("provider", base_models=("openai/**",)),)
    world.declare(baseModels=["openai/**"])
    world.bind(model="plain-name", label="plain")
    assert world.ask("plain-name").reason is Reason.PREACTIVATION_MISSING
    world.evidence.pop("plain")
    assert world.ask("plain-name").reason is Reason.MANIFEST_MISSING


def test_a_withdrawn_approval_of_a_parent_is_remembered_when_its_file_goes() -> None:
    world = tuned_on_world()
    child = "ft:gpt-4o-2024-08-06:acme:support-v4:def456"
    assert world.ask(child).reason is None
    world.parties["regulator"].withdraw("approval", world.digests["approval:regulator"])
    assert world.ask(child).reason is Reason.WITHDRAWN
    world.evidence.pop("approval:regulator")
    assert world.ask(child).reason is Reason.WITHDRAWN


def test_what_a_successor_named_is_remembered_when_its_file_goes() -> None:
    world = admitted_world()
    corpora = [{**manifest_predicate()["corpora"][0], "digest": {"sha256": "f" * 64}}]
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", supersedes=supersedes, corpora=corpora, window=window(5, 9))
    assert world.ask().reason is None
    world.evidence.pop("second")
    world.parties["regulator"].withdraw("corpus", "f" * 64)
    assert world.ask().reason is Reason.WITHDRAWN


def test_no_order_and_no_repetition_of_files_changes_the_state() -> None:
    world = tuned_on_world()
    world.bind_deployment()
    state = world.state()
    world.evidence = dict(reversed(world.evidence.items()))
    world.evidence.update({f"again:{name}": data for name, data in world.evidence.items()})
    assert world.state(state.epoch) == state


def test_of_two_providers_bindings_the_one_that_is_good_is_enough() -> None:
    world = admitted_world()
    world.join("cloud", grant("provider"))
    world.bind_deployment(signer="cloud", window=window(2, 2))
    world.bind_deployment(label="other", model="ft:unknown", window=window(1, 2))
    call = Call("openai", "chat.completions", (DEPLOYMENT,), deployments=(DEPLOYMENT,))
    assert world.put(call).reason is None
    world.evidence.pop("binding")
    assert world.put(call).reason is Reason.MANIFEST_MISSING


def test_an_older_manifest_is_found_behind_any_number_of_newer_ones() -> None:
    """Else losing one of the newer ones would admit by the older one."""
    world = tuned_on_world()
    for number in range(300):
        world.bind(f"draft {number}", window=window(5, 5), corpora=corpora_of(number))
    for names in ((MODEL,), (BASE, MODEL), (MODEL, CHILD)):
        assert world.ask(*names).reason is None


def corpora_of(number: int) -> list[dict[str, object]]:
    return [{**manifest_predicate()["corpora"][0], "digest": {"sha256": f"{number:064x}"}}]


def test_beside_a_model_whose_provider_objects_to_the_newest_manifest_an_older_one_is_found() -> (
    None
):
    """Else losing the newer one, which is admitted by itself, would admit both."""
    world, base = admitted_world(), "gpt-4.1-mini"
    world.bind("newer", window=window(5, 5), corpora=corpora_of(7))
    model = {"provider": "openai", "id": CHILD, "base": base}
    predicate = {**manifest_predicate(model=CHILD), "model": model}
    for label in ("other", "its draft"):
        world.sign(label, statement(MANIFEST, CHILD, sha(label), predicate), "producer")
    for label, name in (("newer", MODEL), ("other", CHILD)):
        world.result(f"{label}:result", manifest=label, model=name)
        for role in APPROVERS:
            world.approve(role, label=f"{label}:{role}", manifest=label, model=name)
    world.join("cloud", grant("provider", models=(), base_models=(f"openai/{base}",)))
    world.parties["cloud"].withdraw("corpus", f"{7:064x}")
    assert world.ask().manifests == (world.digests["newer"],)
    both = {world.digests["manifest"], world.digests["other"]}
    assert set(world.ask(MODEL, CHILD).manifests) == both
    for lost in ("newer", "its draft"):
        world.evidence.pop(lost)
        assert set(world.ask(MODEL, CHILD).manifests) == both
