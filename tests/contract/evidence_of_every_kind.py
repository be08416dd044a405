"""Evidence of every kind, the file each subject is the digest of, and a signer of each key kind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sidecar.authority import home as authority
from sidecar.authority.keys import OwnKey
from sidecar.authority.open_home import Home
from sidecar.binding import openai
from sidecar.core.evidence import Statement, write_statement
from sidecar.core.kinds import BY_URN
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    SPECIFICATION,
    WAIVER,
    Approval,
    DeploymentBinding,
    Environment,
    Predicate,
    Specification,
    Subject,
    Waiver,
    specification_blob,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.durable.files import write_private
from sidecar.evaluation.countersign import Measured, countersign
from tests.unit.binding.jobs import DECLARED, job

NOW = datetime.now(UTC).replace(microsecond=0)
WINDOW = Window(NOW, NOW + timedelta(days=1))
SPIFFE_ID = "spiffe://acme.example/env/prod"
KINDS = tuple(BY_URN)
KEY_KINDS = ("ed25519", "ecdsa", "p384")


@dataclass(frozen=True)
class Case:
    """One piece of evidence and the file its subject is the digest of."""

    statement: Statement[Predicate]
    blob: bytes


def cases() -> dict[str, Case]:
    """Evidence of every kind, made as the product makes it."""
    bound = openai.bind(openai.read_job(job()), DECLARED)
    manifest = bound.statement.predicate
    payload = write_statement(bound.statement)
    digest = hashlib.sha256(payload).hexdigest()
    scores = [Measured(suite.name, 1.0) for suite in manifest.envelope.suites]
    approval = Approval("regulator", ("eu",), ("spiffe://**",), ("completions",), WINDOW)
    declared = Environment(("eu",), "finance", "support", "limited", "acme", WINDOW)
    name = SPIFFE_ID.encode()
    place = Subject(SPIFFE_ID, DigestSet(hashlib.sha256(name).hexdigest()))
    binding = DeploymentBinding("openai", "prod", manifest.model.id, WINDOW)
    specified = Specification(("openai/**",), manifest.environments, manifest.envelope, WINDOW)
    blob = specification_blob(manifest.environments, manifest.envelope)
    plan = Subject("support", DigestSet(hashlib.sha256(blob).hexdigest()))
    about = Subject(manifest.model.id, DigestSet(digest))
    found = {
        MANIFEST: Case(bound.statement, bound.artifact),
        RESULT: Case(countersign(manifest, digest, scores, WINDOW), payload),
        APPROVAL: Case(Statement(about, APPROVAL, approval), payload),
        ENVIRONMENT: Case(Statement(place, ENVIRONMENT, declared), name),
        WAIVER: Case(Statement(place, WAIVER, Waiver("EU-1", "eu", "pilot", WINDOW)), name),
        DEPLOYMENT_BINDING: Case(
            Statement(Subject("prod", DigestSet(digest)), DEPLOYMENT_BINDING, binding), payload
        ),
        SPECIFICATION: Case(Statement(plan, SPECIFICATION, specified), blob),
    }
    assert set(found) == set(KINDS), f"add a case to {__file__} for each kind"
    return found


def signer(folder: Path, key_kind: str) -> Home:
    """An authority whose attestation key is of one of ``KEY_KINDS``."""
    if key_kind != "p384":
        return authority.init(folder / key_kind, "acme", now=NOW, key_type=key_kind)
    path = folder / "p384.pem"
    key = ec.generate_private_key(ec.SECP384R1())
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    own = {"attestation": OwnKey(f"file2:{path}")}
    return authority.init(folder / key_kind, "acme", now=NOW, uris=own)
