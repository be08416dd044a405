"""NKeys and `.creds` files, as NATS's own tools make them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3


def _text(raw: bytes) -> str:
    crc = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + crc).decode().rstrip("=")


def _pair(kind: int) -> tuple[Ed25519PrivateKey, str, str]:
    """A key, its seed and its public key."""
    key = Ed25519PrivateKey.generate()
    prefix = bytes([SEED | kind >> 5, (kind & 31) << 3])
    return key, _text(prefix + key.private_bytes_raw()), public(key, kind)


def public(key: Ed25519PrivateKey, kind: int) -> str:
    return _text(bytes([kind]) + key.public_key().public_bytes_raw())


def nkey() -> tuple[str, str]:
    """A user's seed and public key."""
    _, seed, name = _pair(USER)
    return seed, name


def _jwt(signer: Ed25519PrivateKey, issuer: str, subject: str, nats: dict[str, Any]) -> str:
    claims = {"iat": int(time.time()), "iss": issuer, "sub": subject, "name": "x", "nats": nats}
    claims["jti"] = (
        base64.b32encode(hashlib.sha512(json.dumps(claims).encode()).digest()[:32])
        .decode()
        .rstrip("=")
    )
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in (head, claims)
    ]
    signature = signer.sign(".".join(parts).encode())
    return ".".join((*parts, base64.urlsafe_b64encode(signature).decode().rstrip("=")))


def creds() -> tuple[str, str]:
    """Settings of a server with an operator and an account, and a user's `.creds` file."""
    operator, _, operator_name = _pair(OPERATOR)
    account, _, account_name = _pair(ACCOUNT)
    _, _, system_name = _pair(ACCOUNT)
    _, user_seed, user_name = _pair(USER)
    limits = {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1,
        "consumer": -1,
    }  # fmt: skip
    operator_jwt = _jwt(operator, operator_name, operator_name, {"type": "operator", "version": 2})
    account_jwt = _jwt(
        operator, operator_name, account_name, {"type": "account", "version": 2, "limits": limits}
    )
    system = _jwt(operator, operator_name, system_name, {"type": "account", "version": 2})
    user = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    user_jwt = _jwt(account, account_name, user_name, user | {"pub": {}, "sub": {}})
    settings = (
        f"operator: {operator_jwt}\nresolver: MEMORY\n"
        f"system_account: {system_name}\n"
        f"resolver_preload: {{ {account_name}: {account_jwt}\n{system_name}: {system} }}\n"
    )
    return settings, (
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user_seed}\n------END USER NKEY SEED------\n"
    )
