"""Verifies batches of signatures from its input, as a process of ``signature_pool``.

A batch is its length and a marshalled list of ``Signed``; the answer is a byte for each. It ends
with its input. It reads only from the process that started it.

It imports only what Ed25519 needs: starting these processes was a tenth of a first load of a few
thousand files.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Signed = tuple[bytes | str, bytes, bytes]
"""A key (the 32 bytes of Ed25519, or the PEM of another kind), a signature, and what is signed:
the pre-authentication encoding."""

HEAD_BYTES = 8
_NICER = 5
"""Calls that are being decided come first."""
_MOST_KEYS = 4_096

Verify = Callable[[bytes, bytes], object]
"""Takes a signature and a message; raises ``InvalidSignature``."""


class Verifier:
    """Verifies signatures; keeps the keys, as a few of them sign nearly everything."""

    def __init__(self) -> None:
        self._keys: dict[bytes | str, Verify] = {}

    def verified(self, batch: Sequence[Signed]) -> bytes:
        """Return a byte for each signature: 1 where it is the key's over the message, else 0."""
        answers, keys = bytearray(), self._keys
        for key, signature, message in batch:
            verify = keys.get(key) or self._load(key)
            try:
                verify(signature, message)
            except InvalidSignature:
                answers.append(0)
            else:
                answers.append(1)
        return bytes(answers)

    def _load(self, key: bytes | str) -> Verify:
        if len(self._keys) >= _MOST_KEYS:
            self._keys.clear()
        if isinstance(key, bytes):
            verify: Verify = Ed25519PublicKey.from_public_bytes(key).verify
        else:
            verify = _other(key)
        self._keys[key] = verify
        return verify


def _other(pem: str) -> Verify:
    # What PEM and other kinds of keys take doubles the start of the process.
    from sidecar.core.keys import PublicKey  # noqa: PLC0415

    key = PublicKey.from_pem(pem)

    def verify(signature: bytes, message: bytes) -> None:
        if not key.verifies(signature, message):
            raise InvalidSignature

    return verify


def main() -> None:
    """Answer batch after batch."""
    os.nice(_NICER)
    verifier, source, to = Verifier(), sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD_BYTES)) == HEAD_BYTES:
        batch = marshal.loads(source.read(int.from_bytes(head, "big")))  # noqa: S302 - our own
        to.write(verifier.verified(batch))
        to.flush()
