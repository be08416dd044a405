"""Reads the files with which a client authenticates to a NATS server, and signs its nonce.

The files are read for each connection, so that rotated ones are used. An NKey seed is the base32
text of two prefix bytes, the 32 bytes of an Ed25519 seed and a CRC-16 (NATS ADR-14); ``nats-py``
needs PyNaCl to sign with one, and reads a ``.creds`` file without a JWT for ever.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import JetStreamError

_MAX_BYTES = 1 << 16
_USER_SEED = 18 << 3, 20 << 3
"""Prefixes of a seed, and of a user's public key."""
_SEED_BYTES = 2 + 32 + 2
_JWT = re.compile(r"-+BEGIN NATS USER JWT-+\s+([A-Za-z0-9_.-]+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-+BEGIN USER NKEY SEED-+\s+([A-Z2-7]+)\s+-+END USER NKEY SEED-+")


@dataclass(frozen=True, slots=True)
class Login:
    """What is sent with CONNECT.

    Attributes:
        key: Signs the server's nonce.
        jwt: Of the user.
        public_key: Of an NKey without a JWT.
        user: Name.
        password: Of the user.
    """

    key: Ed25519PrivateKey | None = None
    jwt: str | None = None
    public_key: str | None = None
    user: str | None = None
    password: str | None = None

    def signature(self, nonce: str) -> bytes:
        """Return the base64 signature of the server's nonce."""
        assert self.key is not None
        return base64.b64encode(self.key.sign(nonce.encode()))


def read(config: NatsConfig) -> Login:
    """Read the login of a configuration.

    Raises:
        JetStreamError: A file cannot be read, or is not what it should be; shows nothing of it.
    """
    if config.credentials is not None:
        text = _text(config.credentials)
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            raise JetStreamError(f"{config.credentials}: is no .creds file with a JWT and a seed")
        return Login(key=_key(config.credentials, seed[1]), jwt=jwt[1])
    if config.nkey is not None:
        key = _key(config.nkey, _text(config.nkey).strip())
        return Login(key=key, public_key=_public(key))
    if config.user is not None:
        user, colon, password = _text(config.user).strip().partition(":")
        if not user or not colon or not password or not f"{user}{password}".isprintable():
            raise JetStreamError(f"{config.user}: is not one line USER:PASSWORD")
        return Login(user=user, password=password)
    return Login()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise JetStreamError(f"{path}: is larger than {_MAX_BYTES} bytes")
        return data.decode("ascii")
    except OSError as error:
        raise JetStreamError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise JetStreamError(f"{path}: has other characters than ASCII") from error


def _key(path: Path, seed: str) -> Ed25519PrivateKey:
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raw = b""
    if len(raw) == _SEED_BYTES and _crc(raw[:-2]) == raw[-2:]:
        kind = (raw[0] & 7) << 5 | raw[1] >> 3
        if (raw[0] & 0xF8, kind) == _USER_SEED:
            return Ed25519PrivateKey.from_private_bytes(raw[2:-2])
    raise JetStreamError(f"{path}: has no NKey seed of a user, 58 characters that begin with SU")


def _public(key: Ed25519PrivateKey) -> str:
    raw = bytes([_USER_SEED[1]]) + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b32encode(raw + _crc(raw)).decode().rstrip("=")


def _crc(data: bytes) -> bytes:
    """CRC-16/XMODEM, least significant byte first."""
    return binascii.crc_hqx(data, 0).to_bytes(2, "little")
