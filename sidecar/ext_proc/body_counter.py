"""Counts the bytes of large bodies, and of those without a length, before they are authorized.

Envoy buffers a body for ext_authz, and a full heap stops new requests but none that has begun. So
an ext_proc filter before ext_authz shows the gate in pieces each body that states no length
(chunked, or HTTP/2) or a large one; they count against the same bound as the bodies that are being
decided. A stated length is taken whole when its turn comes, before a byte is read (see
``body_queue``). Without one, what has arrived counts, and the piece that exceeds the bound ends the
request with 503 and a reason. The end of the body ends the stream; ``Check`` counts it again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.refusals import unsupported
from sidecar.ext_proc.body_queue import BodyQueue
from sidecar.ext_proc.messages import header_lines, request_head, too_many_streams
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.registry.tickets import AdmissionTicket

STREAM, BODIES = "x-admissibility-stream", "bodies"
"""Key and value of the gRPC metadata by which the operator marks the filter before ext_authz."""

API = "x-admissibility-api"
"""gRPC metadata: the provider whose form of errors a refusal has."""

Throttle = Callable[[int], Awaitable[None]]

_LENGTH = re.compile(r"[0-9]{1,18}")


class BodyCounter:
    """Counts one body.

    Args:
        in_flight: The bound shared with all bodies that are being decided.
        queue: Where bodies of a stated length wait for their turn.
        longest: Longest body in bytes that Envoy buffers; after that many nothing is counted.
        throttle: Waits until that many further bytes may be read.
    """

    def __init__(
        self, in_flight: InFlightLimiter, queue: BodyQueue, longest: int, throttle: Throttle
    ) -> None:
        self._taken = in_flight.reserve()
        self._queue = queue
        self._queued = 0
        self._arrived = 0
        self._longest = longest
        self._throttle = throttle

    async def run(self, messages: AsyncIterator[Any]) -> AsyncIterator[pb.ProcessingResponse]:
        """Yield the answer to each message, until the body has ended or is no longer counted.

        Raises:
            AdmissibilityError: ``overloaded``; or the filter is not set up to show the body.
        """
        async for message in messages:
            kind = message.WhichOneof("request")
            if kind == "request_headers":
                await self._begin(message.request_headers)
                yield pb.ProcessingResponse(request_headers=pb.HeadersResponse())
                if message.request_headers.end_of_stream:
                    return
            elif kind == "request_body":
                body = message.request_body
                await self._throttle(len(body.body))
                self._arrived += len(body.body)
                self._taken.grow(max(0, self._arrived - self._taken.size))
                yield pb.ProcessingResponse(request_body=pb.BodyResponse())
                if body.end_of_stream or self._arrived > self._longest:
                    return
            elif kind == "request_trailers":
                yield pb.ProcessingResponse(request_trailers=pb.TrailersResponse())
                return
            else:
                raise unsupported(
                    "the filter that counts bodies is not set up for it: set request_body_mode to"
                    " STREAMED, and both response modes to SKIP and NONE"
                )

    async def _begin(self, headers: pb.HttpHeaders) -> None:
        """Take the stated length whole, if there is one."""
        stated = dict(header_lines(headers)).get("content-length", "")
        if headers.end_of_stream or _LENGTH.fullmatch(stated) is None:
            return
        length = int(stated)
        if length > self._longest:
            return  # counted as it comes; Envoy refuses it (413) once it has read too much
        await self._queue.enter(length)
        self._queued = length
        self._taken.grow(length)

    def drop(self) -> None:
        """Release the counted bytes, however the stream ended."""
        self._taken.release()
        queued, self._queued = self._queued, 0
        if queued:
            self._queue.leave(queued)


class CountingStream:
    """A stream of the filter before ext_authz, with the attributes of the one behind it."""

    def __init__(self, messages: Any, context: Any, counter: BodyCounter, api: str) -> None:  # noqa: ANN401
        self._messages = messages
        self._context = context
        self._counter = counter
        self._api = api
        self.ticket: AdmissionTicket | None = None
        self.request: HttpRequest | None = None

    async def run(self, *, excess: bool) -> None:
        """Answer each message until the body has ended.

        Raises:
            AdmissibilityError: Too many bytes, or too many streams (``excess``), are in flight.
        """
        async for answer in self._counter.run(self._seen(excess=excess)):
            await self._context.write(answer)

    async def _seen(self, *, excess: bool) -> AsyncIterator[Any]:
        async for message in self._messages:
            if self.request is None:
                head = request_head(message)
                self.request = None if head is None else replace(head, api=self._api)
                if excess:
                    raise too_many_streams()
            yield message

    def drop(self) -> None:
        """Release the counted bytes, however the stream ended."""
        self._counter.drop()
