"""Keeps what an authority signed itself from being replaced by an older version of it.

A TUF client compares the versions of targets metadata through the snapshot that lists them, and
forgets the snapshot once a newer root replaces the key of timestamp or snapshot (TUF specification
5.3.11: recovery from a fast-forward). Then nothing is left to compare with, and a new online key
alone could list targets metadata from before a withdrawal. But a withdrawal is signed by the
targets keys, so only they may take it back (law 1).

So a version that was verified is a floor for as long as a key that signed it is a key of the role.
Replacing the keys that signed a version ends it, which is the recovery from a fast-forward by them.
Nor does such a version come with two contents: then two copies of the authority's home publish, as
after one was restored from a backup, and one of them lacks what the other withdrew. Of timestamp
and snapshot a TUF client keeps the first content without a word (5.4.2, 5.5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, Snapshot, Targets, Timestamp


class TwoContentsError(RepositoryError):
    """One version of some metadata was signed twice, with different contents."""


def check(role: str, keys: Iterable[Key], before: Iterable[bytes], found: bytes) -> None:
    """Refuse metadata older than what was verified before, or of its version with other content.

    Args:
        role: Its name, for the error.
        keys: The role's keys now.
        before: Metadata of the role that was verified before.
        found: Metadata of the role that verified now.

    Raises:
        TwoContentsError: It has the version of metadata that one of ``keys`` signed, and is other.
        RepositoryError: It is older than metadata that one of ``keys`` signed.
    """
    new, keys = _read(found), tuple(keys)
    version = new.signed.version
    for data in before:
        earlier = _read(data)
        floor = earlier.signed.version
        if floor < version or earlier.signed_bytes == new.signed_bytes:
            continue
        if not any(_signed(earlier, key) for key in keys):
            continue
        if floor == version:
            raise _two_contents(role, version)
        raise RepositoryError(
            f"{role} version {version} must be >= {floor}, which was verified"
            " before and is signed by a key that the role still has; publish a newer version"
        )


def check_listing(held: Mapping[str, bytes], fetched: bytes | None) -> None:
    """Refuse a timestamp or snapshot of the version that was verified before with other content.

    Args:
        held: Role → the newest metadata that verified, after an update.
        fetched: The timestamp that the source had; it verified.

    Raises:
        TwoContentsError: The source has another one of that version.
    """
    timestamp = Metadata[Timestamp].from_bytes(held["timestamp"])
    if fetched is not None and fetched != held["timestamp"]:
        found = Metadata[Timestamp].from_bytes(fetched)
        if found.signed_bytes != timestamp.signed_bytes:
            raise _two_contents("timestamp", found.signed.version)
    listed = timestamp.signed.snapshot_meta
    snapshot = Metadata[Snapshot].from_bytes(held["snapshot"]).signed
    try:
        listed.verify_length_and_hashes(held["snapshot"])
    except LengthOrHashMismatchError as error:
        if snapshot.version == listed.version:
            raise _two_contents("snapshot", snapshot.version) from error
        raise


def _two_contents(role: str, version: int) -> TwoContentsError:
    return TwoContentsError(
        f"{role} version {version} was verified before with other content: two copies of"
        " the authority's home publish; compare what they withdraw, and publish a newer"
        " version from one that has all of it"
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
