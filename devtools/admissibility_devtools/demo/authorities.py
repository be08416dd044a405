"""Defines the demo's organisations: their grants, and the evidence that they sign."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import yaml

from admissibility_devtools.tools.envoy_config import Gated, Sandbox
from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.binding import declared, openai
from sidecar.binding import files as run_files
from sidecar.binding.corpora import read_corpus
from sidecar.binding.job import Declared, KnownManifest
from sidecar.core import dsse, sandbox
from sidecar.core.evidence import Statement
from sidecar.core.grants import ALWAYS_REQUIRED
from sidecar.core.predicates import APPROVAL, ENVIRONMENT, Approval, Environment, Predicate, Subject
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.durable.files import write_atomically
from sidecar.evaluation import countersign

TRUST_DOMAIN = "acme.example"
PROD = "spiffe://acme.example/env/prod"
LAB = "spiffe://acme.example/env/lab"
EVALUATION = "spiffe://acme.example/env/evaluation"
TUNED_BASE = "gpt-4o-2024-08-06"
LISTED_BASE = "gpt-4o-mini-2024-07-18"
UNLISTED_BASE = "gpt-4.1-2025-04-14"
BASE_CLASS = "openai/gpt-4o-2024-*"
OPERATIONS = ("chat.completions", "responses")

PROVIDER = "provider-of-record"
CUSTOMER = "acme-model-risk"
REGULATOR = "eu-finance-regulator"
EVALUATOR = "independent-evaluator"
PRODUCER = "acme-ml-platform"

_EVERYWHERE: dict[str, Any] = {
    "jurisdictions": ["eu"],
    "sectors": ["finance"],
    "models": ["openai/**"],
    "environments": [f"spiffe://{TRUST_DOMAIN}/**"],
}
GRANTS: dict[str, dict[str, Any]] = {
    PROVIDER: {
        "role": "provider",
        **_EVERYWHERE,
        "base_models": ["openai/gpt-4o-*", "openai/gpt-4.1-*"],
        "of_record": True,
    },
    CUSTOMER: {"role": "customer", **_EVERYWHERE, "trust_domains": [TRUST_DOMAIN]},
    REGULATOR: {"role": "regulator", **_EVERYWHERE},
    EVALUATOR: {"role": "evaluator", **_EVERYWHERE, "sandbox": [EVALUATION]},
    PRODUCER: {"role": "producer", **_EVERYWHERE},
}
"""What this operator lets each authority do. Nobody declares this of itself."""


HOST = "acme-model-host"
ADAPTER_BASE = "Qwen/Qwen3-0.6B"
UNLISTED_OPEN_BASE = "Qwen/Qwen3-8B"
_OPEN_WEIGHTS: dict[str, Any] = {**_EVERYWHERE, "models": ["vllm/**"]}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who takes part, and at which provider the model is.

    Attributes:
        provider: As the gate's routes name it.
        host: The authority that approves as the provider.
        grants: What the operator lets each authority do.
        listed_base: The base model that environments may call un-adapted.
        gateway: The reference configuration of Envoy.
        sandbox: That of the sandbox route.
    """

    provider: str
    host: str
    grants: Mapping[str, Mapping[str, Any]]
    listed_base: str
    gateway: Gated
    sandbox: Sandbox

    def role_of(self, name: str) -> str:
        """Return the one role that an authority is granted."""
        return str(self.grants[name]["role"])

    @property
    def approvers(self) -> tuple[str, str, str]:
        """Return those that approve: provider, customer, regulator."""
        return (self.host, CUSTOMER, REGULATOR)


HOSTED = Scenario("openai", PROVIDER, GRANTS, LISTED_BASE, "jwt", "sandbox")
"""A model of OpenAI, for which a provider of record speaks."""
OPEN_WEIGHTS = Scenario(
    "vllm",
    HOST,
    {
        HOST: {"role": "provider", **_OPEN_WEIGHTS, "base_models": ["vllm/Qwen/*"]},
        **{
            name: {**grant, "models": _OPEN_WEIGHTS["models"]}
            for name, grant in GRANTS.items()
            if name != PROVIDER
        },
    },
    ADAPTER_BASE,
    "vllm",
    "sandbox-vllm",
)
"""A LoRA adapter behind a server of its own, whose host speaks for itself."""


def role_of(name: str) -> str:
    """Return the one role that an authority of the hosted scenario is granted."""
    return HOSTED.role_of(name)


def now() -> datetime:
    """Return the time in UTC and whole seconds, as signed documents carry it."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Organisations:
    """The five homes, and the folder in which evidence travels to the gate."""

    homes: Mapping[str, Home]
    evidence: Path
    scenario: Scenario = HOSTED

    @classmethod
    def found(cls, folder: Path, scenario: Scenario = HOSTED) -> Organisations:
        """Create all five with keys and a TUF repository each."""
        evidence = folder / "evidence"
        evidence.mkdir(parents=True)
        homes = {name: authority.init(folder / name, name, now=now()) for name in scenario.grants}
        return cls(homes, evidence, scenario)

    def sign(self, name: str, statement: Statement[Predicate], label: str) -> str:
        """Sign as one of them, write the envelope, and return the digest of its payload."""
        envelope = authority.attest(self.homes[name], statement, now())
        write_atomically(self.evidence / f"{label}.dsse.json", envelope, mode=0o644)
        return dsse.parse(envelope).digest

    def declare(
        self,
        spiffe_id: str,
        label: str,
        purpose: str = "customer-support",
        tuning_models: tuple[str, ...] = (),
    ) -> str:
        """Sign, as the customer, the declaration of an environment."""
        environment = Environment(
            jurisdictions=("eu",),
            sector="finance",
            purpose=purpose,
            risk_class="limited",
            owner=CUSTOMER,
            window=_window(365),
            base_models=(f"{self.scenario.provider}/{self.scenario.listed_base}",),
            declarations={"ict-register-reference": "ROI-2026-0114"},
            tuning_models=tuning_models,
        )
        digest = DigestSet(hashlib.sha256(spiffe_id.encode()).hexdigest())
        statement = Statement(Subject(spiffe_id, digest), ENVIRONMENT, environment)
        return self.sign(CUSTOMER, statement, label)

    def bind(self, version: str, parent: KnownManifest | None = None) -> KnownManifest:
        """Sign, as the producer, the manifest of a finished job (``v3`` or ``v4``)."""
        suffix = "" if version == "v3" else f"-{version}"
        with as_file(files("admissibility_devtools.demo") / "data") as data:
            job = openai.read_job((data / f"job{suffix}.json").read_bytes())
            known = Declared(
                corpora=(
                    read_corpus(
                        data / f"training{suffix}.jsonl", role="training", name=job.training_file
                    ).corpus,
                    read_corpus(
                        data / "validation.jsonl",
                        role="validation",
                        name=job.validation_file or "validation.jsonl",
                    ).corpus,
                ),
                outputs=(
                    run_files.run_output(data / f"metrics{suffix}.csv", name=job.result_files[0]),
                ),
                envelope=declared.envelope(data / "envelope.yaml"),
                environments=declared.environments(data / "environments.yaml"),
                required_roles=ALWAYS_REQUIRED,
                provider=openai.PROVIDER,
                window=_window(180),
                parent=parent,
                declarations={"gpai-modification": "minor"},
            )
        bound = openai.bind(job, known)
        digest = self.sign(PRODUCER, bound.statement, f"manifest-{version}")
        return KnownManifest(digest, bound.statement.predicate)

    def declare_environments(self) -> None:
        """Sign, as the customer, the declarations of all three environments."""
        self.declare(PROD, "environment-prod")
        self.declare(LAB, "environment-lab")
        self.declare(EVALUATION, "environment-evaluation", sandbox.PURPOSE)

    def resign(self, name: str, label: str) -> None:
        """Sign, as one of them, evidence again with its current key; ``label`` is a pattern."""
        paths = sorted(self.evidence.glob(f"{label}.dsse.json"))
        authority.resign(self.homes[name], paths, now())

    def countersign(self, manifest: KnownManifest, scores: bytes, label: str) -> str:
        """Sign, as the evaluator, the result with the scores of a results file."""
        measured = countersign.read_results(scores)
        statement = countersign.countersign(
            manifest.manifest, manifest.digest, measured, _window(90)
        )
        return self.sign(EVALUATOR, statement, label)

    def approve(self, name: str, manifest: KnownManifest, label: str, *conditions: str) -> str:
        """Sign, as one of them, the approval of a manifest in its own role."""
        signed_off = {"model-risk-sign-off": "MRC-2026-31"} if name == CUSTOMER else {}
        approval = Approval(
            role=self.scenario.role_of(name),
            jurisdictions=("eu",),
            environments=(PROD,),
            operations=OPERATIONS,
            window=_window(90),
            conditions=conditions,
            declarations=signed_off,
        )
        subject = Subject(manifest.manifest.model.id, DigestSet(manifest.digest))
        return self.sign(name, Statement(subject, APPROVAL, approval), label)

    def set_heartbeat(self, name: str, period: timedelta) -> None:
        """Edit one authority's own settings: how long its timestamp holds."""
        path = self.homes[name].path / "authority.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings["periods"]["timestamp"] = f"{int(period.total_seconds())}s"
        write_atomically(path, yaml.safe_dump(settings, sort_keys=False).encode(), mode=0o600)

    def write_trust(self, path: Path) -> None:
        """Write the operator's ``trust.yaml``: pinned first roots, sources and grants."""
        roots = path.parent / "roots"
        roots.mkdir()
        entries = []
        for name, home in self.homes.items():
            pinned = roots / f"{name}.root.json"
            pinned.write_bytes(authority.root_bytes(home))
            entries.append(
                {
                    "name": name,
                    "root": f"roots/{pinned.name}",
                    "source": {"directory": str(home.repository)},
                    "grants": [dict(self.scenario.grants[name])],
                }
            )
        trust = {
            "version": 1,
            "state": "state",
            "poll_seconds": 2,
            "evidence": [str(self.evidence)],
            # The models of scene 8 and of the adapters were bound without one.
            "specification": "optional",
            "authorities": entries,
        }
        path.write_text(yaml.safe_dump(trust, sort_keys=False), encoding="utf-8")


def _window(days: float) -> Window:
    """Begin now, to the microsecond.

    A withdrawal reaches what its author signed on the matter no later (law 3), and the story signs,
    withdraws and signs anew within one second.
    """
    begin = datetime.now(UTC)
    return Window(begin, begin + timedelta(days=days))
