"""Verifies batches of signatures from its input, as a process of ``signature_pool``.

A batch is its length and a pickled list of ``Signed``; the answer is a byte for each. It ends with
its input. What it reads comes from the process that started it, and from nobody else.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
from typing import NamedTuple

from sidecar.core.keys import PublicKey

HEAD = struct.Struct(">Q")
_NICER = 5
"""Calls that are being decided come first."""


class Signed(NamedTuple):
    """One signature, and the key that it is tried with.

    Attributes:
        pem: The key, as ``PublicKey.pem``.
        signature: Its bytes.
        message: What is signed: the pre-authentication encoding.
    """

    pem: str
    signature: bytes
    message: bytes


def verified(batch: list[tuple[str, bytes, bytes]]) -> bytes:
    """Return a byte for each signature: 1 where it is the key's over the message, else 0."""
    return bytes(
        PublicKey.from_pem(pem).verifies(signature, message) for pem, signature, message in batch
    )


def main() -> None:
    """Answer batch after batch."""
    os.nice(_NICER)
    source, to = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD.size)) == HEAD.size:
        (length,) = HEAD.unpack(head)
        to.write(verified(pickle.loads(source.read(length))))  # noqa: S301 - of the gate itself
        to.flush()


if __name__ == "__main__":
    main()
