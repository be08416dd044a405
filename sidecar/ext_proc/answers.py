"""An answer as it passes: the id of what was created is read off it before the client gets it.

A JSON answer is held back to its end; of a stream of events, only what comes before the first one
that carries the object. Then the object is registered, and everything goes on as it came. An
answer out of which no id can be read goes on as well: the call was admitted, only its object stays
unusable.
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


class _Form(Enum):
    PASSING = "goes on as it comes"
    JSON = "held to its end"
    EVENTS = "held to the event that carries the object"


class Answer:
    """One answer.

    Args:
        kind: Of the object that it may name.
        budget: Memory of all streams.
        register: Told the id.
        unread: Told why there is none.
    """

    def __init__(self, kind: str, budget: BufferBudget, register: Register, unread: Unread) -> None:
        self._kind = kind
        self._budget = budget
        self._register = register
        self._unread = unread
        self._form = _Form.PASSING
        self._held = Held(budget, 0)
        self._events = Events(kind)

    def begin(self, headers: dict[str, str]) -> None:
        """Read the head; names in lower case, with ``:status``."""
        if not headers.get(":status", "").startswith("2"):
            return
        media = headers.get("content-type", "")
        if headers.get("content-encoding", "identity").lower() != "identity":
            self._unread("the answer is compressed")
        elif _JSON.fullmatch(media):
            self._form, self._held = _Form.JSON, Held(self._budget, MAX_ANSWER_BYTES)
        elif _EVENTS.fullmatch(media):
            self._form, self._held = _Form.EVENTS, Held(self._budget, MAX_EVENTS_BYTES)
        else:
            self._unread("the answer is neither JSON nor a stream of events")

    async def feed(self, chunk: bytes, *, last: bool) -> AsyncIterator[bytes]:
        """Read on, and yield what may go on now.

        Args:
            chunk: The next bytes.
            last: Whether nothing follows but perhaps trailers.
        """
        if self._form is not _Form.PASSING:
            if self._held.add(chunk):
                await self._look(chunk, last=last)
                chunk = b""
            else:
                self._form = _Form.PASSING
                self._unread("the answer is too long")
        if self._form is _Form.PASSING:
            for piece in self._held.release():
                yield piece
            for piece in pieces(chunk):
                yield piece

    def drop(self) -> None:
        """Let go of what is held, where the answer ends otherwise."""
        self._held.drop()

    async def _look(self, chunk: bytes, *, last: bool) -> None:
        """Look at what is held, of which ``chunk`` is the end."""
        name, why = None, "no event carries the object"
        if self._form is _Form.EVENTS:
            name = self._events.feed(chunk)
        elif last:
            name, why = await self._named(self._held.whole())
        if name is not None or last:
            self._form = _Form.PASSING
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
            return None, f"the answer is not JSON: {error}"
        return _id(value), "the answer has no id"


class Events:
    """Server-sent events (HTML, 9.2), as far as the first one whose data carries an object."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> str | None:
        """Read on; the object's id once an event carries it."""
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
