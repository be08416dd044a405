"""A file that is no usable key is named by what it is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from sidecar.core.key_material import describe

ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
SECRET = BestAvailableEncryption(b"secret")


def private(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    *,
    encrypted: bool = False,
) -> str:
    return key.private_bytes(Encoding.PEM, form, SECRET if encrypted else NoEncryption()).decode()


def public(
    key: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | x25519.X25519PrivateKey,
    form: PublicFormat = PublicFormat.SubjectPublicKeyInfo,
    encoding: Encoding = Encoding.PEM,
) -> str:
    return key.public_key().public_bytes(encoding, form).decode("utf-8", errors="replace")


HALF = "(its public half: openssl pkey -in FILE -pubout)"
SSH = "(convert it: ssh-keygen -e -m PKCS8 -f FILE)"
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


FILES = [
    ("\ufeff \n", "an empty file"),
    ("hello", "text without a PEM block"),
    (public(ed448.Ed448PrivateKey.generate()), "a public key, Ed448"),
    (public(x25519.X25519PrivateKey.generate()), "a public key, X25519"),
    (private(ED25519), f"a private key, Ed25519 {HALF}"),
    (
        PARAMETERS + private(P256, PrivateFormat.TraditionalOpenSSL),
        f"a private key, ECDSA on secp256r1 {HALF}",
    ),
    (
        private(rsa.generate_private_key(65537, 2048)),
        f"a private key, RSA with 2048 bits {HALF}",
    ),
    (
        private(ED25519, encrypted=True),
        "an encrypted private key (decrypt it: openssl pkey -in FILE)",
    ),
    (
        private(P256, PrivateFormat.TraditionalOpenSSL, encrypted=True),
        "an encrypted private key (decrypt it: openssl pkey -in FILE)",
    ),
    (
        private(ED25519, PrivateFormat.OpenSSH),
        "an OpenSSH private key (create one as PKCS#8: openssl genpkey)",
    ),
    (
        public(ED25519, PublicFormat.OpenSSH, Encoding.OpenSSH),
        f"an OpenSSH public key {SSH}",
    ),
    (
        public(ED25519, encoding=Encoding.DER),
        "binary data (DER? convert it: openssl pkey -inform DER, with -pubin if public)",
    ),
    (
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "a certificate (its public key: openssl x509 -in FILE -noout -pubkey)",
    ),
    (
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "a PEM block PUBLIC KEY that cannot be read",
    ),
    (
        "0\0also where it is UTF-8",
        "binary data (DER? convert it: openssl pkey -inform DER, with -pubin if public)",
    ),
    ("-----BEGIN X509 CRL-----\n", "a PEM block X509 CRL"),
    ('{"kty": "OKP"}', "a JWK (convert it to PEM)"),
    ('{"dsseEnvelope": {}}', "a Sigstore bundle"),
    ('{"a": 1}', "JSON"),
    (
        public(ED25519) + "-----BEGIN CERTIFICATE-----\n",
        "2 PEM blocks (PUBLIC KEY, CERTIFICATE); give a file with one",
    ),
]


# The keys differ in each process; the names of the tests must not.
@pytest.mark.parametrize(("text", "found"), FILES, ids=[found for _, found in FILES])
def test_what_was_given_as_a_key_is_named(text: str, found: str) -> None:
    assert describe(text) == found
