"""A publisher of real TUF repositories that can do every step right, by halves, or wrong.

It signs with real keys. ``next_set`` makes the files of the next publication without writing them;
``write`` writes any of them; ``publish`` does both in the right order. A test that wants to be an
attacker changes what lies in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sidecar.core.predicates import APPROVAL, ENVIRONMENT, MANIFEST, RESULT
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.source_config import DirectorySourceConfig
from tests.support.simulator.keys import SimKey

ROLES = ("root", "timestamp", "snapshot", "targets")
HOUR = timedelta(hours=1)
DOMAINS = "trust-domains"


def now() -> datetime:
    """The current second: TUF writes no fractions."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def keys_per_role() -> dict[str, list[CryptoSigner]]:
    return {role: [CryptoSigner.generate_ed25519()] for role in ROLES}


@dataclass
class Repository:
    """One authority's repository below ``folder``, and the keys it is signed with.

    Attributes:
        folder: Holds ``metadata/`` and ``targets/``.
        name: What its ``authority.json`` calls itself.
        signers: Role → who signs for it.
        thresholds: Role → how many must.
        versions: Role → version last made.
        expires: Role → expiry of what is made next.
        attestation: Its attestation key.
        entries: Of its ``withdrawals.json``.
        domains: What the delegated role publishes; the role exists where there are ``online`` keys.
        online: Who signs for the delegated role.
        domains_version: Version of the delegated role's metadata.
        domains_expire: Expiry of the delegated role's next metadata.
    """

    folder: Path
    name: str
    signers: dict[str, list[CryptoSigner]] = field(default_factory=keys_per_role)
    thresholds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 1))
    versions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 0))
    expires: dict[str, datetime] = field(
        default_factory=lambda: {
            role: now() + hours * HOUR for role, hours in zip(ROLES, (400, 1, 2, 200), strict=True)
        }
    )
    attestation: SimKey = field(default_factory=SimKey.ed25519)
    entries: list[dict[str, str]] = field(default_factory=list)
    domains: list[dict[str, Any]] = field(default_factory=list)
    online: list[CryptoSigner] = field(default_factory=list)
    domains_version: int = 1
    domains_expire: datetime = field(default_factory=lambda: now() + 24 * HOUR)

    def __post_init__(self) -> None:
        self.first_root = self.rotate_root()

    @property
    def documents(self) -> dict[str, bytes]:
        """What it publishes, by name."""
        authority = {
            "type": "urn:admissibility:authority:v1",
            "name": self.name,
            "keys": [
                {
                    "pem": self.attestation.pem,
                    "window": {
                        "notBefore": "2020-01-01T00:00:00Z",
                        "notAfter": "2099-01-01T00:00:00Z",
                    },
                    "predicateTypes": [MANIFEST, RESULT, APPROVAL, ENVIRONMENT],
                }
            ],
        }
        withdrawals = {"type": "urn:admissibility:withdrawals:v1", "entries": self.entries}
        return {
            "authority.json": json.dumps(authority).encode(),
            "withdrawals.json": json.dumps(withdrawals).encode(),
        }

    def trusted(self, root: bytes | None = None) -> TrustedAuthority:
        """As an operator pins it."""
        return TrustedAuthority(
            self.name, root or self.first_root, DirectorySourceConfig(self.folder)
        )

    # roots

    def rotate_root(
        self, new: Mapping[str, list[CryptoSigner]] | None = None, *, write: bool = True
    ) -> bytes:
        """Make the next root, with ``new`` keys for some roles, signed by old and new root keys."""
        old = self.signers["root"]
        self.signers |= dict(new or {})
        self.versions["root"] += 1
        root = Root(self.versions["root"], expires=self.expires["root"])
        for role in ROLES:
            self._add_role(root, role)
        data = sign(root, {id(s): s for s in (*old, *self.signers["root"])}.values())
        if write:
            self.write({f"metadata/{root.version}.root.json": data})
        return data

    def _add_role(self, root: Root, role: str) -> None:
        root.roles[role] = Role([], 1)
        for signer in self.signers[role]:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = self.thresholds[role]

    # the rest

    def next_set(
        self, documents: Mapping[str, bytes] | None = None, **versions: int
    ) -> dict[str, bytes]:
        """Make the next publication, in the order in which it should be written.

        Args:
            documents: Instead of its own.
            versions: Role → version to jump to, instead of the next.
        """
        documents = self.documents if documents is None else documents
        for role in ("targets", "snapshot", "timestamp"):
            self.versions[role] = versions.get(role, self.versions[role] + 1)
        listed = {name: TargetFile.from_data(name, data) for name, data in documents.items()}
        signed = Targets(self.versions["targets"], None, self.expires["targets"], listed)
        signed.delegations = self.delegations() if self.online else None
        delegated = self.delegated() if self.online else {}
        return (
            {target_path(name, data): data for name, data in documents.items()}
            | delegated
            | self.upper(self.sign("targets", signed), delegated)
        )

    def delegations(self) -> Delegations:
        """The delegation of ``trust-domains.json`` to the online keys."""
        keys: dict[str, Key] = {each.public_key.keyid: each.public_key for each in self.online}
        role = DelegatedRole(DOMAINS, list(keys), 1, True, [f"{DOMAINS}.json"])
        return Delegations(keys, {DOMAINS: role})

    def delegated(self) -> dict[str, bytes]:
        """The document of the delegated role, and its metadata at its current version."""
        name = f"{DOMAINS}.json"
        value = {"type": "urn:admissibility:trust-domains:v1", "trustDomains": self.domains}
        data = json.dumps(value).encode()
        listed = {name: TargetFile.from_data(name, data)}
        signed = Targets(self.domains_version, None, self.domains_expire, listed)
        return {
            target_path(name, data): data,
            f"metadata/{self.domains_version}.{name}": sign(signed, self.online),
        }

    def upper(
        self, targets: bytes, delegated: Mapping[str, bytes] = MappingProxyType({})
    ) -> dict[str, bytes]:
        """The metadata files over given targets metadata, at the current versions."""
        listed = {"targets.json": MetaFile.from_data(self.versions["targets"], targets, ["sha256"])}
        role = delegated.get(f"metadata/{self.domains_version}.{DOMAINS}.json")
        if role is not None:
            listed[f"{DOMAINS}.json"] = MetaFile(self.domains_version)
        snapshot = self.sign(
            "snapshot",
            Snapshot(
                self.versions["snapshot"],
                None,
                self.expires["snapshot"],
                listed,
            ),
        )
        timestamp = self.sign(
            "timestamp",
            Timestamp(
                self.versions["timestamp"],
                None,
                self.expires["timestamp"],
                MetaFile.from_data(self.versions["snapshot"], snapshot, ["sha256"]),
            ),
        )
        return {
            f"metadata/{self.versions['targets']}.targets.json": targets,
            f"metadata/{self.versions['snapshot']}.snapshot.json": snapshot,
            "metadata/timestamp.json": timestamp,
        }

    def sign(self, role: str, signed: Signed) -> bytes:
        return sign(signed, self.signers[role])

    def publish(self, documents: Mapping[str, bytes] | None = None, **versions: int) -> None:
        self.write(self.next_set(documents, **versions))

    def withdraw(self, kind: str, subject: str) -> None:
        """Add an entry and publish."""
        self.entries.append(
            {"kind": kind, "subject": subject, "reason": "test", "effective": stamp(now() - HOUR)}
        )
        self.publish()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files, each by a rename, in the order given."""
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.new")
            draft.write_bytes(data)
            draft.replace(path)


def target_path(name: str, data: bytes) -> str:
    return f"targets/{hashlib.sha256(data).hexdigest()}.{name}"


def sign(signed: Signed, signers: Iterable[CryptoSigner]) -> bytes:
    document: Metadata[Any] = Metadata(signed)
    for signer in signers:
        document.sign(signer, append=True)
    return document.to_bytes()


def under_another_id(signer: CryptoSigner, keyid: str, **changes: str) -> CryptoSigner:
    """The same private key, presented under another key id, and written differently if asked."""
    public = signer.public_key
    value = {**public.keyval, **changes}
    key = SSlibKey(keyid, public.keytype, public.scheme, value)
    private = load_pem_private_key(signer.private_bytes, None)
    assert isinstance(private, Ed25519PrivateKey | EllipticCurvePrivateKey)
    return CryptoSigner(private, key)
