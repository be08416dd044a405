"""Keys that sign bundles, as an operator would make them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def write_pair(folder: Path, name: str, private: Private | None = None) -> tuple[Path, Path]:
    """Write a key pair in PEM; return the private and the public file."""
    key = private or ec.generate_private_key(ec.SECP256R1())
    secret, public = folder / f"{name}.key.pem", folder / f"{name}.pub.pem"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return secret, public
