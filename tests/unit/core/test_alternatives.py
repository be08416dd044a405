"""What a name can be resolved to is followed only where it could hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sidecar.core import proving
from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.facts import Facts
from sidecar.core.predicates import MANIFEST
from sidecar.core.proving import MAX_PROVED, proofs, prove
from sidecar.core.reads import recording
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, CHILD, DAY, MODEL, NOW, OPERATION
from tests.support.simulator.predicates import manifest_predicate, sha, stamp, statement
from tests.support.simulator.world import World, credential, tuned_on_world


def add(world: World, number: int, model: str = MODEL) -> None:
    """Sign newer manifests of a model, which nobody evaluates or approves; some are for batches."""
    named = {"provider": "openai", "id": model, "base": BASE}
    for each in range(number):
        began = stamp(NOW - DAY + timedelta(seconds=each))
        predicate = manifest_predicate(model=model)
        if each % 4 == 1:
            predicate["environments"][0]["operations"] = ["batches"]
        predicate |= {
            "model": named,
            "window": {"notBefore": began, "notAfter": stamp(NOW + DAY)},
        }
        payload = statement(MANIFEST, model, sha(f"job {model}"), predicate)
        world.sign(f"{model} {each}", payload, "producer")


def asked(world: World, *models: str) -> tuple[Reason | None, int]:
    """The reason, and how many nodes of lineages were looked up in withdrawals."""
    state, reads = recording(world.state())
    found = assess(Call("openai", OPERATION, models), credential(), state, NOW)
    return found.reason, sum(len(each.hits) for each in reads._indexes.values())


@pytest.mark.parametrize("models", [(MODEL,), (MODEL, CHILD)])
def test_no_lineage_is_followed_of_manifests_that_nobody_approved(models: tuple[str, ...]) -> None:
    """A thousand of them, by one producer, took a gate a fifth of a second for each call."""
    few, many = tuned_on_world(), tuned_on_world()
    for world in (few, many):
        world.parties["regulator"].withdraw("corpus", "f" * 64)  # so that lineages are looked up
    for model in models:
        add(few, 4, model)
        add(many, 40, model)
    assert asked(many, *models) == asked(few, *models)
    assert asked(few, *models)[0] is None
    for world in (few, many):
        world.evidence.pop("approval:regulator")
    assert asked(many, *models) == asked(few, *models)
    assert asked(few, *models)[0] is Reason.PREACTIVATION_MISSING


def declare(world: World, number: int, **changes: Any) -> None:
    """Sign declarations of one author that begin together, so that none replaces another."""
    for each in range(number):
        ends = stamp(NOW + DAY + timedelta(seconds=each))
        world.declare(
            label=f"e{each}", window={"notBefore": stamp(NOW), "notAfter": ends}, **changes
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sector": "retail"}, Reason.ENVIRONMENT_NOT_COVERED),
        ({}, Reason.APPROVAL_MISSING),
        ({"jurisdictions": ["us"]}, Reason.PREACTIVATION_MISSING),
    ],
)
def test_of_declarations_that_begin_together_only_the_newest_is_refused_at_length(
    changes: dict[str, Any], reason: Reason
) -> None:
    """A thousand, by one customer, took a gate two seconds for each call, and all others waited."""
    found = []
    for number in (1, 20):
        world = tuned_on_world()
        world.evidence.pop("environment")
        world.parties["regulator"].withdraw("corpus", "f" * 64)
        if not changes:
            world.evidence.pop("approval:regulator")
        declare(world, number, **changes)
        found.append(asked(world, MODEL))
    assert found[0] == found[1]
    assert found[0][0] is reason


def test_behind_declarations_that_cannot_hold_the_one_that_does_is_found() -> None:
    world = tuned_on_world()
    declare(world, 20, sector="retail")
    world.declare(window={"notBefore": stamp(NOW), "notAfter": stamp(NOW + DAY / 2)})
    assert asked(world, MODEL)[0] is asked(world, MODEL, CHILD)[0] is None


def test_choices_that_show_policies_the_same_are_looked_at_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, proved = tuned_on_world(), []
    world.evidence.pop("environment")
    declare(world, MAX_PROVED + 9)

    def counted(*of: Any) -> Facts:
        proved.append(of)
        return prove(*of)

    monkeypatch.setattr(proving, "prove", counted)
    call = Call("openai", OPERATION, (MODEL,))
    assert len(list(proofs(call, credential(), world.state(), NOW))) == 1
    assert len(proved) == MAX_PROVED
