"""Keeps what an authority signed itself from being replaced by an older version of it.

A TUF client compares the versions of targets metadata through the snapshot that lists them, and
forgets the snapshot once a newer root replaces the key of timestamp or snapshot (TUF specification
5.3.11: recovery from a fast-forward). Then nothing is left to compare with, and a new online key
alone could list targets metadata from before a withdrawal. But a withdrawal is signed by the
targets keys, so only they may take it back (law 1).

So a version that was verified is a floor for as long as a key that signed it is a key of the role.
Replacing the keys that signed a version ends it, which is the recovery from a fast-forward by them.
"""

from __future__ import annotations

from collections.abc import Iterable

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets


def check(role: str, keys: Iterable[Key], before: Iterable[bytes], found: bytes) -> None:
    """Refuse metadata of a lower version than was verified before.

    Args:
        role: Its name, for the error.
        keys: The role's keys now.
        before: Metadata of the role that was verified before.
        found: Metadata of the role that verified now.

    Raises:
        RepositoryError: It is older than metadata that one of ``keys`` signed.
    """
    version, keys = _read(found).signed.version, tuple(keys)
    for data in before:
        earlier = _read(data)
        if earlier.signed.version > version and any(_signed(earlier, key) for key in keys):
            raise RepositoryError(
                f"{role} version {version} must be >= {earlier.signed.version}, which was verified"
                " before and is signed by a key that the role still has; publish a newer version"
            )


def _read(data: bytes) -> Metadata[Targets]:
    return Metadata[Targets].from_bytes(data)


def _signed(document: Metadata[Targets], key: Key) -> bool:
    """Return whether a key signed it, under whatever id."""
    for each in document.signatures.values():
        try:
            key.verify_signature(Signature(key.keyid, each.signature), document.signed_bytes)
        except UnverifiedSignatureError:
            continue
        return True
    return False
