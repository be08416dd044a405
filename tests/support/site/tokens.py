"""JWTs made by hand, the way an attacker would: any header, any claims, any signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from admissibility_devtools.demo.authorities import PROD, now
from admissibility_devtools.demo.stage import AUDIENCE

KID = "demo-1"


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good JWT-SVID, with changes; null leaves one out."""
    issued = int(now().timestamp())
    value = {"sub": PROD, "aud": [AUDIENCE], "iat": issued, "exp": issued + 600, **changes}
    return {name: item for name, item in value.items() if item is not None}


def header(**changes: Any) -> dict[str, Any]:
    """The header of a good JWT-SVID, with changes; null leaves one out."""
    value = {"alg": "ES256", "typ": "JWT", "kid": KID, **changes}
    return {name: item for name, item in value.items() if item is not None}


def signing_input(head: dict[str, Any], body: dict[str, Any]) -> str:
    """Header and claims in base64url."""
    return ".".join(_encoded(json.dumps(part).encode()) for part in (head, body))


def es256(key: ec.EllipticCurvePrivateKey, head: dict[str, Any], body: dict[str, Any]) -> str:
    """A token that is really signed."""
    text = signing_input(head, body)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def hs256(secret: bytes, head: dict[str, Any], body: dict[str, Any]) -> str:
    """A token signed with a shared secret."""
    text = signing_input(head, body)
    return f"{text}.{_encoded(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The published half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
