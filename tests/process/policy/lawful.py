"""Evidence that meets every rule of every jurisdiction, and handles to break one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.simulator.constants import ENV, MODEL, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import result_predicate, sha, suite, window
from tests.support.simulator.world import World, parties_world

ROLES = ("provider", "customer", "regulator")
PURPOSE = "customer-support"


def documents(*kinds: str) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "name": f"{kind}.pdf", "digest": {"sha256": sha(kind)}} for kind in kinds
    ]


@dataclass
class Lawful:
    """What the parties sign, as predicates; change it, then ``world()``.

    Attributes:
        jurisdictions: Of the environment.
        sector: Of the environment.
        environment: Fields of the declaration beside those.
        manifest: Fields of the manifest.
        result: Fields of the result; ``scores`` by kind of suite.
        approvals: Fields of each role's approval.
        model: What is called.
    """

    jurisdictions: tuple[str, ...] = ("eu",)
    sector: str = "retail"
    environment: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)
    model: str = MODEL

    def __post_init__(self) -> None:
        self.environment = {
            "riskClass": "high",
            "purpose": PURPOSE,
            "declarations": {
                "log-retention-days": "365",
                "human-oversight": "support-leads@acme.example",
                "ict-register-reference": "register-2026-017",
                "human-intervention": "support-desk@acme.example",
                "automated-decisions": "some",
                "monitoring-plan": "plan-7",
                "phi": "yes",
                "phi-purpose": "health-care-operations",
                "business-associate-agreement": "baa-2026-4",
                "device-function": "yes",
                "weapon-function": "no",
                "impact-level": "il5",
            },
        }
        self.manifest = {
            "corpora": [self.corpus("training"), self.corpus("validation")],
            "declarations": {
                "gpai-modification": "significant",
                "substantial-modification": "no",
                "intended-purpose": PURPOSE,
            },
            "documents": documents(
                "technical-documentation",
                "copyright-policy",
                "training-content-summary",
                "instructions-for-use",
                "data-protection-impact-assessment",
                "predetermined-change-control-plan",
                "responsible-ai-assessment",
            ),
            "suites": [suite("adversarial"), suite("regression")],
        }
        self.approvals = {role: {"declarations": {}, "window": window(10, 60)}
                          for role in ROLES}  # fmt: skip
        self.approvals["customer"]["declarations"] = {
            "model-risk-sign-off": "mr-2026-88",
            "independent-validation": "val-2026-31",
            "effective-challenge": "minutes-2026-12",
            "risk-response": "mitigate, accept",
        }

    @staticmethod
    def corpus(role: str) -> dict[str, Any]:
        return {
            "role": role,
            "name": f"{role}.jsonl",
            "digest": {"sha256": sha(f"{role} corpus")},
            "bytes": 1000,
            "records": 10,
            "classes": ["minimum-necessary", "support-conversations"],
        }

    def world(self) -> World:
        """The world in which exactly this was signed."""
        world = parties_world()
        held = {"jurisdictions": (*self.jurisdictions, "atlantis")}
        for name in ("provider", "customer", "regulator", "evaluator", "producer"):
            more = {"base_models": ("openai/gpt-4o-*",)} if name == "provider" else {}
            if name == "customer":
                more = {"trust_domains": ("acme.example",)}
            world.grants[name] = (grant(name, **held, **more),)
        manifest = dict(self.manifest)
        suites = [*manifest.pop("suites"), *(self._compliance(j) for j in self.jurisdictions)]
        world.declare(
            jurisdictions=list(self.jurisdictions), sector=self.sector, **self.environment
        )
        world.bind(
            envelope={"suites": suites},
            environments=[self._covered()],
            window=window(400, 60),
            **manifest,
        )
        self._countersign(world, suites)
        for role, fields in self.approvals.items():
            world.approve(role, jurisdictions=list(self.jurisdictions), **fields)
        return world

    def _countersign(self, world: World, suites: list[dict[str, Any]]) -> None:
        fields = {"window": window(10, 60), **self.result}
        scores = fields.pop("scores", {})
        configuration = result_predicate(suites)["configuration"]
        for entry in configuration:
            score = scores.get(entry["annotations"]["kind"])
            if score is not None:
                entry["annotations"]["score"] = score
        world.result(configuration=configuration, **fields)

    def _covered(self) -> dict[str, Any]:
        return {
            "id": ENV,
            "jurisdictions": list(self.jurisdictions),
            "sector": self.sector,
            "purpose": self.environment["purpose"],
            "operations": [OPERATION],
        }

    @staticmethod
    def _compliance(jurisdiction: str) -> dict[str, Any]:
        return {**suite("compliance", jurisdiction), "name": f"compliance-{jurisdiction}"}
