"""What a name can be resolved to is followed only where it could hold."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.predicates import MANIFEST
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
