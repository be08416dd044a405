"""Project Wycheproof's signatures through the verifiers of evidence and JWT-SVIDs.

The vectors are in no package registry: ``WYCHEPROOF`` names a checkout of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sidecar.core.keys import PublicKey
from tests.support.tables import check_each

CHECKOUT = "WYCHEPROOF"
Verifier = Callable[[str, bytes, bytes], bool]


def evidence(pem: str, signature: bytes, message: bytes) -> bool:
    """As a DSSE signature is verified."""
    return PublicKey.from_pem(pem).verifies(signature, message)


def token(algorithm: str) -> Verifier:
    """As PyJWT, which verifies JWT-SVIDs, does for an algorithm."""

    def verify(pem: str, signature: bytes, message: bytes) -> bool:
        key = load_pem_public_key(pem.encode("ascii"))
        return bool(jwt.get_algorithm_by_name(algorithm).verify(message, key, signature))

    return verify


FILES: dict[str, Verifier] = {
    "ed25519": evidence,
    "ecdsa_secp256r1_sha256": evidence,
    "ecdsa_secp384r1_sha384": evidence,
    "ecdsa_secp256r1_sha256_p1363": token("ES256"),
    "ecdsa_secp384r1_sha384_p1363": token("ES384"),
}


def vectors(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key, as PEM, and each vector of a file."""
    for group in json.loads(file.read_text("utf-8"))["testGroups"]:
        for vector in group["tests"]:
            yield group["publicKeyPem"], vector


@pytest.mark.parametrize("name", FILES)
def test_a_signature_is_accepted_only_if_it_is_valid(name: str) -> None:
    checkout = os.environ.get(CHECKOUT)
    if not checkout:
        pytest.skip(f"{CHECKOUT} names no checkout of Project Wycheproof: it is not run")
    found = list(vectors(Path(checkout) / "testvectors_v1" / f"{name}_test.json"))
    assert len(found) > 100

    def check(row: tuple[str, dict[str, Any]]) -> None:
        pem, vector = row
        signature, message = bytes.fromhex(vector["sig"]), bytes.fromhex(vector["msg"])
        accepted = FILES[name](pem, signature, message)
        # "acceptable" is either; there is none of these kinds today.
        assert vector["result"] == "acceptable" or accepted == (vector["result"] == "valid")

    check_each(found, check, lambda row: f"tcId {row[1]['tcId']}: {row[1]['comment']}")
