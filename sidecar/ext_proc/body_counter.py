"""Counts the bytes of a body without a stated length as they arrive, before it is authorized.

Envoy buffers a body for ext_authz, and a full heap stops new requests but none that has begun. A
request with Content-Length is limited by its headers. One without (chunked, or HTTP/2) is shown to
the gate in pieces by an ext_proc filter before ext_authz: what all of them have sent counts against
the same bound as the bodies that are being decided. The piece that exceeds it ends the request with
503 and a reason. The end of the body ends the stream; ``Check`` then counts the whole body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.refusals import unsupported
from sidecar.ext_proc.messages import request_head, too_many_streams
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.registry.tickets import AdmissionTicket

STREAM, BODIES = "x-admissibility-stream", "bodies"
"""Key and value of the gRPC metadata by which the operator marks the filter before ext_authz."""

API = "x-admissibility-api"
"""gRPC metadata: the provider whose form of errors a refusal has."""

Pace = Callable[[int], Awaitable[None]]


class BodyCounter:
    """Counts one body.

    Args:
        in_flight: The bound shared with all bodies that are being decided.
        longest: Longest body in bytes that Envoy buffers; after that many nothing is counted.
        pace: Waits until that many further bytes may be read.
    """

    def __init__(self, in_flight: InFlightLimiter, longest: int, pace: Pace) -> None:
        self._taken = in_flight.reserve()
        self._longest = longest
        self._pace = pace

    async def run(self, messages: AsyncIterator[Any]) -> AsyncIterator[pb.ProcessingResponse]:
        """Yield the answer to each message, until the body has ended or is no longer counted.

        Raises:
            AdmissibilityError: ``overloaded``; or the filter is not set up to show the body.
        """
        async for message in messages:
            kind = message.WhichOneof("request")
            if kind == "request_headers":
                yield pb.ProcessingResponse(request_headers=pb.HeadersResponse())
                if message.request_headers.end_of_stream:
                    return
            elif kind == "request_body":
                body = message.request_body
                await self._pace(len(body.body))
                self._taken.grow(len(body.body))
                yield pb.ProcessingResponse(request_body=pb.BodyResponse())
                if body.end_of_stream or self._taken.size > self._longest:
                    return
            elif kind == "request_trailers":
                yield pb.ProcessingResponse(request_trailers=pb.TrailersResponse())
                return
            else:
                raise unsupported(
                    "the filter that counts bodies is not set up for it: set request_body_mode to"
                    " STREAMED, and both response modes to SKIP and NONE"
                )

    def drop(self) -> None:
        """Release the counted bytes, however the stream ended."""
        self._taken.release()


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
