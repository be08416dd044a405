"""Names what a text that should be one key is instead, for error messages."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

_BLOCK = re.compile(r"^-----BEGIN ([A-Z0-9][A-Z0-9 ]*)-----", re.MULTILINE)

_PARAMETERS = "EC PARAMETERS"
"""``openssl ecparam -genkey`` writes this block before the key; it holds no key."""

_LABELS = {
    "CERTIFICATE": "a certificate (its public key: openssl x509 -in FILE -noout -pubkey)",
    "CERTIFICATE REQUEST": "a certificate request (its public key: openssl req -in FILE -noout "
    "-pubkey)",
    "OPENSSH PRIVATE KEY": "an OpenSSH private key (create one as PKCS#8: openssl genpkey)",
    "SSH2 PUBLIC KEY": "an SSH public key (convert it: ssh-keygen -e -m PKCS8 -f FILE)",
    "ENCRYPTED PRIVATE KEY": "an encrypted private key (decrypt it: openssl pkey -in FILE)",
    "ENCRYPTED SIGSTORE PRIVATE KEY": "an encrypted cosign private key",
    "ENCRYPTED COSIGN PRIVATE KEY": "an encrypted cosign private key",
    "PGP PUBLIC KEY BLOCK": "an OpenPGP public key",
    "PGP PRIVATE KEY BLOCK": "an OpenPGP private key",
    "RSA PUBLIC KEY": "an RSA public key in PKCS#1",
}
_STARTS = {
    "ssh-": "an OpenSSH public key (convert it: ssh-keygen -e -m PKCS8 -f FILE)",
    "ecdsa-sha2-": "an OpenSSH public key (convert it: ssh-keygen -e -m PKCS8 -f FILE)",
    "sk-": "an OpenSSH public key of a security key",
    "PuTTY-User-Key-File": "a PuTTY key",
}


def blocks(text: str) -> list[str]:
    """Return the label of each PEM block (RFC 7468 §2), without parameters of elliptic curves."""
    return [label for label in _BLOCK.findall(text) if label != _PARAMETERS]


def describe(text: str) -> str:
    """Describe what ``text`` holds, in a noun phrase with an article.

    Args:
        text: What was given as a key; undecodable bytes may be replaced.
    """
    labels = blocks(text)
    if len(labels) > 1:
        return f"{len(labels)} PEM blocks ({', '.join(labels)}); give a file with one"
    return _block(text, labels[0]) if labels else _without_block(text.lstrip("\ufeff \t\r\n"))


def _without_block(text: str) -> str:
    if not text:
        return "an empty file"
    for prefix, meaning in _STARTS.items():
        if text.startswith(prefix):
            return meaning
    if text.startswith("{"):
        return _json(text)
    if "\ufffd" in text or "\0" in text:
        return "binary data (DER? convert it: openssl pkey -inform DER, with -pubin if public)"
    return "text without a PEM block"


def _block(text: str, label: str) -> str:
    if label.endswith("PRIVATE KEY") and "Proc-Type: 4,ENCRYPTED" in text:
        return _LABELS["ENCRYPTED PRIVATE KEY"]
    if label in _LABELS:
        return _LABELS[label]
    private = label.endswith("PRIVATE KEY")
    if not private and label != "PUBLIC KEY":
        return f"a PEM block {label}"
    data = text.encode("utf-8", errors="replace")
    try:
        key: object = (
            serialization.load_pem_private_key(data, None)
            if private
            else serialization.load_pem_public_key(data)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"a PEM block {label} that cannot be read"
    if private:
        return f"a private key, {_kind(key)} (its public half: openssl pkey -in FILE -pubout)"
    return f"a public key, {_kind(key)}"


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return f"ECDSA on {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"RSA with {key.key_size} bits"
    return type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey")


def _json(text: str) -> str:
    if '"kty"' in text:
        return "a JWK (convert it to PEM)"
    if '"dsseEnvelope"' in text or '"verificationMaterial"' in text:
        return "a Sigstore bundle"
    return "JSON"
