"""An authority in memory: real keys, its documents, and the evidence it signed."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.core import dsse
from sidecar.core.documents import (
    AttestationKey,
    AuthorityDocument,
    Failure,
    Supersession,
    Withdrawal,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Statement, write_statement
from sidecar.core.keys import PublicKey
from sidecar.core.kinds import KINDS
from sidecar.core.predicates import Predicate
from sidecar.core.snapshot import AuthorityView
from sidecar.core.window import Window
from sidecar.trust.spellings import by_one_name

KEY_LIFETIME = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class PartyKey:
    """A key pair; ``entry`` is how the authority lists it."""

    private: Ed25519PrivateKey = field(repr=False)
    entry: AttestationKey
    fingerprint: str

    @classmethod
    def generate(cls, now: datetime) -> PartyKey:
        """Make an Ed25519 key that is valid from ``now`` on."""
        private = Ed25519PrivateKey.generate()
        pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        window = Window(now, now + KEY_LIFETIME)
        entry = AttestationKey(pem.decode("ascii"), window, tuple(kind.urn for kind in KINDS))
        return cls(private, entry, PublicKey.from_pem(entry.pem).fingerprint)

    def sign(self, payload: bytes) -> dict[str, str]:
        """Sign a payload as DSSE does."""
        raw = self.private.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
        return {"keyid": self.fingerprint, "sig": base64.b64encode(raw).decode("ascii")}


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file of evidence.

    Attributes:
        digest: Hex SHA-256 of the payload.
        kind: ``manifest``, ``approval``, ``result``, ``declaration`` or ``binding``.
        about: The manifest, environment or deployment it is about, by its name in the history.
        author: The authority that made it.
        payload: The statement's bytes.
        signatures: As they are listed in the envelope.
    """

    digest: str
    kind: str
    about: str
    author: str
    payload: bytes
    signatures: tuple[tuple[str, str], ...]

    @property
    def envelope(self) -> bytes:
        """The DSSE envelope."""
        value = {
            "payload": base64.b64encode(self.payload).decode("ascii"),
            "payloadType": dsse.PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": sig} for keyid, sig in self.signatures],
        }
        return json.dumps(value).encode("ascii")

    @property
    def named(self) -> str:
        """What people call it."""
        if self.kind == "manifest":
            return f"manifest {self.about}"
        return f"{self.author}'s {self.kind} of {self.about}"

    @property
    def after_kind(self) -> str:
        """What people call it where its kind was named before: "approval *of support by lab*"."""
        if self.kind == "manifest":
            return self.about
        return f"of {self.about} by {self.author}"


@dataclass(slots=True)
class Party:
    """One authority: what it publishes, and everything that it ever signed."""

    name: str
    keys: list[PartyKey]
    entries: list[Withdrawal] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    supersessions: list[Supersession] = field(default_factory=list)
    signed: list[EvidenceFile] = field(default_factory=list)
    version: int = 1
    expires: datetime | None = None

    @classmethod
    def new(cls, name: str, now: datetime) -> Party:
        """Return an authority with one key and nothing withdrawn."""
        return cls(name, [PartyKey.generate(now)])

    @property
    def key(self) -> PartyKey:
        """The key it signs with now."""
        return self.keys[-1]

    def sign(self, statement: Statement[Predicate], kind: str, about: str) -> EvidenceFile:
        """Sign a statement and note it."""
        payload = write_statement(statement)
        signature = self.key.sign(payload)
        file = EvidenceFile(
            hashlib.sha256(payload).hexdigest(),
            kind,
            about,
            self.name,
            payload,
            ((signature["keyid"], signature["sig"]),),
        )
        self.signed.append(file)
        return file

    def resign(self, file: EvidenceFile) -> EvidenceFile:
        """Add the current key's signature over the same payload."""
        signature = self.key.sign(file.payload)
        mine = (signature["keyid"], signature["sig"])
        others = tuple(each for each in file.signatures if each[0] != mine[0])
        return replace(file, signatures=(*others, mine))

    def rotate(self, now: datetime, overlap: timedelta | None) -> None:
        """Replace the key: the old one is retired, or ends after ``overlap``."""
        old = self.keys[-1]
        if overlap is None:
            entry = replace(old.entry, status="retired")
        else:
            begins = old.entry.window.not_before
            entry = replace(old.entry, window=Window(begins, now + overlap))
        self.keys[-1] = replace(old, entry=entry)
        self.keys.append(PartyKey.generate(now))

    def publish(self, now: datetime, heartbeat: timedelta) -> None:
        """Sign a new timestamp, which holds for one heartbeat."""
        self.version += 1
        self.expires = now + heartbeat

    def view(self, now: datetime) -> AuthorityView:
        """Return what a gate that reads the repository now verifies."""
        document = AuthorityDocument(
            "urn:admissibility:authority:v1", self.name, tuple(key.entry for key in self.keys)
        )
        withdrawals = WithdrawalsDocument(
            "urn:admissibility:withdrawals:v1",
            tuple(self.entries),
            tuple(self.failures),
            tuple(self.supersessions),
        )
        return AuthorityView(
            name=self.name,
            document=document,
            withdrawals=by_one_name(withdrawals),
            expires=self.expires or now,
            version=self.version,
        )
