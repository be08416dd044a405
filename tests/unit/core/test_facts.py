"""The facts, whole: what a policy reads is what the evidence states, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.facts import to_input
from sidecar.core.proving import prove
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import BASE, CHILD, DEPLOYMENT, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.predicates import sha
from tests.support.simulator.world import World, admitted_world, credential, tuned_on_world
from tests.unit.core.deployed import CALL, deployed_world


def _input(world: World, call: Call = CALL) -> dict[str, Any]:
    assessment = world.put(call)
    return to_input(prove(call, credential(), assessment, rfc3339(NOW), "n-1"))


def _approval(role: str) -> dict[str, Any]:
    return {
        "role": role,
        "authority": role,
        "of_record": role == "provider",
        "jurisdictions": ("eu",),
        "conditions": ("human review of refusals",),
        "declarations": {"model-risk-sign-off": "mr-2026-88"} if role == "customer" else {},
        "not_after": "2026-06-21T12:00:00Z",
    }


def _suite(kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "jurisdiction": "eu" if kind == "compliance" else None,
        "name": f"{kind}-suite",
        "threshold": 0.9,
        "results": (
            {"performed": "2026-05-22T12:00:00Z", "score": 0.95, "evaluator": "evaluator"},
        ),
    }


def _waiver(rule: str, subject: str) -> dict[str, Any]:
    return {
        "rule": rule,
        "jurisdiction": "eu",
        "subject": subject,
        "authority": "regulator",
        "reason": "transition until the register is open",
        "not_after": "2026-06-21T12:00:00Z",
    }


def _adaptation(manifest: str, specification: str) -> dict[str, Any]:
    return {
        "model": DEPLOYMENT,
        "base": BASE,
        "parent": None,
        "manifest": manifest,
        "specification": specification,
        "producer": "producer",
        "method": "supervised",
        "corpora": (
            {
                "role": "training",
                "name": "letters.jsonl",
                "digest": sha("letters"),
                "bytes": 2048,
                "records": 12,
                "classes": ("personal-data",),
                "irregular": 0,
            },
        ),
        "hyperparameters": {"n_epochs": 3},
        "evaluations": (
            {
                "name": "metrics.csv",
                "digest": sha(f"metrics of {MODEL}"),
                "metrics": {"valid_loss": 1.1},
            },
        ),
        "suites": tuple(_suite(k) for k in ("adversarial", "regression", "compliance")),
        "approvals": tuple(_approval(r) for r in ("customer", "provider", "regulator")),
        "documents": (
            {
                "kind": "technical-documentation",
                "name": "annex-iv.pdf",
                "digest": sha("annex"),
            },
        ),
        "declarations": {"gpai-modification": "minor"},
        "window": {
            "not_before": "2026-05-02T12:00:00Z",
            "not_after": "2026-07-01T12:00:00Z",
        },
    }


def test_a_policy_sees_everything_that_was_proven_and_nothing_else() -> None:
    world = deployed_world()
    assert _input(world) == {
        "request": {
            "provider": "openai",
            "operation": OPERATION,
            "models": (DEPLOYMENT, BASE),
            "run": (DEPLOYMENT, BASE),
            "tuned": (),
            "specification": None,
            "modelless": False,
            "sandbox": False,
            "stream": True,
            "modalities": ("audio", "text"),
            "tool_types": ("function",),
        },
        "environment": {
            "id": ENV,
            "trust_domain": "acme.example",
            "jurisdictions": ("eu",),
            "sector": "finance",
            "purpose": "customer-support",
            "risk_class": "limited",
            "owner": "acme-model-risk",
            "declarations": {"ict-register-reference": "register-2026-017"},
            "credential": {"kind": "jwt-svid", "expires": "2026-06-01T13:00:00Z"},
        },
        "adaptations": (_adaptation(world.digests["manifest"], world.digests["specification"]),),
        "deployments": (
            {
                "name": DEPLOYMENT,
                "model": MODEL,
                "authority": "provider",
                "of_record": True,
                "not_after": "2026-06-02T12:00:00Z",
                "declarations": {},
            },
        ),
        "waivers": (_waiver("eu.art10", ENV), _waiver("eu.art11", DEPLOYMENT)),
        "now": "2026-06-01T12:00:00Z",
        "nonce": "n-1",
    }


def test_a_model_tuned_on_another_names_its_parent() -> None:
    world = tuned_on_world()
    child = CHILD
    (adaptation,) = _input(world, Call("openai", OPERATION, (child,)))["adaptations"]
    found = {key: adaptation[key] for key in ("model", "base", "parent", "specification")}
    parent = world.digests["manifest"]
    assert found == {"model": child, "base": MODEL, "parent": parent, "specification": None}


def test_nothing_inadmissible_is_shown_to_a_policy() -> None:
    world = admitted_world()
    call = Call("openai", OPERATION, ("ft:other",))
    with pytest.raises(ValueError, match=r"^only an admissible assessment yields facts$"):
        prove(call, credential(), world.put(call), rfc3339(NOW), "n-1")


def test_a_model_tuned_from_another_one_names_that_one_and_its_manifest() -> None:
    world = tuned_on_world()
    facts = prove(
        Call("openai", OPERATION, (CHILD,)), credential(), world.ask(CHILD), rfc3339(NOW), "n"
    )
    (adaptation,) = facts.adaptations
    assert (adaptation.model, adaptation.base) == (CHILD, MODEL)
    assert (adaptation.parent, adaptation.manifest) == (
        world.digests["manifest"],
        world.digests["child"],
    )


def test_a_listed_base_model_yields_facts_without_an_adaptation() -> None:
    assessment = admitted_world().ask(BASE)
    call = Call("openai", OPERATION, (BASE,))
    facts = prove(call, credential(), assessment, rfc3339(NOW), "n")
    assert facts.adaptations == ()


def test_a_refused_assessment_yields_no_facts() -> None:
    world = admitted_world()
    world.evidence.pop("result")
    with pytest.raises(ValueError, match="only an admissible assessment yields facts"):
        prove(Call("openai", OPERATION, (MODEL,)), credential(), world.ask(), rfc3339(NOW), "n")
