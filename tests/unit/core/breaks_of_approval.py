"""Ways to break what was evaluated and approved about a manifest that holds (steps 4 and 5)."""

from __future__ import annotations

from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import suite, suites, window
from tests.unit.core.breaks import Case, drop, rebind, rebound, same_key

RESULTS_AND_APPROVALS: list[Case] = [
    (
        "no result",
        drop("result"),
        Reason.PREACTIVATION_MISSING,
        4,
        "no evaluator countersigned: adversarial suite adversarial-suite, "
        "regression suite regression-suite, compliance suite compliance-suite for eu",
    ),
    (
        "one suite not run",
        lambda w: w.result(suites=[suite("adversarial"), suite("compliance")]),
        Reason.PREACTIVATION_MISSING,
        4,
        "no evaluator countersigned: regression suite regression-suite",
    ),
    (
        "suite of another digest",
        lambda w: w.result(
            suites=[
                {**suite("adversarial"), "digest": {"sha256": "0" * 64}},
                suite("regression"),
                suite("compliance"),
            ]
        ),
        Reason.PREACTIVATION_MISSING,
        4,
        "no evaluator countersigned: adversarial suite adversarial-suite",
    ),
    (
        "result about another model's name",
        lambda w: w.result(model="ft:other"),
        Reason.PREACTIVATION_MISSING,
        4,
        "no evaluator countersigned: adversarial suite adversarial-suite, "
        "regression suite regression-suite, compliance suite compliance-suite for eu",
    ),
    (
        "envelope without the jurisdiction",
        lambda w: rebind(w, envelope={"suites": [suite("adversarial")]}),
        Reason.PREACTIVATION_MISSING,
        4,
        "the envelope lacks compliance suite for eu",
    ),
    (
        "result failed",
        lambda w: w.result(result="FAILED"),
        Reason.PREACTIVATION_FAILED,
        4,
        "not passed: adversarial suite adversarial-suite, "
        "regression suite regression-suite, compliance suite compliance-suite for eu",
    ),
    (
        "result only warned",
        lambda w: w.result(result="WARNED"),
        Reason.PREACTIVATION_FAILED,
        4,
        "not passed: adversarial suite adversarial-suite, "
        "regression suite regression-suite, compliance suite compliance-suite for eu",
    ),
    (
        "run against a lower threshold",
        lambda w: w.result(suites=suites(adversarial=0.1)),
        Reason.PREACTIVATION_FAILED,
        4,
        "not passed: adversarial suite adversarial-suite",
    ),
    (
        "score below the threshold",
        lambda w: rebind(w, envelope={"suites": suites(adversarial=0.96)}),
        Reason.PREACTIVATION_FAILED,
        4,
        "not passed: adversarial suite adversarial-suite",
    ),
    (
        "failed once, passed later",
        lambda w: w.parties["evaluator"].fail(w.digests["manifest"], suite("regression")),
        Reason.PREACTIVATION_FAILED,
        4,
        "evaluator published that regression suite regression-suite failed: bias",
    ),
    (
        "result outside its window",
        lambda w: w.result(window=window(20, -1)),
        Reason.PREACTIVATION_EXPIRED,
        4,
        "the result is outside its window: adversarial suite adversarial-suite, "
        "regression suite regression-suite, compliance suite compliance-suite for eu",
    ),
    (
        "countersigned by the producer itself",
        lambda w: (
            w.grants.update(producer=(grant("producer"), grant("evaluator"))),
            w.result(signer="producer"),
        ),
        Reason.PREACTIVATION_MISSING,
        4,
        "one authority, and one key, fills one role: too few for adversarial suite "
        "adversarial-suite, regression suite regression-suite, compliance suite "
        "compliance-suite for eu",
    ),
    (
        "evaluator with the producer's key",
        lambda w: (
            same_key(w, "evaluator", "producer"),
            w.result(),
        ),
        Reason.PREACTIVATION_MISSING,
        4,
        "one authority, and one key, fills one role: too few for adversarial suite "
        "adversarial-suite, regression suite regression-suite, compliance suite "
        "compliance-suite for eu",
    ),
    (
        "evaluator not granted for the suite's jurisdiction",
        lambda w: w.grants.update(evaluator=(grant("evaluator", jurisdictions=("us",)),)),
        Reason.PREACTIVATION_MISSING,
        4,
        "no evaluator countersigned: compliance suite compliance-suite for eu",
    ),
    *(
        (
            f"no approval by the {role}",
            drop(f"approval:{role}"),
            Reason.APPROVAL_MISSING,
            5,
            f"no approval by {named}",
        )
        for role, named in (
            ("provider", "provider"),
            ("customer", "customer"),
            ("regulator", "regulator for eu"),
        )
    ),
    (
        "no approvals at all",
        lambda w: [w.evidence.pop(f"approval:{r}") for r in APPROVERS],
        Reason.APPROVAL_MISSING,
        5,
        "no approval by customer, provider, regulator for eu",
    ),
    (
        "the manifest asks for one more role",
        rebound(approvals={"required": ["works-council"]}),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by works-council",
    ),
    (
        "the operator asks for one more role",
        lambda w: setattr(w, "required_roles", ("auditor",)),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by auditor",
    ),
    (
        "the jurisdiction asks for one more role",
        lambda w: setattr(w, "jurisdiction_roles", {"eu": ("auditor",), "us": ("other",)}),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by auditor",
    ),
    (
        "approval of another role's",
        lambda w: w.approve("customer", label="approval:regulator", signer="regulator"),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by regulator for eu",
    ),
    (
        "approval under another model's name",
        lambda w: w.approve("regulator", model="ft:other"),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by regulator for eu",
    ),
    (
        "a regulator of another jurisdiction",
        lambda w: w.grants.update(regulator=(grant("regulator", jurisdictions=("us",)),)),
        Reason.APPROVAL_MISSING,
        5,
        "no approval by regulator for eu",
    ),
    (
        "approval outside its window",
        lambda w: w.approve("regulator", window=window(20, -1)),
        Reason.APPROVAL_NOT_IN_WINDOW,
        5,
        "the approval is outside its window by regulator for eu",
    ),
    (
        "approval for another operation",
        lambda w: w.approve("regulator", operations=["embeddings"]),
        Reason.APPROVAL_OUT_OF_SCOPE,
        5,
        "the approval does not cover this call by regulator for eu",
    ),
    (
        "approval for another environment",
        lambda w: w.approve("customer", environments=["spiffe://acme.example/lab/*"]),
        Reason.APPROVAL_OUT_OF_SCOPE,
        5,
        "the approval does not cover this call by customer",
    ),
    (
        "approval for another jurisdiction",
        lambda w: w.approve("provider", jurisdictions=["us"]),
        Reason.APPROVAL_OUT_OF_SCOPE,
        5,
        "the approval does not cover this call by provider",
    ),
    (
        "one authority for two roles",
        lambda w: (
            w.grants.update(customer=(*w.grants["customer"], grant("regulator"))),
            w.approve("regulator", signer="customer"),
        ),
        Reason.APPROVAL_MISSING,
        5,
        "one authority, and one key, fills one role: too few for "
        "customer, provider, regulator for eu",
    ),
    (
        "one key for two roles",
        lambda w: (
            same_key(w, "regulator", "provider"),
            w.approve("regulator"),
        ),
        Reason.APPROVAL_MISSING,
        5,
        "one authority, and one key, fills one role: too few for "
        "customer, provider, regulator for eu",
    ),
    (
        "the evaluator as an approver",
        lambda w: (
            w.grants.update(evaluator=(grant("evaluator"), grant("regulator"))),
            w.approve("regulator", signer="evaluator"),
        ),
        Reason.APPROVAL_MISSING,
        5,
        "one authority, and one key, fills one role: too few for "
        "customer, provider, regulator for eu",
    ),
]
