"""A folder in a key-value bucket and its object store, over one session.

Reads are answered by the stream's leader, never by a replica that may lag: what a notification
announced is there. An object is read message by message, so that reading makes no consumer on the
server; its digest is checked by the caller, who knows it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import ConflictError, JetStreamError, MissingError, NoBucketError
from sidecar.jetstream.session import LIMITS, NatsLimits, Session

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import RawStreamMsg
    from nats.js.object_store import ObjectStore

_NO_MESSAGE, _NO_STREAM = 10037, 10059
_WRONG_SEQUENCE = frozenset({10071, 10164})
_MAX_META = 1 << 14
_MAX_CHUNKS = 1 << 12
_NUID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WATCH_SECONDS = 300.0
"""How long the server keeps the subscription of a client that is gone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest value of a key.

    Attributes:
        data: Its bytes.
        revision: Grows with each change in the bucket.
        written: When, in seconds by the server's clock; 0 where the server does not say.
    """

    data: bytes
    revision: int
    written: float


class Bucket:
    """A folder in a bucket.

    Args:
        config: Where, and how client and server authenticate.
        limits: Of each call.
    """

    def __init__(self, config: NatsConfig, limits: NatsLimits = LIMITS) -> None:
        self.session = Session(config, limits)
        self._keys = f"KV_{config.bucket}"
        self._objects = f"OBJ_{config.bucket}"
        self._config = config

    def key(self, name: str) -> str:
        """Return the subject of a file's key: its folders and name, joined by dots."""
        parts = (*self._config.folder, *name.split("/"))
        return ".".join((f"$KV.{self._config.bucket}", *parts))

    def get(self, name: str, max_bytes: int) -> Entry:
        """Return the newest value of a file's key.

        Raises:
            MissingError: There is none.
            JetStreamError: Anything else, more than ``max_bytes`` included.
        """
        subject = self.key(name)

        async def work(js: JetStreamContext) -> Entry:
            with _named(name):
                found = await js.get_msg(self._keys, subject=subject)
            data = _data(found, subject)
            if (found.headers or {}).get("KV-Operation") is not None:
                raise MissingError(f"{name} is not there")
            if len(data) > max_bytes:
                raise JetStreamError(f"{name} is larger than {max_bytes} bytes")
            written = 0.0 if found.time is None else found.time.timestamp()
            return Entry(data, found.seq or 0, written)

        return self.session.call(name, work, max_bytes)

    def put(self, name: str, data: bytes, revision: int | None = None) -> None:
        """Write a key.

        Args:
            name: Of the file.
            data: The new value.
            revision: What it replaces; 0 where there is none; None for whatever is there.

        Raises:
            ConflictError: Another revision is there.
            JetStreamError: Anything else.
        """
        headers = (
            None if revision is None else {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        )

        async def work(js: JetStreamContext) -> None:
            with _named(name):
                await js.publish(self.key(name), data, stream=self._keys, headers=headers)

        self.session.call(name, work)

    def revision(self, name: str) -> int:
        """Return the revision of a key, deleted or not; 0 where it never was."""

        async def work(js: JetStreamContext) -> int:
            try:
                with _named(name):
                    return (await js.get_msg(self._keys, subject=self.key(name))).seq or 0
            except MissingError:
                return 0

        return self.session.call(name, work)

    def delete(self, name: str) -> None:
        """Remove a key and its history; one that is not there is no error.

        No marker is left, as a delete of key-value buckets leaves one for ever: nobody watches keys
        that are removed.
        """

        async def work(js: JetStreamContext) -> None:
            with _named(name):
                await js.purge_stream(self._keys, subject=self.key(name))

        self.session.call(name, work)

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the keys in a folder."""
        prefix = self.key(folder) + "."

        async def work(js: JetStreamContext) -> frozenset[str]:
            with _named(folder):
                found = await js.stream_info(self._keys, subjects_filter=f"{prefix}>")
            return frozenset(key.removeprefix(prefix) for key in found.state.subjects or ())

        return self.session.call(folder, work, _MAX_META * 4096)

    def watch(self, name: str) -> None:
        """Set ``session.changed`` at each further change of a key, over this connection.

        Raises:
            JetStreamError: The server does not let it.
        """
        changed = self.session.changed

        async def note(_: Msg) -> None:
            changed.set()

        async def work(js: JetStreamContext) -> None:
            from nats.js.api import DeliverPolicy  # noqa: PLC0415 - an extra

            with _named(name):
                await js.subscribe(
                    self.key(name),
                    stream=self._keys,
                    cb=note,
                    ordered_consumer=True,
                    deliver_policy=DeliverPolicy.NEW,
                    headers_only=True,
                    inactive_threshold=_WATCH_SECONDS,
                )

        self.session.call(name, work)

    def get_object(self, name: str, max_bytes: int) -> bytes:
        """Return an object's bytes, whose digest is not checked.

        Raises:
            MissingError: There is none.
            JetStreamError: Anything else, more than ``max_bytes`` included.
        """

        async def work(js: JetStreamContext) -> bytes:
            with _named(name):
                meta = await self._meta(js, name)
                if meta["size"] > max_bytes:
                    raise JetStreamError(f"{name} is larger than {max_bytes} bytes")
                return await self._chunks(js, name, meta["nuid"], meta["size"])

        return self.session.call(name, work, max_bytes + _MAX_META)

    def put_object(self, name: str, data: bytes) -> None:
        """Write an object; readers find the one before or this one."""

        async def work(js: JetStreamContext) -> None:
            with _named(name):
                store = self._store(js)
                await store.put(self._object(name), data)

        self.session.call(name, work)

    def delete_object(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""

        async def work(js: JetStreamContext) -> None:
            try:
                with _named(name):
                    store = self._store(js)
                    await store.delete(self._object(name))
            except MissingError:
                return

        self.session.call(name, work)

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return name → size in bytes of the objects that are directly in a folder."""
        prefix = self._object(f"{folder}/")

        async def work(js: JetStreamContext) -> dict[str, int]:
            with _named(folder):
                store = self._store(js)
                listed = await store.list(ignore_deletes=True)
            found = {
                each.name.removeprefix(prefix): each.size or 0
                for each in listed
                if each.name.startswith(prefix) and not each.deleted
            }
            return {name: size for name, size in found.items() if "/" not in name}

        try:
            return self.session.call(folder, work, _MAX_META * 4096)
        except MissingError:
            return {}

    def create(self) -> None:
        """Make the bucket and the object store where they are not there."""

        async def work(js: JetStreamContext) -> None:
            from nats.js.errors import NotFoundError  # noqa: PLC0415 - an extra

            bucket = self._config.bucket
            with _named(f"bucket {bucket}"):
                try:
                    await js.stream_info(self._keys)
                except NotFoundError:
                    await js.create_key_value(bucket=bucket, history=1)
                try:
                    await js.stream_info(self._objects)
                except NotFoundError:
                    await js.create_object_store(bucket=bucket)

        self.session.call(f"bucket {self._config.bucket}", work)

    def close(self) -> None:
        """Close the connection; the next call makes another."""
        self.session.close()

    def _store(self, js: JetStreamContext) -> ObjectStore:
        from nats.js.object_store import ObjectStore  # noqa: PLC0415 - an extra

        return ObjectStore(self._config.bucket, self._objects, js)

    def _object(self, name: str) -> str:
        return "/".join((*self._config.folder, name))

    async def _meta(self, js: JetStreamContext, name: str) -> dict[str, Any]:
        encoded = base64.urlsafe_b64encode(self._object(name).encode()).decode()
        subject = f"$O.{self._config.bucket}.M.{encoded}"
        found = await js.get_msg(self._objects, subject=subject)
        try:
            meta = json.loads(_data(found, subject))
            size, nuid = meta["size"], meta["nuid"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise JetStreamError(f"{name}: its entry in the object store is malformed") from error
        if meta.get("deleted"):
            raise MissingError(f"{name} is not there")
        if type(size) is not int or size < 0 or not (isinstance(nuid, str) and _NUID.match(nuid)):
            raise JetStreamError(f"{name}: its entry in the object store is malformed")
        return {"size": size, "nuid": nuid}

    async def _chunks(self, js: JetStreamContext, name: str, nuid: str, size: int) -> bytes:
        subject = f"$O.{self._config.bucket}.C.{nuid}"
        data, sequence = bytearray(), 1
        for _ in range(_MAX_CHUNKS):
            if len(data) >= size:
                break
            found = await js.get_msg(self._objects, seq=sequence, subject=subject, next=True)
            data += _data(found, subject)
            sequence = (found.seq or 0) + 1
        if len(data) != size:
            raise JetStreamError(f"{name}: has another size than its entry in the object store")
        return bytes(data)


def _data(found: RawStreamMsg, subject: str) -> bytes:
    """Return a message's bytes; a server may answer with any other message."""
    if found.subject != subject:
        raise ValueError("an answer with another subject")  # so the connection is closed
    return found.data or b""


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn what the server refuses into an error that names the file."""
    from nats.js import errors  # noqa: PLC0415 - an extra

    try:
        yield
    except errors.ServiceUnavailableError as error:
        raise JetStreamError(f"{name}: the server has no JetStream") from error
    except errors.APIError as error:
        code = error.err_code
        if code == _NO_STREAM or isinstance(error, errors.BucketNotFoundError):
            raise NoBucketError(f"{name}: the bucket is not there") from error
        if code == _NO_MESSAGE or isinstance(error, errors.NotFoundError):
            raise MissingError(f"{name} is not there") from error
        if code in _WRONG_SEQUENCE:
            raise ConflictError(f"{name} was changed by someone else meanwhile") from error
        raise JetStreamError(f"{name}: {error.description or code}") from error
    except errors.NoStreamResponseError as error:
        raise NoBucketError(f"{name}: the bucket is not there") from error
    except errors.Error as error:
        raise JetStreamError(f"{name}: {type(error).__name__}") from error
