"""A key is its SubjectPublicKeyInfo: one key under two texts is one, and others are refused."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError

Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def pem(private: Private | rsa.RSAPrivateKey | ed448.Ed448PrivateKey) -> str:
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def signed(private: Private, message: bytes) -> bytes:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    wide = private.curve.name == "secp384r1"
    return private.sign(message, ec.ECDSA(hashes.SHA384() if wide else hashes.SHA256()))


@pytest.mark.parametrize(
    "private",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["ed25519", "p-256", "p-384"],
)
def test_a_key_verifies_its_own_signature_over_these_bytes_and_no_other(private: Private) -> None:
    key = PublicKey.from_pem(pem(private))
    signature = signed(private, b"statement")
    found = [
        key.verifies(signature, b"statement"),
        key.verifies(signature, b"statement."),
        key.verifies(signature[:-1] + bytes([signature[-1] ^ 1]), b"statement"),
        key.verifies(b"", b"statement"),
    ]
    assert found == [True, False, False, False]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        assert key.raw == private.public_key().public_bytes_raw()
    else:
        assert key.raw == b""


def test_one_key_in_two_texts_has_one_fingerprint() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = PublicKey.from_pem(pem(private))
    again = PublicKey.from_pem("a comment before\n" + pem(private).replace("\n", "\r\n"))
    assert key.fingerprint == "sha256:" + hashlib.sha256(der).hexdigest()
    assert again == key


EXPECTED = "expected one PEM public key, Ed25519 or ECDSA on P-256 or P-384; found "


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "an empty file"),
        (pem(ec.generate_private_key(ec.SECP521R1())), "a public key, ECDSA on secp521r1"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "a public key, ECDSA on secp256k1"),
        (pem(rsa.generate_private_key(65537, 2048)), "a public key, RSA with 2048 bits"),
        (pem(ed448.Ed448PrivateKey.generate()), "a public key, Ed448"),
        (
            pem(ed25519.Ed25519PrivateKey.generate()) * 2,
            "2 PEM blocks (PUBLIC KEY, PUBLIC KEY); give a file with one",
        ),
    ],
    ids=["nothing", "p-521", "secp256k1", "rsa", "ed448", "two"],
)
def test_any_other_key_is_refused_by_what_it_is(text: str, found: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        PublicKey.from_pem(text)
    assert str(caught.value) == EXPECTED + found
