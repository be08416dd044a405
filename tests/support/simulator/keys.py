"""Real key pairs and a DSSE signer of the simulator's own."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519


@dataclass(frozen=True)
class SimKey:
    """A private key with its fingerprint and PEM public key."""

    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def ed25519(cls) -> SimKey:
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def p256(cls) -> SimKey:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @cached_property
    def pem(self) -> str:
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    @cached_property
    def fingerprint(self) -> str:
        der = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return "sha256:" + hashlib.sha256(der).hexdigest()

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))


@cache
def first_key(name: str) -> SimKey:
    """The key that an authority of this name has in every world of this process, until it rotates.

    What worlds have in common is then the same bytes, whose signatures need be verified once.
    """
    return SimKey.ed25519()


def pae(payload_type: bytes, payload: bytes) -> bytes:
    """The DSSE pre-authentication encoding, straight from its specification."""
    sizes = [str(len(part)).encode() for part in (payload_type, payload)]
    return b" ".join([b"DSSEv1", sizes[0], payload_type, sizes[1], payload])


def envelope(
    payload: bytes, *keys: SimKey, payload_type: str = "application/vnd.in-toto+json"
) -> bytes:
    """A DSSE envelope over ``payload`` signed by every key."""
    message = pae(payload_type.encode(), payload)
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": key.fingerprint, "sig": base64.b64encode(key.sign(message)).decode()}
                for key in keys
            ],
        }
    ).encode()
