"""Public keys, named by the SHA-256 of their SubjectPublicKeyInfo.

A key id is chosen freely; a fingerprint identifies the key. Everything that counts keys counts
fingerprints (CVE class: one key under two ids counted twice).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sidecar.core.key_material import blocks, describe
from sidecar.core.reasons import EvidenceError

_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An attestation public key.

    Attributes:
        fingerprint: ``sha256:`` and the lower-case hex SHA-256 of the DER SubjectPublicKeyInfo
            (RFC 5280 §4.1.2.7).
        pem: The key as PEM SubjectPublicKeyInfo, for people and for other tools.
        raw: The 32 bytes of an Ed25519 key (RFC 8032 §5.1.5); empty for another kind.
    """

    fingerprint: str
    pem: str
    raw: bytes = field(repr=False, compare=False)
    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey = field(repr=False, compare=False)

    @classmethod
    @lru_cache(maxsize=4096)  # every trust state reads the same keys again
    def from_pem(cls, pem: str) -> PublicKey:
        """Read a PEM SubjectPublicKeyInfo: Ed25519, or ECDSA on P-256 or P-384.

        Raises:
            EvidenceError: Not such a key.
        """
        try:
            if len(blocks(pem)) > 1:  # ambiguous
                raise ValueError("more than one PEM block")
            key = serialization.load_pem_public_key(pem.encode("utf-8", errors="replace"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise EvidenceError(_refusal(pem)) from error
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
            raise EvidenceError(_refusal(pem))
        if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
            raise EvidenceError(_refusal(pem))
        der = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        canonical = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        raw = key.public_bytes_raw() if isinstance(key, ed25519.Ed25519PublicKey) else b""
        return cls("sha256:" + hashlib.sha256(der).hexdigest(), canonical.decode("ascii"), raw, key)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether ``signature`` (raw Ed25519, or DER ECDSA) of ``message`` is this key's."""
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ec.ECDSA(_CURVES[self._key.curve.name]))
        except InvalidSignature:
            return False
        return True


def _refusal(pem: str) -> str:
    return f"expected one PEM public key, Ed25519 or ECDSA on P-256 or P-384; found {describe(pem)}"
