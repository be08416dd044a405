"""Reads the id of a created object from a response, before the client receives it.

A JSON body is buffered to its end; server-sent events are buffered up to the first event that
carries the object. Then the object is registered, and all bytes are forwarded unchanged. A response
from which no id can be read is forwarded too: the call was admitted, only its object cannot be used
later.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Any

from sidecar.core import strict_json
from sidecar.ext_proc.buffer_budget import BufferBudget, Held, pieces

MAX_ANSWER_BYTES = 8 << 20
MAX_EVENTS_BYTES = 1 << 20
_IN_THREAD_BYTES = 64 << 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_JSON = re.compile(r"application/json(?:\s*;.*)?", re.IGNORECASE)
_EVENTS = re.compile(r"text/event-stream(?:\s*;.*)?", re.IGNORECASE)

Register = Callable[[str], Awaitable[None]]
Unread = Callable[[str], None]


class _Mode(Enum):
    FORWARD = "forwarded unchanged"
    JSON = "buffered to its end"
    EVENTS = "buffered to the event that carries the object"


class ResponseReader:
    """Reads one response.

    Args:
        kind: Kind of the object that the response may name.
        budget: Memory shared by all streams.
        register: Called with the object's id.
        unread: Called with the cause if no id can be read.
    """

    def __init__(self, kind: str, budget: BufferBudget, register: Register, unread: Unread) -> None:
        self._kind = kind
        self._budget = budget
        self._register = register
        self._unread = unread
        self._mode = _Mode.FORWARD
        self._held = Held(budget, 0)
        self._events = Events(kind)

    def begin(self, headers: dict[str, str]) -> None:
        """Read the response headers; names in lower case, with ``:status``."""
        if not headers.get(":status", "").startswith("2"):
            return
        media = headers.get("content-type", "")
        if headers.get("content-encoding", "identity").lower() != "identity":
            self._unread("the response is compressed")
        elif _JSON.fullmatch(media):
            self._mode, self._held = _Mode.JSON, Held(self._budget, MAX_ANSWER_BYTES)
        elif _EVENTS.fullmatch(media):
            self._mode, self._held = _Mode.EVENTS, Held(self._budget, MAX_EVENTS_BYTES)
        else:
            self._unread("the response is neither application/json nor text/event-stream")

    async def feed(self, chunk: bytes, *, last: bool) -> AsyncIterator[bytes]:
        """Read the next bytes of the body, and yield the bytes to forward now.

        Args:
            chunk: The next bytes.
            last: Whether the body ends with them; trailers may follow.
        """
        if self._mode is not _Mode.FORWARD:
            if self._held.add(chunk):
                await self._search(chunk, last=last)
                chunk = b""
            else:
                self._mode = _Mode.FORWARD
                self._unread("the response is too long to be buffered")
        if self._mode is _Mode.FORWARD:
            for piece in self._held.release():
                yield piece
            for piece in pieces(chunk):
                yield piece

    def drop(self) -> None:
        """Discard buffered bytes, where the stream ended early."""
        self._held.drop()

    async def _search(self, chunk: bytes, *, last: bool) -> None:
        """Search the buffered bytes, of which ``chunk`` is the end, for the object's id."""
        name, why = None, "no event carries the object"
        if self._mode is _Mode.EVENTS:
            name = self._events.feed(chunk)
        elif last:
            name, why = await self._named(self._held.whole())
        if name is not None or last:
            self._mode = _Mode.FORWARD
            if name is None:
                self._unread(why)
            else:
                await self._register(name)

    async def _named(self, body: bytes) -> tuple[str | None, str]:
        try:
            if len(body) < _IN_THREAD_BYTES:
                value = strict_json.loads(body, max_bytes=MAX_ANSWER_BYTES)
            else:
                value = await asyncio.to_thread(strict_json.loads, body, max_bytes=MAX_ANSWER_BYTES)
        except strict_json.StrictJsonError as error:
            return None, f"the response is not strict JSON: {error}"
        return _id(value), "the response has no id"


class Events:
    """Parses server-sent events (HTML, 9.2) up to the first whose data carries the object."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> str | None:
        """Parse the next bytes; return the object's id once an event carries it, else ``None``."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            field, _, value = line.removesuffix(b"\r").partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not field and not value:
                found = self._event()
                if found is not None:
                    return found
        return None

    def _event(self) -> str | None:
        data, self._data = b"\n".join(self._data), []
        try:
            value = strict_json.loads(data, max_bytes=MAX_EVENTS_BYTES)
        except strict_json.StrictJsonError:
            return None
        if isinstance(value, dict) and value.get("object") != self._kind:
            value = value.get(self._kind)
        return _id(value)


def _id(value: Any) -> str | None:  # noqa: ANN401 - JSON is any value
    name = value.get("id") if isinstance(value, dict) else None
    return name if isinstance(name, str) and _ID.fullmatch(name) else None
