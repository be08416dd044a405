"""Plays the SPIFFE issuer of the demo's trust domain: signs JWT-SVIDs (JWT-SVID §2, §3)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

LIFETIME = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trust domain's signing key; real issuers rotate theirs every few hours."""

    trust_domain: str
    key_id: str = "demo-1"
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JWK Set (RFC 7517 §5), as the customer publishes it."""
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": self.key_id, "use": "jwt-svid", "alg": "ES256"}]}

    def svid(self, spiffe_id: str, audience: str, now: datetime) -> str:
        """Sign a JWT-SVID for one workload and one audience."""
        claims = {
            "sub": spiffe_id,
            "aud": [audience],
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self.key_id})
