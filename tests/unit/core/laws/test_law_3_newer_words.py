"""Law 3: withdrawing a newer statement withdraws its author's older ones on the same matter."""

from __future__ import annotations

import pytest

from sidecar.core import memory
from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import DAY, DEPLOYMENT, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import suite, suites, window
from tests.support.simulator.world import World, admitted_world, credential

BOUND = Call("openai", OPERATION, (DEPLOYMENT,), deployments=(DEPLOYMENT,))


def test_case_4_a_withdrawn_renewal_does_not_leave_the_older_approval() -> None:
    world = admitted_world()
    renewed = world.approve("regulator", label="renewed", window=window(1, 29))
    assert world.ask().reason is None
    world.parties["regulator"].withdraw("approval", renewed)
    assert world.ask().reason is Reason.WITHDRAWN


def test_case_4_the_same_holds_for_results() -> None:
    world = admitted_world()
    renewed = world.result(label="renewed", window=window(1, 29))
    world.parties["evaluator"].withdraw("result", renewed)
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_withdrawal_of_the_older_one_leaves_the_renewal() -> None:
    world = admitted_world()
    world.approve("regulator", label="renewed", window=window(1, 29))
    world.parties["regulator"].withdraw("approval", world.digests["approval:regulator"])
    assert world.ask().reason is None


def test_of_two_that_began_together_the_larger_digest_is_the_newer() -> None:
    world = admitted_world()
    world.approve("regulator", label="other", conditions=["none"])
    older, newer = sorted([world.digests["approval:regulator"], world.digests["other"]])
    world.parties["regulator"].withdraw("approval", older)
    assert world.ask().reason is None
    world.parties["regulator"].withdraw("approval", newer)
    assert world.ask().reason is Reason.WITHDRAWN


def test_another_authors_approval_of_the_same_manifest_is_another_matter() -> None:
    world = admitted_world()
    world.join("second", grant("regulator"))
    newer = world.approve("regulator", label="second", signer="second", window=window(1, 29))
    world.parties["second"].withdraw("approval", newer)
    assert world.ask().reason is None


def test_a_result_of_other_suites_is_another_matter() -> None:
    world = admitted_world()
    part = world.result(label="part", suites=[suite("regression")], window=window(1, 29))
    world.parties["evaluator"].withdraw("result", part)
    assert world.ask().reason is None


def test_a_withdrawn_declaration_takes_the_older_one_with_it() -> None:
    world = admitted_world()
    renewed = world.declare(label="renewed", window=window(1, 29))
    world.parties["customer"].withdraw("environment", renewed)
    assert world.ask().reason is Reason.WITHDRAWN
    world.evidence.pop("renewed")
    world.parties["customer"].withdraw("environment", world.digests["environment"])
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_declaration_that_ended_does_not_bring_its_authors_older_one_back() -> None:
    world = admitted_world()
    world.declare(label="short", window=window(1, 0.5))
    state, later = world.state(), credential(expires=NOW + 9 * DAY)
    call = Call("openai", OPERATION, (MODEL,))
    assert assess(call, later, state, NOW).reason is None
    assert assess(call, later, state, NOW + DAY).reason is Reason.ENVIRONMENT_UNKNOWN


def test_a_withdrawn_binding_takes_the_older_one_with_it() -> None:
    world = admitted_world()
    world.bind_deployment(label="older", window=window(2, 3))
    newer = world.bind_deployment(window=window(1, 3))
    assert world.put(BOUND).reason is None
    world.parties["provider"].withdraw("deployment-binding", newer)
    world.evidence.pop("binding")
    world.parties["provider"].withdraw("deployment-binding", world.digests["older"])
    assert world.put(BOUND).reason is Reason.WITHDRAWN


def test_a_withdrawal_to_come_ends_the_decision_that_an_older_statement_carries() -> None:
    world = admitted_world()
    renewed = world.approve("regulator", label="renewed", window=window(1, 2))
    world.parties["regulator"].withdraw("approval", renewed, NOW + DAY / 2)
    far = credential(expires=NOW + 9 * DAY)
    call = Call("openai", OPERATION, (MODEL,))
    found = assess(call, far, world.state(), NOW)
    assert (found.reason, found.valid_until) == (None, NOW + DAY / 2)
    assert found.chains[0].approvals[-1].approval.digest == world.digests["approval:regulator"]


@pytest.mark.parametrize("kind", ["manifest", "waiver", "specification"])
def test_single_statements_have_no_older_ones(kind: str) -> None:
    world: World = admitted_world()
    world.parties["regulator"].withdraw(kind, "e" * 64)
    assert world.ask(environment=ENV).reason is None
    assert len(suites()) == 3


@pytest.mark.parametrize("noun", ["approval", "result", "environment", "deployment-binding"])
def test_a_withdrawal_by_somebody_else_reaches_the_older_one_when_the_newer_is_lost(
    noun: str,
) -> None:
    world = admitted_world()
    world.bind_deployment(label="bound", window=window(2, 3))
    newer = {
        "approval": lambda: world.approve("regulator", label="newer", window=window(1, 29)),
        "result": lambda: world.result(label="newer", window=window(1, 29)),
        "environment": lambda: world.declare(label="newer", window=window(1, 29)),
        "deployment-binding": lambda: world.bind_deployment(label="newer", window=window(1, 29)),
    }[noun]()
    assert world.put(BOUND).reason is None
    world.parties["customer"].withdraw(noun, newer)
    assert world.put(BOUND).reason is Reason.WITHDRAWN
    world.evidence.pop("newer")
    assert world.put(BOUND).reason is Reason.WITHDRAWN
    world.memory = memory.read(world.memory.write())
    assert world.put(BOUND).reason is Reason.WITHDRAWN
    world.parties["customer"].withdrawals.clear()
    assert world.put(BOUND).reason is None
