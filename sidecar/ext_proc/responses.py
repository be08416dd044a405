"""Reads the ids of objects from a response, before the client receives them.

A JSON body is buffered to its end; server-sent events are buffered up to the first event that
carries the created object. Then the object is registered, and all bytes are forwarded unchanged.
Events that follow are forwarded as they arrive, each output item registered before the bytes that
name it. A response from which no id can be read is forwarded too: the call was admitted, only its
object cannot be used later.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum
from typing import Any

from sidecar.core import strict_json
from sidecar.core.call import OBJECT_ID, Reference
from sidecar.ext_proc.buffer_budget import BufferBudget, BufferedChunks, pieces

MAX_ANSWER_BYTES = 8 << 20
MAX_EVENTS_BYTES = 1 << 20
MAX_NAMED = 1024
"""Most objects that are registered of one response."""

_IN_THREAD_BYTES = 64 << 10
_JSON = re.compile(r"application/json(?:\s*;.*)?", re.IGNORECASE)
_EVENTS = re.compile(r"text/event-stream(?:\s*;.*)?", re.IGNORECASE)
_ITEM_EVENT = "response.output_item."
_ITEM_HINT = _ITEM_EVENT.encode()

Also = tuple[tuple[str, str], ...]
Register = Callable[[Reference], Awaitable[None]]
Unread = Callable[[str], None]


class _Mode(Enum):
    FORWARD = "forwarded unchanged"
    JSON = "buffered to its end"
    EVENTS = "buffered to the event that carries the object"
    ITEMS = "forwarded as it arrives, and read for output items"


class ResponseReader:
    """Reads one response.

    Args:
        kind: Kind of the object that the response creates; ``None`` if it creates none.
        budget: Memory shared by all streams.
        register: Called with each object that the response names.
        unread: Called with the cause if no id can be read.
        also: Further objects that the response names: place and kind.
        named_at: Key of a JSON response that names the created object.
    """

    def __init__(
        self,
        kind: str | None,
        budget: BufferBudget,
        register: Register,
        unread: Unread,
        also: Also = (),
        named_at: str = "id",
    ) -> None:
        self._kind = kind
        self._budget = budget
        self._register = register
        self._unread = unread
        self._also = also
        self._named_at = named_at
        self._mode = _Mode.FORWARD
        self._held = BufferedChunks(budget, 0)
        self._events = Events()
        self._named: set[Reference] = set()

    def begin(self, headers: dict[str, str]) -> None:
        """Read the response headers; names in lower case, with ``:status``."""
        if not headers.get(":status", "").startswith("2"):
            return
        media = headers.get("content-type", "")
        if headers.get("content-encoding", "identity").lower() != "identity":
            self._unread("the response is compressed")
        elif _JSON.fullmatch(media):
            self._mode, self._held = _Mode.JSON, BufferedChunks(self._budget, MAX_ANSWER_BYTES)
        elif _EVENTS.fullmatch(media):
            self._mode = _Mode.ITEMS if self._kind is None else _Mode.EVENTS
            self._held = BufferedChunks(self._budget, MAX_EVENTS_BYTES)
        else:
            self._unread("the response is neither application/json nor text/event-stream")

    async def feed(self, chunk: bytes, *, last: bool) -> AsyncIterator[bytes]:
        """Read the next bytes of the body, and yield the bytes to forward now.

        Args:
            chunk: The next bytes.
            last: Whether the body ends with them; trailers may follow.
        """
        if self._mode in {_Mode.JSON, _Mode.EVENTS}:
            if self._held.add(chunk):
                await self._search(chunk, last=last)
                chunk = b""
            else:
                self._mode = _Mode.FORWARD
                self._unread("the response is too long to be buffered")
        elif self._mode is _Mode.ITEMS:
            await self._items(self._events.feed(chunk, _ITEM_HINT))
        if self._mode in {_Mode.FORWARD, _Mode.ITEMS}:
            for piece in self._held.release():
                yield piece
            for piece in pieces(chunk):
                yield piece

    def drop(self) -> None:
        """Discard buffered bytes, where the stream ended early."""
        self._held.drop()

    async def _search(self, chunk: bytes, *, last: bool) -> None:
        """Search the buffered bytes, of which ``chunk`` is the end, for the objects they name."""
        if self._mode is _Mode.EVENTS:
            events = self._events.feed(chunk)
            for event in events:
                name = _object(event, self._kind)
                if name is not None and self._kind is not None:
                    self._mode = _Mode.ITEMS if self._also else _Mode.FORWARD
                    await self._keep(Reference(self._kind, name))
                    await self._items(events)
                    return
            if last:
                self._mode = _Mode.FORWARD
                self._unread("no event carries the object")
        elif last:
            self._mode = _Mode.FORWARD
            await self._whole(self._held.whole())

    async def _items(self, events: Iterator[Any]) -> None:
        """Register the output items that events add, each once."""
        for event in events:
            kind = event.get("type") if isinstance(event, dict) else None
            if self._also and isinstance(kind, str) and kind.startswith(_ITEM_EVENT):
                await self._keep_at({"output": [event.get("item")]})

    async def _whole(self, body: bytes) -> None:
        """Register what a JSON body names."""
        try:
            if len(body) < _IN_THREAD_BYTES:
                value = strict_json.loads(body, max_bytes=MAX_ANSWER_BYTES)
            else:
                value = await asyncio.to_thread(strict_json.loads, body, max_bytes=MAX_ANSWER_BYTES)
        except strict_json.StrictJsonError as error:
            self._unread(f"the response is not strict JSON: {error}")
            return
        if self._kind is not None:
            name = _id(value, self._named_at)
            if name is None:
                self._unread(f"the response has no {self._named_at}")
                return
            await self._keep(Reference(self._kind, name))
        await self._keep_at(value)

    async def _keep_at(self, value: Any) -> None:  # noqa: ANN401 - JSON is any value
        """Register the further objects that a response, or one output item of it, names."""
        for place, kind in self._also:
            for found in values_at(value, place):
                if isinstance(found, str) and OBJECT_ID.fullmatch(found):
                    await self._keep(Reference(kind, found))

    async def _keep(self, named: Reference) -> None:
        if named not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(named)
            await self._register(named)


class Events:
    """Parses server-sent events (HTML, 9.2) whose data is JSON, in bounded memory."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes, hint: bytes = b"") -> Iterator[Any]:
        """Parse the next bytes; yield the data of each event that ends in them.

        Args:
            chunk: The next bytes.
            hint: Bytes without which an event is skipped unparsed.
        """
        *lines, rest = (self._rest + chunk).split(b"\n")
        # A line over the limit is skipped up to its end.
        self._rest = rest if len(rest) <= MAX_EVENTS_BYTES else b"data:"
        if self._rest is not rest:
            self._size = MAX_EVENTS_BYTES + 1
        for line in lines:
            field, _, value = line.removesuffix(b"\r").partition(b":")
            if field == b"data":
                self._size += len(value)
                if self._size <= MAX_EVENTS_BYTES:
                    self._data.append(value.removeprefix(b" "))
                else:
                    self._data.clear()
            elif not field and not value:
                data, whole = b"\n".join(self._data), self._size <= MAX_EVENTS_BYTES
                self._data, self._size = [], 0
                if whole and hint in data:
                    yield _parsed(data)


def values_at(value: Any, place: str) -> Iterator[Any]:  # noqa: ANN401 - JSON is any value
    """Yield the values at a place such as ``output[].id``; none where a part has another type."""
    name, _, rest = place.partition(".")
    found = value.get(name.removesuffix("[]")) if isinstance(value, dict) else None
    for each in (found if isinstance(found, list) else []) if name.endswith("[]") else [found]:
        if rest:
            yield from values_at(each, rest)
        else:
            yield each


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return strict_json.loads(data, max_bytes=MAX_EVENTS_BYTES)
    except strict_json.StrictJsonError:
        return None


def _object(event: Any, kind: str | None) -> str | None:  # noqa: ANN401 - JSON is any value
    if isinstance(event, dict) and event.get("object") != kind:
        event = event.get(kind)
    return _id(event)


def _id(value: Any, key: str = "id") -> str | None:  # noqa: ANN401 - JSON is any value
    """Return the id of an object, as later requests have it in their path.

    An ARN is an id. Of another resource name (``projects/…/tuningJobs/1``) it is the last part,
    since a project has two names, and either may be in the path.
    """
    name = value.get(key) if isinstance(value, dict) else None
    if not isinstance(name, str):
        return None
    if key != "id" and not name.startswith("arn:"):
        name = name.rpartition("/")[2]
    return name if OBJECT_ID.fullmatch(name) else None
