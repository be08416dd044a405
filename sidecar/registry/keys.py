"""Creates and opens the registry's Ed25519 private key, shared by gates that share a folder.

The file is created atomically, never overwritten, and refused if other users may read it. A second
secret is derived from it, for the MAC of admission tickets: gates that share the key verify each
other's tickets, and no other party can write one.
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
from sidecar.durable.private_files import open_to_others
from sidecar.registry.errors import RegistryError

MAX_KEY_BYTES = 1 << 16
_NOTES = b"urn:admissibility:registration:notes:v1"


@dataclass(frozen=True, slots=True)
class RegistryKey:
    """The registry's keys; the secret ones are not in its ``repr``.

    Attributes:
        public: Verifies registrations.
        ticket_key: 32 bytes for the MAC of admission tickets (HMAC-SHA256).
    """

    public: PublicKey
    ticket_key: bytes = field(repr=False)
    _private: ed25519.Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Sign ``message``; return the raw Ed25519 signature (64 bytes)."""
        return self._private.sign(message)


def open_or_create(path: Path, what: str = "registration key") -> RegistryKey:
    """Open the key file, or create it if there is none; ``what`` names it in errors.

    Raises:
        RegistryError: It can neither be read nor created, other users may use it, or it is not an
            Ed25519 private key.
    """
    try:
        if not path.exists():
            _create(path)
        return _open(path, what)
    except OSError as error:
        raise RegistryError(f"{what} {path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write a new key to a temporary file and link it to ``path``, so it is never read half.

    Two gates may start at once: ``link`` fails for the second, which then uses the first's key.
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


def _open(path: Path, what: str) -> RegistryKey:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # opening a FIFO must not block
    with os.fdopen(os.open(path, flags), "rb") as file:
        _check_private(path, what, os.fstat(file.fileno()))  # checks the opened file, not the path
        pem = file.read(MAX_KEY_BYTES)
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RegistryError(f"{what} {path}: not a PEM private key without a password") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise RegistryError(f"{what} {path}: not an Ed25519 key")
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=_NOTES).derive(private.private_bytes_raw())
    return RegistryKey(PublicKey.from_pem(public.decode("ascii")), derived, private)


def _check_private(path: Path, what: str, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise RegistryError(f"{what} {path}: not a regular file")
    if open_to_others(facts):
        raise RegistryError(
            f"{what} {path}: mode {stat.S_IMODE(facts.st_mode):04o}, so group or others"
            " may use it; chmod 0600 it"
        )
    if facts.st_uid not in {0, os.geteuid()}:
        raise RegistryError(
            f"{what} {path}: owned by another user; it must belong to the gate's user or root"
        )
