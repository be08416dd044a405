"""A world in which one adapted model is admitted, and handles to break any part of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
import rfc8785

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.grants import Floor, Grant, OperatorTrust
from sidecar.core.memory import NOTHING, Remembered
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    SPECIFICATION,
    WAIVER,
    base_model_digest,
)
from sidecar.core.reasons import Reason
from sidecar.core.snapshot import TrustState
from sidecar.core.trust_state import build
from sidecar.providers import ADAPTED_NAMES
from tests.support.simulator.constants import (
    APPROVERS,
    CHILD,
    DEPLOYMENT,
    ENV,
    MODEL,
    NOW,
    OPERATION,
)
from tests.support.simulator.keys import envelope, first_key
from tests.support.simulator.party import Party, grant
from tests.support.simulator.predicates import (
    approval_predicate,
    environment_predicate,
    manifest_predicate,
    result_predicate,
    sha,
    specification_predicate,
    statement,
    window,
)


@dataclass
class World:
    """Parties, grants and labelled evidence; ``state()`` builds the trust state from them."""

    parties: dict[str, Party] = field(default_factory=dict)
    grants: dict[str, tuple[Grant, ...]] = field(default_factory=dict)
    required_roles: tuple[str, ...] = ()
    jurisdiction_roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    floors: tuple[Floor, ...] = ()
    specified: bool = False
    memory: Remembered = NOTHING
    evidence: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def join(self, name: str, *grants: Grant) -> Party:
        self.parties[name] = Party(name, first_key(name))
        self.grants[name] = grants
        return self.parties[name]

    def open_jurisdictions(self) -> Self:
        """Let every authority do what it is granted in any jurisdiction."""
        for name, grants in self.grants.items():
            self.grants[name] = tuple(replace(each, jurisdictions=("**",)) for each in grants)
        return self

    def sign(self, label: str, payload: bytes, *signers: str) -> str:
        keys = [self.parties[name].key for name in signers]
        self.evidence[label] = envelope(payload, *keys)
        self.digests[label] = hashlib.sha256(payload).hexdigest()
        return self.digests[label]

    def bind(self, label: str = "manifest", signer: str = "producer", **changes: Any) -> str:
        predicate = manifest_predicate(**changes)
        name = predicate["model"]["id"]
        return self.sign(label, statement(MANIFEST, name, sha(f"job {name}"), predicate), signer)

    def result(
        self,
        label: str = "result",
        *,
        manifest: str = "manifest",
        model: str = MODEL,
        signer: str = "evaluator",
        suites: Iterable[dict[str, Any]] | None = None,
        **changes: Any,
    ) -> str:
        chosen = manifest_predicate()["envelope"]["suites"] if suites is None else suites
        payload = statement(
            RESULT, model, self.digests[manifest], result_predicate(chosen, **changes)
        )
        return self.sign(label, payload, signer)

    def approve(
        self,
        role: str,
        *,
        label: str | None = None,
        manifest: str = "manifest",
        model: str = MODEL,
        signer: str | None = None,
        **changes: Any,
    ) -> str:
        payload = statement(
            APPROVAL, model, self.digests[manifest], approval_predicate(role, **changes)
        )
        return self.sign(label or f"approval:{role}", payload, signer or role)

    def declare(
        self,
        environment: str = ENV,
        label: str = "environment",
        signer: str = "customer",
        **changes: Any,
    ) -> str:
        predicate = environment_predicate(**changes)
        payload = statement(ENVIRONMENT, environment, sha(environment), predicate)
        return self.sign(label, payload, signer)

    def waive(
        self,
        rule: str,
        subject: str = ENV,
        digest: str | None = None,
        label: str = "waiver",
        signer: str = "regulator",
        **changes: Any,
    ) -> str:
        """A waiver for an environment or, with a manifest's digest, for a model."""
        predicate = {
            "rule": rule,
            "jurisdiction": "eu",
            "reason": "transition until the register is open",
            "window": window(1, 20),
            **changes,
        }
        payload = statement(WAIVER, subject, digest or sha(subject), predicate)
        return self.sign(label, payload, signer)

    def bind_deployment(
        self,
        deployment: str = DEPLOYMENT,
        *,
        model: str = MODEL,
        manifest: str | None = "manifest",
        label: str = "binding",
        signer: str = "provider",
        **changes: Any,
    ) -> str:
        """Bind to the manifest with this label or, with none, to a base model."""
        predicate = {
            "provider": "openai",
            "deployment": deployment,
            "model": model,
            "window": window(1, 1),
            **changes,
        }
        base = base_model_digest(predicate["provider"], model)
        digest = base if manifest is None else self.digests[manifest]
        payload = statement(DEPLOYMENT_BINDING, deployment, digest, predicate)
        return self.sign(label, payload, signer)

    def specify(
        self,
        label: str = "specification",
        signer: str = "customer",
        digest: str | None = None,
        **changes: Any,
    ) -> str:
        """A specification of what ``manifest_predicate`` declares; returns its own digest."""
        predicate = specification_predicate(**changes)
        said = {key: predicate[key] for key in ("environments", "envelope")}
        subject = digest or hashlib.sha256(rfc8785.dumps(said)).hexdigest()
        return self.sign(label, statement(SPECIFICATION, "support-v3", subject, predicate), signer)

    def operator(self) -> OperatorTrust:
        return OperatorTrust(
            self.grants,
            self.required_roles,
            self.jurisdiction_roles,
            self.floors,
            ADAPTED_NAMES,
            self.specified,
        )

    def state(self, epoch: int = 1) -> TrustState:
        """The next state of one gate: what it remembers is handed on."""
        state = build(
            epoch=epoch,
            operator=self.operator(),
            views=[party.view() for party in self.parties.values()],
            evidence=self.evidence.values(),
            memory=self.memory,
        )
        self.memory = state.memory
        return state

    def ask(
        self,
        *models: str,
        now: datetime = NOW,
        operation: str = OPERATION,
        environment: str = ENV,
    ) -> Assessment:
        return self.put(Call("openai", operation, models or (MODEL,)), now, environment)

    def put(self, call: Call, now: datetime = NOW, environment: str = ENV) -> Assessment:
        assessment = assess(call, credential(environment), self.state(), now)
        for each in assessment.findings:
            texts = (each.subject, each.detail, *each.missing)
            assert all(isinstance(text, str) for text in texts), each
        return assessment


def refusal(assessment: Assessment) -> tuple[Reason | None, int, str]:
    """Reason, step and detail of the finding that decided; of none, where it admits."""
    failed = assessment.failed
    if failed is None:
        return None, -1, ""
    assert assessment.reason is failed.reason
    return failed.reason, failed.step, failed.detail


def credential(environment: str = ENV, **changes: Any) -> Credential:
    values: dict[str, Any] = {
        "spiffe_id": environment,
        "trust_domain": "acme.example",
        "kind": "jwt-svid",
        "expires": NOW + timedelta(hours=1),
        "authority": "customer",
    }
    return Credential(**{**values, **changes})


def present(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Let ``NOW`` be the present, in everything that is said until the test is over."""
    now = datetime.now(UTC).replace(microsecond=0)
    for module in ("predicates", "party", "world"):
        monkeypatch.setattr(f"tests.support.simulator.{module}.NOW", now)
    return now


def parties_world() -> World:
    """The five authorities, and one that is granted nothing in this scope."""
    world = World()
    world.join("provider", grant("provider", base_models=("openai/gpt-4o-*", "openai/gpt-4.1-*")))
    world.join("customer", grant("customer", trust_domains=("acme.example",)))
    world.join("regulator", grant("regulator"))
    world.join("evaluator", grant("evaluator"))
    world.join("producer", grant("producer"))
    world.join("stranger", grant("auditor", environments=("spiffe://acme.example/other/**",)))
    return world


def admitted_world() -> World:
    """A world in which ``MODEL`` is admissible in ``ENV``."""
    world = parties_world()
    world.declare()
    world.bind()
    world.result()
    for role in APPROVERS:
        world.approve(role)
    return world


def tuned_on_world() -> World:
    """An admitted world with ``CHILD``, admitted as well, tuned on from ``MODEL``."""
    world = admitted_world()
    parent = {"sha256": world.digests["manifest"]}
    model = {"provider": "openai", "id": CHILD, "base": MODEL, "parent": parent}
    _bind_child(world, model)
    world.result("child:result", manifest="child", model=CHILD)
    for role in APPROVERS:
        world.approve(role, label=f"child:approval:{role}", manifest="child", model=CHILD)
    return world


def _bind_child(world: World, model: dict[str, Any]) -> None:
    predicate = {**manifest_predicate(model=CHILD), "model": model}
    world.sign("child", statement(MANIFEST, CHILD, sha(f"job {CHILD}"), predicate), "producer")
