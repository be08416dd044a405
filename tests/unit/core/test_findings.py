"""The findings, whole: `admit explain`, the decision log and the SDKs show every field of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sidecar.core.assessment import Finding, Withdrawn
from sidecar.core.call import Call
from sidecar.core.documents import WithdrawalKind
from sidecar.core.memory import LineageNode
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import (
    APPROVERS,
    BASE,
    DAY,
    DEPLOYMENT,
    ENV,
    MODEL,
    NOW,
    OPERATION,
)
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import sha, suite
from tests.support.simulator.world import World, admitted_world
from tests.unit.core.breaks import rebind, same_key
from tests.unit.core.deployed import CALL, deployed_world

EVERYBODY = ("customer", "evaluator", "producer", "provider", "regulator")
SUITES = (
    "adversarial suite adversarial-suite",
    "regression suite regression-suite",
    "compliance suite compliance-suite for eu",
)
TOO_FEW = "one authority, and one key, fills one role: too few for "


def test_every_step_that_holds_says_for_what_and_by_whom() -> None:
    world = deployed_world()
    assessment = world.put(CALL)
    manifest, specification = world.digests["manifest"], world.digests["specification"]
    until = "2026-06-02T12:00:00Z"
    assert assessment.findings == (
        Finding(0, OPERATION, None, f"names {DEPLOYMENT}, {BASE}"),
        Finding(1, ENV, None, "declared by customer"),
        Finding(2, DEPLOYMENT, None, f"bound to {MODEL} by provider until {until}"),
        Finding(2, DEPLOYMENT, None, f"manifest {manifest}"),
        Finding(2, BASE, None, "a base model the environment lists"),
        Finding(3, DEPLOYMENT, None, "signed by producer"),
        Finding(3, DEPLOYMENT, None, f"tuned under {specification}"),
        Finding(4, DEPLOYMENT, None, "countersigned by evaluator"),
        Finding(5, DEPLOYMENT, None, "approved by customer, provider, regulator"),
        Finding(6, ENV, None, "4 things relied on, none withdrawn"),
        Finding(6, DEPLOYMENT, None, "26 things relied on, none withdrawn"),
        Finding(6, BASE, None, "3 things relied on, none withdrawn"),
        Finding(7, ", ".join(EVERYBODY), None, "constituents fresh: 5, objectors heard: 5"),
    )
    assert (assessment.constituents, assessment.objectors) == (EVERYBODY, EVERYBODY)
    assert (assessment.manifests, assessment.jurisdictions) == ((manifest,), ("eu",))
    assert assessment.valid_until == NOW + timedelta(hours=1)


def test_a_call_without_a_model_is_asked_about_its_environment_only() -> None:
    call = Call("openai", "files.get", (), modelless=True)
    assert admitted_world().put(call).findings == (
        Finding(0, "files.get", None, "can reach no model: only the environment is asked about"),
        Finding(1, ENV, None, "declared by customer"),
        Finding(6, ENV, None, "4 things relied on, none withdrawn"),
        Finding(7, "customer", None, "constituents fresh: 1, objectors heard: 5"),
    )


def _fail_a_suite(world: World) -> None:
    failed = suite("compliance")["digest"]["sha256"]
    world.parties["evaluator"].failures.append(
        {
            "manifest": world.digests["manifest"],
            "suite": failed,
            "result": sha("failed result"),
            "reason": "leaks",
        }
    )


def _evaluate_by_regulator(world: World) -> None:
    world.grants["regulator"] = (*world.grants["regulator"], grant("evaluator"))
    world.result(signer="regulator")


def _evaluate_with_the_producers_key(world: World) -> None:
    same_key(world, "evaluator", "producer")
    world.bind()
    world.result()
    for role in APPROVERS:
        world.approve(role)


def _let_two_expire(world: World) -> None:
    for name in ("customer", "regulator"):
        world.parties[name].expires = NOW


def _lose_two_approvals(world: World) -> None:
    del world.evidence["approval:regulator"], world.evidence["approval:customer"]


CORPUS = sha(f"training of {MODEL}")
REFUSALS: dict[str, tuple[Callable[[World], object], Finding]] = {
    "nothing was evaluated": (
        lambda w: w.evidence.pop("result"),
        Finding(
            4,
            MODEL,
            Reason.PREACTIVATION_MISSING,
            "no evaluator countersigned: " + ", ".join(SUITES),
            SUITES,
        ),
    ),
    "no suite for a jurisdiction": (
        lambda w: rebind(w, envelope={"suites": [suite("adversarial")]}),
        Finding(
            4,
            MODEL,
            Reason.PREACTIVATION_MISSING,
            "the envelope lacks compliance suite for eu",
            ("compliance suite for eu",),
        ),
    ),
    "a suite failed": (
        _fail_a_suite,
        Finding(
            4,
            MODEL,
            Reason.PREACTIVATION_FAILED,
            f"evaluator published that {SUITES[2]} failed: leaks",
            SUITES[2:],
        ),
    ),
    "the producer evaluated": (
        _evaluate_with_the_producers_key,
        Finding(4, MODEL, Reason.PREACTIVATION_MISSING, TOO_FEW + ", ".join(SUITES), SUITES),
    ),
    "the regulator evaluated": (
        _evaluate_by_regulator,
        Finding(
            5,
            MODEL,
            Reason.APPROVAL_MISSING,
            TOO_FEW + "customer, provider, regulator for eu",
            ("customer", "provider", "regulator for eu"),
        ),
    ),
    "two did not approve": (
        _lose_two_approvals,
        Finding(
            5,
            MODEL,
            Reason.APPROVAL_MISSING,
            "no approval by customer, regulator for eu",
            ("customer", "regulator for eu"),
        ),
    ),
    "a corpus was withdrawn": (
        lambda w: w.parties["regulator"].withdraw("corpus", CORPUS),
        Finding(
            6,
            MODEL,
            Reason.WITHDRAWN,
            f"regulator withdrew corpus {CORPUS}: shown to be unfit",
            withdrawn=Withdrawn(
                LineageNode(WithdrawalKind.CORPUS, CORPUS),
                "regulator",
                "shown to be unfit",
                NOW - DAY,
            ),
        ),
    ),
    "two were not heard": (
        _let_two_expire,
        Finding(
            7,
            "customer, regulator",
            Reason.TRUST_STALE,
            "no current trust metadata of customer, regulator",
            ("customer", "regulator"),
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_step_that_fails_says_what_is_missing_or_withdrawn(name: str) -> None:
    change, expected = REFUSALS[name]
    world = admitted_world()
    assert world.ask().failed is None
    change(world)
    assessment = world.ask()
    assert (assessment.failed, assessment.reason) == (expected, expected.reason)
    assert [f for f in assessment.findings if not f.holds] == [expected]
