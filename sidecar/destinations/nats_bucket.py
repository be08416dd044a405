"""Publishes to NATS JetStream: a repository to a key-value bucket, evidence to its object store.

The listing of evidence can be larger than a message: it is an object named by its digest, and the
key ``evidence/index.json``, which names it, is what is replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from sidecar.destinations.destination import EVIDENCE, MAX_BYTES, ChangedError, PlaceError
from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import INDEX_FILE, BadIndexError, file_name, listing_name
from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import ConflictError, JetStreamError, MissingError, NoBucketError
from sidecar.jetstream.session import NatsLimits

LIMITS = NatsLimits(total=120)
_LISTING = f"{EVIDENCE}/{INDEX_FILE}"
_Result = TypeVar("_Result")


class NatsDestination:
    """A folder of a bucket, which is made if needed; see ``destination.Destination``."""

    def __init__(self, config: NatsConfig) -> None:
        self._bucket = Bucket(config, LIMITS)
        self._url = config.url
        self._revisions: dict[str, int] = {}

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        try:
            if self._is_object(name):
                return self._done(lambda: self._bucket.get_object(name, MAX_BYTES))
            found = self._done(lambda: self._bucket.get(name, MAX_BYTES))
        except MissingError:
            self._revisions[name] = self._done(lambda: self._bucket.revision(name))
            return None
        self._revisions[name] = found.revision
        return found.data if name != _LISTING else self._listing(found.data)

    def write(self, name: str, data: bytes) -> None:
        """Write a key or an object."""
        if name == _LISTING:
            self._put_listing(data, None)
        elif self._is_object(name):
            self._done(lambda: self._bucket.put_object(name, data))
        else:
            self._done(lambda: self._bucket.put(name, data))

    def replace(self, name: str, data: bytes) -> None:
        """Write a key at the revision that was read."""
        revision = self._revisions.pop(name, None)
        if name == _LISTING:
            self._put_listing(data, revision)
        else:
            self._done(lambda: self._bucket.put(name, data, revision))

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names and sizes of objects; a repository's keys have none."""
        return self._done(lambda: self._bucket.sizes(folder))

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of a repository's keys in a folder."""
        return self._done(lambda: self._bucket.names(folder))

    def written(self, name: str) -> float:
        """Return when a key was written, by the server's clock."""
        try:
            return self._done(lambda: self._bucket.get(name, MAX_BYTES)).written
        except MissingError as error:
            raise PlaceError(self._url, str(error)) from error

    def remove(self, name: str) -> None:
        """Remove a key or an object."""
        if self._is_object(name):
            self._done(lambda: self._bucket.delete_object(name))
        else:
            self._done(lambda: self._bucket.delete(name))

    def close(self) -> None:
        """Close the connection."""
        self._bucket.close()

    def _is_object(self, name: str) -> bool:
        return name.startswith(f"{EVIDENCE}/") and name != _LISTING

    def _listing(self, pointer: bytes) -> bytes | None:
        """Return the listing that a key names; None where it is lost, to be rewritten."""
        try:
            digest, size = evidence_index.read_pointer(pointer)
            name = f"{EVIDENCE}/{listing_name(digest)}"
            data = self._done(lambda: self._bucket.get_object(name, size))
        except (BadIndexError, MissingError):
            return None
        return data if hashlib.sha256(data).hexdigest() == digest else None

    def _put_listing(self, data: bytes, revision: int | None) -> None:
        """Write a listing, name it, and remove those that readers have no use for."""
        digest = hashlib.sha256(data).hexdigest()
        try:
            before = self._done(lambda: self._bucket.get(_LISTING, evidence_index.MAX_POINTER)).data
        except MissingError:
            before = b""
        self._done(lambda: self._bucket.put_object(f"{EVIDENCE}/{listing_name(digest)}", data))
        pointer = evidence_index.write_pointer(data)
        self._done(lambda: self._bucket.put(_LISTING, pointer, revision))
        kept = {file_name(each[:64].decode("ascii", "replace")) for each in (before, pointer)}
        folder = f"{EVIDENCE}/{evidence_index.LISTINGS}"
        for name in self.sizes(folder).keys() - kept:
            self.remove(f"{folder}/{name}")

    def _done(self, work: Callable[[], _Result]) -> _Result:
        """Do something, once more where the bucket had to be made first.

        Raises:
            MissingError: There is no such key or object.
            PlaceError: Anything else.
        """
        try:
            try:
                return work()
            except NoBucketError:
                self._bucket.create()
                return work()
        except MissingError:
            raise
        except ConflictError as error:
            raise ChangedError(self._url, str(error)) from error
        except JetStreamError as error:
            raise PlaceError(self._url, str(error)) from error
