"""Holds private keys by URI, and uses them through ``securesystemslib`` signers.

The private half of a key may be a file, an HSM (PKCS#11), a KMS or Vault. This module adds the
custody of key files: they are created once, never overwritten, readable by their owner alone, and
refused where group or others may use them.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from securesystemslib.exceptions import Error as SigningError
from securesystemslib.exceptions import KeyMismatchError, UnsupportedLibraryError
from securesystemslib.signer import CryptoSigner, Signature, Signer, SSlibKey

from sidecar.authority import key_secrets
from sidecar.authority.errors import AuthorityError
from sidecar.core.documents import TRUST_DOMAINS_ROLE
from sidecar.core.key_material import blocks, describe
from sidecar.durable.files import write_private
from sidecar.durable.private_files import open_to_others

ROOT, TARGETS, ONLINE, ATTESTATION = "root", "targets", "online", "attestation"
ROLES = (ROOT, TARGETS, ONLINE, ATTESTATION)
"""Purposes for which every authority has a key; one key serves one purpose."""

TRUST_DOMAINS = TRUST_DOMAINS_ROLE
ALL_ROLES = (*ROLES, TRUST_DOMAINS)
"""A key for trust domains is made when the first one is published.

It is not the online key: a stolen heartbeat key must not be able to publish roots for workloads.
"""

KEY_TYPES = ("ed25519", "ecdsa")
KEYS_FOLDER = "keys"
TUF_SCHEMES = frozenset({"ed25519", "ecdsa-sha2-nistp256", "rsassa-pss-sha256"})
"""Signature schemes that every TUF client verifies: those the specification names (§4.2).

The conformance suite of TUF clients asks for these three.
"""
TUF_RARE_SCHEMES = frozenset({"ecdsa-sha2-nistp384"})
"""Schemes that the clients of this project verify and some other TUF clients do not."""
_FILE = f"{CryptoSigner.SCHEME}:"
_MAX_KEY_BYTES = 1 << 16
_EXTRAS = {
    "hsm": "hsm",
    "awskms": "awskms",
    "gcpkms": "gcpkms",
    "azurekms": "azurekms",
    "hv": "vault",
}
"""Scheme of a signer URI → the extra of ``securesystemslib`` that it needs."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key the authority holds.

    Attributes:
        uri: Where the private half is; a ``file2:`` URI may be relative to the home folder.
        pem: The public half, PEM SubjectPublicKeyInfo.
    """

    uri: str
    pem: str

    def public(self) -> SSlibKey:
        """Return the public half as TUF metadata names it.

        Raises:
            AuthorityError: Not a public key that TUF metadata can hold.
        """
        try:
            return SSlibKey.from_crypto(serialization.load_pem_public_key(self.pem.encode("utf-8")))
        except (ValueError, UnsupportedAlgorithm, SigningError) as error:
            raise AuthorityError(f"the public key of {self.uri} is not usable: {error}") from error

    def fingerprint(self) -> str:
        """Return ``sha256:`` and the hex SHA-256 of the SubjectPublicKeyInfo (RFC 5280 §4.1)."""
        return "sha256:" + _fingerprint(self.pem)


@dataclass(frozen=True, slots=True)
class KeySigner:
    """The private half of a key, opened.

    Attributes:
        role: What the key is for.
        uri: Where it is.
        backend: What signs.
    """

    role: str
    uri: str
    backend: Signer


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key given by URI: its signer URI and, unless it is a file, its public half."""

    uri: str
    public_pem: str | None = None


def create(home: Path, role: str, key_type: str) -> HeldKey:
    """Create a private key file for ``role`` below ``home`` and return the key.

    The file is ``keys/<role>-<fingerprint>.pem`` (PKCS#8 PEM), created with ``O_EXCL`` and mode
    0600 in a folder of mode 0700. Named by its own fingerprint, it can never be taken for another
    key, not even where older ones were moved elsewhere.

    Raises:
        AuthorityError: The key type is unknown, or the file cannot be created.
    """
    if key_type not in KEY_TYPES:
        raise AuthorityError(f"key type {key_type!r} is not one of {', '.join(KEY_TYPES)}")
    signer = (
        CryptoSigner.generate_ed25519() if key_type == "ed25519" else CryptoSigner.generate_ecdsa()
    )
    pem = _pem(signer.public_key)
    folder, name = home / KEYS_FOLDER, f"{role}-{_fingerprint(pem)[:12]}.pem"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        write_private(folder / name, signer.private_bytes)
    except FileExistsError as error:
        raise AuthorityError(f"{folder / name} exists; a key is never overwritten") from error
    except OSError as error:
        raise AuthorityError(f"cannot create a key in {folder}: {error.strerror}") from error
    return HeldKey(f"{_FILE}{KEYS_FOLDER}/{name}", pem)


def adopt(home: Path, role: str, own: OwnKey, *, new: bool) -> HeldKey:
    """Accept a key given by URI, after it has signed a probe.

    Args:
        home: The home, for files.
        role: What the key is for.
        own: The key.
        new: It is about to replace another key of its role.

    Raises:
        AuthorityError: It cannot be used, its public half is needed and was not given, or it is
            for TUF metadata and few clients could verify it.
    """
    if own.public_pem is not None:
        if len(blocks(own.public_pem)) != 1:
            raise AuthorityError(
                f"the public key of {own.uri}: expected one PEM public key; found "
                f"{describe(own.public_pem)}"
            )
        key = HeldKey(own.uri, own.public_pem)
    elif own.uri.startswith(_FILE):
        uri = _FILE + str(_file(home, own.uri))
        key = HeldKey(uri, _pem(_file_signer(home, uri, None).public_key))
    else:
        raise AuthorityError(f"{own.uri}: give its public key (PEM) as well")
    scheme = key.public().scheme
    if role != ATTESTATION and scheme not in TUF_SCHEMES | TUF_RARE_SCHEMES:
        raise AuthorityError(
            f"the {role} key ({own.uri}) is {scheme}: TUF clients verify Ed25519, ECDSA on P-256 "
            "and RSA-PSS with SHA-256; choose one of these"
        )
    sign(signer(home, role, key, new=new), b"admit: proof of possession")
    return key


def tuf_warnings(held: Mapping[str, HeldKey]) -> tuple[str, ...]:
    """Return one sentence for each key of TUF metadata that not every TUF client verifies."""
    return tuple(
        f"the {role} key is {key.public().scheme}, which not every TUF client verifies; gates do. "
        "Ed25519 and ECDSA on P-256 are verified by all"
        for role, key in held.items()
        if role != ATTESTATION and key.public().scheme in TUF_RARE_SCHEMES
    )


def signer(home: Path, role: str, key: HeldKey, *, new: bool = False) -> KeySigner:
    """Open the private half of ``key``.

    Args:
        home: The home, for files.
        role: What the key is for: it names the variable of its secret.
        key: The key.
        new: It is about to replace another key of its role.

    Raises:
        AuthorityError: It is not there, group or others may read it, or it is another key.
    """
    if key.uri.startswith(_FILE):
        return KeySigner(role, key.uri, _file_signer(home, key.uri, key.public()))
    secret = key_secrets.handler(role, key.uri, new=new)
    try:
        return KeySigner(role, key.uri, Signer.from_priv_key_uri(key.uri, key.public(), secret))
    except AuthorityError:
        raise
    except UnsupportedLibraryError as error:
        extra = _EXTRAS.get(key.uri.partition(":")[0], "crypto")
        raise AuthorityError(
            f"cannot use the {role} key {key.uri}: {error}; pip install 'securesystemslib[{extra}]'"
        ) from error
    except Exception as error:  # a signer may raise whatever its backend raises
        raise key_secrets.failure(role, key.uri, "cannot use a key", error) from error


def sign(by: KeySigner, message: bytes) -> Signature:
    """Sign, and check that the signature is really one by the public key.

    Raises:
        AuthorityError: The backend failed, or signed with another key.
    """
    try:
        signature = by.backend.sign(message)
        by.backend.public_key.verify_signature(signature, message)
    except AuthorityError:
        raise
    except Exception as error:  # a signer may raise whatever its backend raises
        raise key_secrets.failure(by.role, by.uri, "cannot sign", error) from error
    return signature


def distinct(keys: Iterable[HeldKey]) -> None:
    """Refuse one key in two purposes: a stolen online key must not also be a root key.

    Raises:
        AuthorityError: Two of ``keys`` are the same key.
    """
    fingerprints = [key.fingerprint() for key in keys]
    if len(set(fingerprints)) != len(fingerprints):
        raise AuthorityError("one key serves one purpose: two roles were given the same key")


def _file_signer(home: Path, uri: str, public: SSlibKey | None) -> CryptoSigner:
    """Open a key file; what was checked is what is read, since both go through one descriptor.

    (``Signer.from_priv_key_uri`` would open the path a second time, and cut it at ``?`` or ``#``.)
    """
    path = _file(home, uri)
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            _check_private(path, facts)
            pem = file.read(_MAX_KEY_BYTES)
        if len(blocks(pem.decode("ascii", errors="replace"))) > 1:  # ambiguous
            raise ValueError("more than one PEM block")
        return CryptoSigner(serialization.load_pem_private_key(pem, None), public)
    except OSError as error:
        raise AuthorityError(f"key file {path}: {error.strerror}") from error
    except KeyMismatchError as error:
        raise AuthorityError(
            f"key file {path} holds another key than authority.yaml; restore it, or rotate the key"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm, SigningError) as error:
        found = describe(pem.decode("utf-8", errors="replace"))
        raise AuthorityError(
            f"key file {path}: expected one unencrypted PEM private key; found {found}"
        ) from error


def _check_private(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise AuthorityError(f"key file {path} is not a regular file")
    if open_to_others(facts):
        mode = stat.S_IMODE(facts.st_mode)
        raise AuthorityError(
            f"key file {path} has mode {mode:04o}: group or others may use it; chmod 0600 it"
        )
    if facts.st_uid not in {0, os.geteuid()}:
        raise AuthorityError(
            f"key file {path} belongs to user {facts.st_uid}; run this as that user"
        )


def _file(home: Path, uri: str) -> Path:
    return home / uri.removeprefix(_FILE).removeprefix("//")


def _fingerprint(pem: str) -> str:
    """Hex SHA-256 of the DER SubjectPublicKeyInfo."""
    der = serialization.load_pem_public_key(pem.encode("utf-8")).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _pem(key: SSlibKey) -> str:
    """Write a public key as PEM; TUF metadata holds Ed25519 keys as raw hex instead."""
    public = key._crypto_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode("ascii")
