"""The key of a registry: one Ed25519 private key in a file, shared by gates that share a folder.

Created once, whole and never overwritten; refused where anybody else could use it. A second secret
is derived from it, for notes that the gate hands itself through Envoy: so gates that share the key
understand each other's, and nobody else can write one.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sidecar.core.keys import PublicKey
from sidecar.durable.files import sync_folder, write_private
from sidecar.registry.errors import RegistryError

MAX_KEY_BYTES = 1 << 16
_NOTES = b"urn:admissibility:registration:notes:v1"


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """An opened key; neither half of it is ever printed.

    Attributes:
        public: What registrations are verified with.
        notes: 32 bytes for authenticating notes.
    """

    public: PublicKey
    notes: bytes = field(repr=False)
    _private: ed25519.Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """A raw Ed25519 signature over ``message``."""
        return self._private.sign(message)


def open_or_create(path: Path) -> RegistryKey:
    """Open the key file, or create it where there is none.

    Raises:
        RegistryError: It can neither be read nor created, somebody else may use it, or it is not
            an Ed25519 key.
    """
    try:
        if not path.exists():
            _create(path)
        return _open(path)
    except OSError as error:
        raise RegistryError(f"registration key {path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write a new key beside ``path`` and link it there, so that nobody ever reads half of one.

    Two gates may start at once: ``link`` fails where the other one was first, and its key counts.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(beside, pem)
    try:
        os.link(beside, path, follow_symlinks=False)
    except FileExistsError:
        return
    finally:
        beside.unlink()
    sync_folder(path.parent)


def _open(path: Path) -> RegistryKey:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in its place must not hold us up
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_private(path, os.fstat(file.fileno()))  # what was checked is what is read
        pem = file.read(MAX_KEY_BYTES)
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RegistryError(
            f"registration key {path}: no private key without a password"
        ) from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise RegistryError(f"registration key {path}: not an Ed25519 key")
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=_NOTES).derive(private.private_bytes_raw())
    return RegistryKey(PublicKey.from_pem(public.decode("ascii")), derived, private)


def _check_private(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise RegistryError(f"registration key {path}: not a regular file")
    if facts.st_mode & 0o077:
        raise RegistryError(
            f"registration key {path}: mode {stat.S_IMODE(facts.st_mode):04o}, so group or others"
            " may use it; chmod 0600 it"
        )
    if facts.st_uid not in {0, os.geteuid()}:
        raise RegistryError(f"registration key {path}: belongs to another user")
