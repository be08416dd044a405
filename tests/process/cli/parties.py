"""Five authorities made by the command line, and the trust state an operator builds of them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.core import dsse
from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.evidence import parse_statement
from sidecar.core.grants import Grant, OperatorTrust
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView
from sidecar.core.trust_state import build
from sidecar.providers import ADAPTED_NAMES
from tests.process.cli.admit import admit, told
from tests.support.gate.credentials import jwks
from tests.support.scores import write_scores
from tests.unit.authority.reader import Reader
from tests.unit.binding.samples import MODEL

ENVIRONMENT = "spiffe://acme.example/env/prod"
ROLES = {
    "tuning-lab": "producer",
    "model-host": "provider",
    "acme-risk": "customer",
    "eu-regulator": "regulator",
    "test-house": "evaluator",
}
JWKS = jwks(ec.generate_private_key(ec.SECP256R1()).public_key(), "1")


def found(folder: Path) -> None:
    """Make the authorities' homes below a folder, each by commands of its own."""
    for name in ROLES:
        key_type = "ecdsa" if name == "eu-regulator" else "ed25519"
        admit("authority", "init", name, "--dir", folder / name, "--key-type", key_type)
    path, customer = folder / "jwks.json", str(folder / "acme-risk")
    path.write_text(json.dumps(JWKS))
    admit("authority", "trust-domain", "acme.example", "--jwks", path, ADMIT_HOME=customer)


def begun(evidence: list[bytes], now: datetime) -> datetime:
    """When what was just signed has begun: a second after what it narrows, which may be to come."""
    soon = now + timedelta(seconds=10)
    begins = [now]
    for data in evidence:
        with suppress(EvidenceError):
            statement = parse_statement(dsse.parse(data).payload)
            begins.append(statement.predicate.window.not_before)
    return max(at for at in begins if at <= soon)


class Parties:
    """The authorities' homes below one folder, as ``found`` made them, and a folder of evidence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.evidence = folder / "evidence"
        self.blobs = folder / "blobs"
        self.jurisdictions: tuple[str, ...] = ("eu",)
        self.models: tuple[str, ...] = ("openai/**",)
        self.base_models: tuple[str, ...] = ("openai/gpt-4o-*",)
        self._readers = {name: self._reader(name) for name in ROLES}

    def home(self, name: str) -> Path:
        """An authority's home folder."""
        return self.folder / name

    def run(self, name: str, *arguments: object) -> None:
        """Run a command as one of the authorities."""
        admit(*arguments, ADMIT_HOME=str(self.home(name)))

    def sign(self, name: str, *arguments: object, code: int = 0) -> dict[str, str]:
        """Run a command that writes evidence, as one of the authorities."""
        home = str(self.home(name))
        found: dict[str, str] = told(*arguments, "--out", self.evidence, code=code, ADMIT_HOME=home)
        return found

    def declare(self, *more: str) -> dict[str, str]:
        """The customer declares the environment."""
        return self.sign(
            "acme-risk",
            *("declare", "environment", ENVIRONMENT, "--jurisdiction", "eu", "--sector", "finance"),
            *("--purpose", "customer-support", "--risk-class", "limited", "--owner", "acme-risk"),
            *("--base-model", "openai/gpt-4o-mini-*", "--blobs", self.blobs, *more),
        )

    def bind(self, job: Path, *more: str) -> dict[str, str]:
        """The producer binds the sample job."""
        return self.sign(
            "tuning-lab",
            *("bind", job / "job.json", "--training", job / "training.jsonl"),
            *("--validation", job / "validation.jsonl", "--result-file", job / "metrics.csv"),
            *("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml"),
            *("--blobs", self.blobs, *more),
        )

    def result(self, manifest: str, score: float, code: int = 0) -> dict[str, str]:
        """The evaluator countersigns."""
        path = write_scores(self.folder / "results.json", manifest, score)
        return self.sign("test-house", "result", manifest, "--results", path, code=code)

    def approve(self, name: str, manifest: str) -> dict[str, str]:
        """An authority approves in its role."""
        return self.sign(
            name,
            *("approve", manifest, "--role", ROLES[name], "--jurisdiction", "eu"),
            *("--environment", "spiffe://acme.example/**", "--operation", "chat.completions"),
            *("--condition", "quarterly review"),
        )

    def assess(self, model: str = MODEL, *, rejected: int = 0) -> Assessment:
        """Build the trust state from the files and ask the predicate, as a gate would."""
        return self.put(Call("openai", "chat.completions", (model,)), rejected=rejected)

    def put(self, call: Call, *, rejected: int = 0) -> Assessment:
        """Ask about any call."""
        evidence = [path.read_bytes() for path in sorted(self.evidence.glob("*.json"))]
        state = build(
            epoch=1,
            operator=operator(self.jurisdictions, self.models, self.base_models),
            views=[self._view(name) for name in ROLES],
            evidence=evidence,
        )
        assert len(state.rejected) == rejected, state.rejected
        now = begun(evidence, datetime.now(UTC))
        later = now + timedelta(minutes=5)
        credential = Credential(ENVIRONMENT, "acme.example", "jwt-svid", later, "acme-risk")
        return assess(call, credential, state, now)

    def trust(self) -> Path:
        """Write the operator's ``trust.yaml`` for these authorities."""
        authorities = []
        for name, (given,) in operator(self.jurisdictions).grants.items():
            root = self.folder / f"{name}.root.json"
            root.write_bytes(admit("authority", "show", "--home", self.home(name), "--root").stdout)
            listed = {key: list(value) for key, value in _lists(given).items() if value}
            authorities.append(
                {
                    "name": name,
                    "root": str(root),
                    "source": {"directory": str(self.home(name) / "repository")},
                    "grants": [{"role": given.role, **listed}],
                }
            )
        path = self.folder / "trust.yaml"
        path.write_text(
            json.dumps(
                {
                    "version": 1,
                    "state": str(self.folder / "state"),
                    "evidence": [str(self.evidence)],
                    "specification": "optional",
                    "authorities": authorities,
                }
            )
        )
        return path

    def _reader(self, name: str) -> Reader:
        repository = self.home(name) / "repository"
        root = (repository / "metadata" / "1.root.json").read_bytes()
        return Reader(root, repository, self.folder / "readers" / name)

    def _view(self, name: str) -> AuthorityView:
        document, withdrawals = self._readers[name].documents(name)
        metadata = self._readers[name].kept()
        expires = min(datetime.fromisoformat(part["expires"]) for part in metadata.values())
        version = metadata["timestamp"]["version"]
        return AuthorityView(name, document, withdrawals, expires, version, heard_since_start=True)


def _lists(given: Grant) -> dict[str, tuple[str, ...]]:
    names = ("jurisdictions", "sectors", "models", "environments", "base_models", "trust_domains")
    return {name: getattr(given, name) for name in names}


def operator(
    jurisdictions: tuple[str, ...] = ("eu",),
    models: tuple[str, ...] = ("openai/**",),
    base_models: tuple[str, ...] = ("openai/gpt-4o-*",),
) -> OperatorTrust:
    """Grants for the five, as an operator would write them."""
    return OperatorTrust(
        {
            name: (
                Grant(
                    role=role,
                    jurisdictions=jurisdictions,
                    sectors=("finance",),
                    models=models,
                    environments=("spiffe://acme.example/**",),
                    base_models=base_models if role == "provider" else (),
                    trust_domains=("acme.example",) if role == "customer" else (),
                ),
            )
            for name, role in ROLES.items()
        },
        adapted_names=ADAPTED_NAMES,
    )
