"""Signatures are verified once for each key, signature and message, not for each trust state.

Most tests of the core ask several questions of a world, or of worlds that differ in one thing, and
each time the whole state is built from the bytes. Trying every key on every signature took half of
the time of these tests. ``PublicKey.verifies`` is a function of its arguments, so an answer holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sidecar.core.keys import PublicKey

_KEPT = 1 << 16
Signed = tuple[str, bytes, bytes]
"""A key's fingerprint, a signature, and the SHA-256 of the message."""


@contextmanager
def verified_once() -> Iterator[None]:
    """Remember what ``PublicKey.verifies`` answers while the context lasts."""
    real, answers = PublicKey.verifies, dict[Signed, bool]()

    def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
        at = (key.fingerprint, signature, hashlib.sha256(message).digest())
        if at not in answers:
            if len(answers) == _KEPT:
                answers.clear()
            answers[at] = real(key, signature, message)
        return answers[at]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PublicKey, "verifies", verifies)
        yield
