"""Reads keys that sign policy bundles, and writes the claims that a signature must have.

OPA signs a bundle as a JWT over the hash of every file in it. Three things that it leaves open are
fixed here. The algorithm is that of the key, never the token's. The token has a ``scope`` that OPA
is configured to require, so that a signature made for other bundles is not accepted. A private key
that other users can read is refused.

A signature has no time: an older bundle with a valid signature is still valid.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sidecar.durable.private_files import open_to_others
from sidecar.opa.errors import PolicyError

SCOPE = "admissibility-policy"
MAX_KEY_BYTES = 1 << 16
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in a PEM file, and its JWT algorithm."""

    path: Path
    algorithm: str
    public_pem: bytes


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key in a PEM file, and its JWT algorithm."""

    path: Path
    algorithm: str


def ephemeral(folder: Path) -> SigningKey:
    """Generate a P-256 key in ``folder`` that signs one bundle; ``forget`` it right after."""
    private = ec.generate_private_key(ec.SECP256R1())
    path = folder / "signing.pem"
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(pem)
    return SigningKey(path, "ES256", _public_pem(private.public_key()))


def signing_key(path: Path) -> SigningKey:
    """Read a private key that signs bundles.

    Raises:
        PolicyError: Not a P-256, P-384 or Ed25519 key in PEM without a password, or others can
            read it.
    """
    data = _read(path, private=True)
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PolicyError(f"{path}: no private key in PEM without a password") from error
    public = private.public_key()
    return SigningKey(path, algorithm(public, path), _public_pem(public))


def verification_key(path: Path) -> VerificationKey:
    """Read a public key that bundles are verified with.

    Raises:
        PolicyError: Not a P-256, P-384 or Ed25519 public key in PEM.
    """
    data = _read(path, private=False)
    try:
        public = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PolicyError(f"{path}: no public key in PEM") from error
    return VerificationKey(path, algorithm(public, path))


def write_public(key: SigningKey, path: Path) -> VerificationKey:
    """Write the public key of ``key``, with which others verify bundles."""
    path.write_bytes(key.public_pem)
    return VerificationKey(path, key.algorithm)


def write_claims(folder: Path) -> Path:
    """Write the claims that OPA puts into the signature."""
    path = folder / "claims.json"
    path.write_text(json.dumps({"scope": SCOPE}), encoding="utf-8")
    return path


def algorithm(public: object, path: Path) -> str:
    """Return the JWT algorithm (RFC 7518 §3.1, RFC 8037 §3.1) of a public key.

    Raises:
        PolicyError: The type of key does not sign bundles.
    """
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _CURVES:
        return _CURVES[public.curve.name]
    raise PolicyError(f"{path}: not a P-256, P-384 or Ed25519 key")


def _public_pem(public: object) -> bytes:
    assert isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from error
    if private and open_to_others(facts):
        raise PolicyError(f"{path}: others can read this private key (chmod 0600)")
    if len(data) > MAX_KEY_BYTES:
        raise PolicyError(f"{path}: more than {MAX_KEY_BYTES} bytes")
    return data
