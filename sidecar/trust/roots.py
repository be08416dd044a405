"""TUF root documents: read, checked for keys counted twice, and chained from the pinned one.

A threshold is only as good as its keys are distinct. TUF libraries count key *ids*, and the author
of a root document chooses the ids, so one key under two ids would meet a threshold of two. Every
root document, pinned or fetched, passes ``parse`` before a library sees it; there keys are compared
by value, as the DER SubjectPublicKeyInfo of the parsed key, so that neither an id nor a way of
writing the same key makes two of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Role, Root
from tuf.api.serialization.json import CanonicalJSONSerializer

from sidecar.trust.limits import REPOSITORY, RepositoryLimits

ONLINE_ROLES = ("timestamp", "snapshot")


class RootError(Exception):
    """A root document was refused; the text states the rule that it broke."""


def fingerprint(key: Key) -> str:
    """Return the hex SHA-256 of a TUF key's DER SubjectPublicKeyInfo.

    Raises:
        RootError: Not a key of a kind that is supported (Ed25519, ECDSA, RSA).
    """
    try:
        text = str(key.keyval["public"])
        public = (
            ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
            if key.keytype == "ed25519"
            else load_pem_public_key(text.encode())
        )
    except (KeyError, ValueError, UnsupportedAlgorithm) as error:
        raise RootError(f"a {key.keytype} key cannot be read") from error
    if not isinstance(
        public, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    ):
        raise RootError(f"{key.keytype} keys are not supported")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def parse(data: bytes) -> Metadata[Root]:
    """Read a root document and hold every role's keys and threshold against each other.

    Raises:
        RootError: Not a TUF root document, or a role that counts one key twice, has a threshold
            below 1, or one that its keys cannot reach.
    """
    if len(data) > REPOSITORY.root:
        raise RootError(f"{len(data)} bytes, at most {REPOSITORY.root} are read")
    try:
        document: Metadata[Root] = Metadata.from_bytes(data)
    except (RepositoryError, RecursionError) as error:
        raise RootError("not a TUF root document") from error
    if not isinstance(document.signed, Root):
        raise RootError(f"a TUF {document.signed.type} document, not a root")
    for name in sorted(document.signed.roles):
        check_role(name, document.signed.roles[name], document.signed.keys)
    return document


def check_role(name: str, role: Role, keys: Mapping[str, Key]) -> None:
    """Refuse a role, of a root or a delegation, whose threshold does not count distinct keys.

    Raises:
        RootError: It counts one key twice, or its threshold is below 1 or cannot be reached.
    """
    known = [keyid for keyid in role.keyids if keyid in keys]
    distinct = {fingerprint(keys[keyid]) for keyid in known}
    if len(distinct) != len(known):
        raise RootError(f"role {name} counts one key under two ids")
    if type(role.threshold) is not int or role.threshold < 1:
        raise RootError(f"role {name} has a threshold below 1")
    if role.threshold > len(distinct):
        raise RootError(f"role {name} needs {role.threshold} keys and has {len(distinct)}")


def pinned(data: bytes) -> Metadata[Root]:
    """Read a root that a chain may start from: checked, and signed by its own keys.

    Raises:
        RootError: It is not. An expired one is fine: only the newest must be current.
    """
    document = parse(data)
    _check_signed(document.signed, document)
    return document


def chain(first: bytes, history: Path, limits: RepositoryLimits = REPOSITORY) -> tuple[Root, ...]:
    """Follow the chain from the pinned root through the versions kept in ``history``.

    Args:
        first: The pinned root.
        history: Folder of ``N.root.json``.
        limits: How many versions are followed.

    Returns:
        At least the pinned root, then each that its predecessor and it itself signed. The chain
        ends at the first version that is missing or does not hold.

    Raises:
        RootError: Not even the pinned root holds.
    """
    root = pinned(first).signed
    found = [root]
    for _ in range(limits.roots):
        path = history / f"{root.version + 1}.root.json"
        try:
            following = parse(path.read_bytes())
            _check_signed(root, following)
            _check_signed(following.signed, following)
        except (OSError, RootError):
            break
        if following.signed.version != root.version + 1:
            break
        root = following.signed
        found.append(root)
    return tuple(found)


def online_digest(root: Root) -> str:
    """Hex SHA-256 over the keys and thresholds of timestamp and snapshot."""
    lines = []
    for name in ONLINE_ROLES:
        role = root.roles[name]
        keys = sorted(fingerprint(root.keys[keyid]) for keyid in role.keyids if keyid in root.keys)
        lines.append(f"{name} {role.threshold} {' '.join(keys)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def keys_of(root: Root, role: str) -> tuple[Key, ...]:
    """Return the keys of a role."""
    return tuple(root.keys[keyid] for keyid in root.roles[role].keyids if keyid in root.keys)


def root_fingerprints(root: Root) -> frozenset[str]:
    """Fingerprints of the keys that sign root documents."""
    return frozenset(fingerprint(root.keys[keyid]) for keyid in root.roles["root"].keyids)


def _check_signed(by: Root, document: Metadata[Root]) -> None:
    payload = CanonicalJSONSerializer().serialize(document.signed)
    try:
        by.verify_delegate(Root.type, payload, document.signatures)
    except (RepositoryError, ValueError) as error:
        raise RootError(f"root version {document.signed.version}: {error}") from error
