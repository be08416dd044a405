"""Implements Envoy's ``ExternalProcessor``: one gRPC stream per HTTP request.

Bodies are forwarded unchanged. Envoy takes the end of a stream with status OK as permission to
forward the rest of the request by itself. So a stream ends with OK only after Envoy closed its
side, or after a refusal was sent; every other end is a gRPC error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import grpc

from sidecar._pb import ext_proc_pb2 as pb
from sidecar._pb import ext_proc_pb2_grpc as rpc
from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.core.refusals import malformed, unsupported
from sidecar.ext_proc.body_counter import API, BODIES, STREAM, BodyCounter, CountingStream
from sidecar.ext_proc.body_queue import BodyQueue
from sidecar.ext_proc.buffer_budget import BufferBudget
from sidecar.ext_proc.decisions import Decisions
from sidecar.ext_proc.messages import (
    body_chunk,
    header_lines,
    refusal,
    request_head,
    too_many_streams,
)
from sidecar.ext_proc.rate_limiter import RateLimiter
from sidecar.ext_proc.responses import ResponseReader
from sidecar.ext_proc.uploads import Upload
from sidecar.extract.batch_lines import BlockReader, read_here
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.clock import Clock, Reading
from sidecar.gate.lifecycle import Observer
from sidecar.gate.pipeline import Pipeline
from sidecar.providers import FILE, creation
from sidecar.registry.objects import Objects
from sidecar.registry.record import AdmittedUse
from sidecar.registry.tickets import FIELD, NAMESPACE, AdmissionTicket

log = logging.getLogger("sidecar.gate")

_REFUSED_SECONDS = 1.0
"""How long a stream over the limit may take to send the request headers, for the log."""


@dataclass(frozen=True, slots=True)
class ProcessorLimits:
    """Bounds on one stream, and on all of them together.

    Attributes:
        max_streams: Concurrent streams; more are refused.
        max_batch_bytes: Largest upload of a batch file.
        held_bytes: Bytes that all streams together may buffer.
        judge_seconds: Deadline for deciding about one batch file.
        stream_seconds: Longest duration of a stream.
        upload_bytes_per_second: Rate of all uploads together; more waits.
    """

    max_streams: int = 1024
    max_batch_bytes: int = 20 << 20
    held_bytes: int = 160 << 20
    judge_seconds: float = 30.0
    stream_seconds: float = 3600.0
    upload_bytes_per_second: int = 64 << 20


class Processor(rpc.ExternalProcessorServicer):
    """Envoy's ``ExternalProcessor`` service.

    Args:
        pipeline: Decides about the calls of a batch file. Without a registry, only refusals of
            ext_authz, which Envoy shows on the response path, are forwarded.
        observer: Records each decision about a batch file, and every other refusal.
        limits: See ``ProcessorLimits``.
        clock: Returns the time and whether it is reliable.
        reader: Parses blocks of lines of batch files.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        observer: Observer,
        limits: ProcessorLimits | None = None,
        clock: Callable[[], Reading] | None = None,
        reader: BlockReader = read_here,
    ) -> None:
        self._limits = limits or ProcessorLimits()
        seconds = self._limits.judge_seconds
        self._decisions = Decisions(pipeline, observer, seconds, clock or Clock().read, reader)
        self._budget = BufferBudget(self._limits.held_bytes)
        self._rate_limiter = RateLimiter(self._limits.upload_bytes_per_second)
        self._pipeline = pipeline
        # One gate reads a quarter in a second; the rest is left to all other calls.
        quarter = pipeline.in_flight.max_bytes // 4
        self._queue = BodyQueue(max(pipeline.settings.max_body_bytes, quarter))
        self._streams = 0

    @property
    def budget(self) -> BufferBudget:
        """Return the budget of bytes that streams may buffer."""
        return self._budget

    @property
    def streams(self) -> int:
        """Return the number of open streams."""
        return self._streams

    async def Process(self, request: Any, context: Any) -> None:  # noqa: ANN401, N802
        """Handle one HTTP request; ends with status OK only where Envoy may go on."""
        self._streams += 1
        stream = self._stream(request, context)
        try:
            await self._handle(stream, context)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the stream took too long")
        except Exception:
            log.exception("an ext_proc stream failed")
            await context.abort(grpc.StatusCode.INTERNAL, "the gate failed")
        finally:
            stream.drop()
            self._streams -= 1

    def _stream(self, request: Any, context: Any) -> _Stream | CountingStream:  # noqa: ANN401
        """Return the handler of a stream: of the filter before ext_authz, or of the one behind."""
        settings = {
            key: value for key, value in context.invocation_metadata() if isinstance(value, str)
        }
        if settings.get(STREAM) == BODIES:
            counter = BodyCounter(
                self._pipeline.in_flight,
                self._queue,
                self._pipeline.settings.max_body_bytes,
                self._rate_limiter.keep,
            )
            return CountingStream(request, context, counter, settings.get(API, ""))
        longest = self._limits.max_batch_bytes
        return _Stream(request, context, self._decisions, self._budget, self._rate_limiter, longest)

    async def _handle(self, stream: _Stream | CountingStream, context: Any) -> None:  # noqa: ANN401
        """Handle a stream to its end, or to a refusal, which is recorded before it is sent."""
        excess = self._streams > self._limits.max_streams
        seconds = _REFUSED_SECONDS if excess else self._limits.stream_seconds
        try:
            async with asyncio.timeout(seconds):
                await stream.run(excess=excess)
        except AdmissibilityError as error:
            decision = await self._decisions.refused(error, stream.ticket, stream.request)
            await context.write(refusal(decision, stream.request))


class _Stream:
    """One stream of processing requests, and the state of both directions.

    ``request`` is the head of the HTTP request; it is ``None`` until Envoy has sent it. ``ticket``
    is the admission ticket; it is ``None`` until it is verified.
    """

    def __init__(
        self,
        messages: Any,  # noqa: ANN401
        context: Any,  # noqa: ANN401
        decisions: Decisions,
        budget: BufferBudget,
        rate_limiter: RateLimiter,
        max_batch_bytes: int,
    ) -> None:
        self._messages = messages
        self._context = context
        self._decisions = decisions
        self._budget = budget
        self._rate_limiter = rate_limiter
        self._max_batch_bytes = max_batch_bytes
        self._upload: Upload | None = None
        self._response: ResponseReader | None = None
        self.ticket: AdmissionTicket | None = None
        self.request: HttpRequest | None = None

    async def run(self, *, excess: bool) -> None:
        """Answer each message of Envoy until it closes its side.

        Raises:
            AdmissibilityError: The request is refused; a stream over the limit (``excess``) as
                soon as the request's head is known.
        """
        first = True
        async for message in self._messages:
            if first:
                self.request = request_head(message)
                if excess:
                    raise too_many_streams()
                self._open(message)
                first = False
            await self._step(message)

    def drop(self) -> None:
        """Discard buffered bytes, however the stream ended."""
        for part in (self._upload, self._response):
            if part is not None:
                part.drop()

    def _open(self, message: pb.ProcessingRequest) -> None:
        """Verify the ticket, and require the modes in which the gate can buffer a body."""
        if message.WhichOneof("request") == "response_headers":
            return  # ext_authz refused the request, so Envoy sends only the refusal through here
        if self.request is None:
            raise _misconfigured("set request_header_mode to SEND")
        objects = self._decisions.objects
        fields = message.metadata_context.filter_metadata.get(NAMESPACE)
        text = None if fields is None else fields.fields.get(FIELD)
        if text is not None:
            self.ticket = _verified(text.string_value, objects, self._decisions.now())
            self.request = replace(self.request, provider=self.ticket.provider, api=self.ticket.api)
        if message.observability_mode:
            raise _misconfigured("turn observability_mode off")
        modes = message.protocol_config
        full = pb.FULL_DUPLEX_STREAMED
        reads = modes.request_body_mode == full
        if modes.response_body_mode != full or (not reads and modes.request_body_mode != pb.NONE):
            raise _misconfigured(
                "set response_body_mode to FULL_DUPLEX_STREAMED, and request_body_mode to"
                " FULL_DUPLEX_STREAMED or NONE"
            )
        if reads != (self.ticket is not None and self.ticket.upload):
            raise _misconfigured(
                "set request_body_mode to FULL_DUPLEX_STREAMED on the route of file uploads, and"
                " to NONE on every other"
            )
        if reads and self.ticket is not None:
            self._begin_upload(self.ticket, self.request)

    def _begin_upload(self, ticket: AdmissionTicket, request: HttpRequest) -> None:
        async def judge(calls: Mapping[Call, int], inputs: Mapping[Reference, int]) -> None:
            await self._decisions.judge(calls, inputs, ticket, request)

        self._upload = Upload(
            request, self._budget, self._max_batch_bytes, judge, self._decisions.reader
        )

    async def _step(self, message: pb.ProcessingRequest) -> None:
        kind = message.WhichOneof("request")
        if kind == "request_headers":
            await self._request_headers(message.request_headers)
        elif kind == "request_body" and self._upload is not None:
            await self._request_body(message.request_body, self._upload)
        elif kind == "response_headers":
            await self._response_headers(message.response_headers)
        elif kind == "response_body":
            await self._response_body(message.response_body)
        elif kind == "response_trailers":
            await self._forward(b"", last=True, trailers=True)
            await self._send(response_trailers=pb.TrailersResponse())
        else:
            raise malformed("a request with trailers is not supported; send it without")

    async def _request_headers(self, headers: pb.HttpHeaders) -> None:
        if self._upload is None:
            await self._send(request_headers=pb.HeadersResponse())
        elif headers.end_of_stream:
            raise malformed("the upload has no body")

    async def _request_body(self, body: pb.HttpBody, upload: Upload) -> None:
        await self._rate_limiter.keep(len(body.body))
        held = not upload.begun
        async for piece in upload.feed(body.body, last=body.end_of_stream):
            if held:
                await self._send(request_headers=pb.HeadersResponse())
                held = False
            await self._send(request_body=body_chunk(piece))
        if body.end_of_stream:
            await self._send(request_body=body_chunk(b"", last=True))

    async def _response_headers(self, headers: pb.HttpHeaders) -> None:
        ticket, uses = self.ticket, self._uses()
        if ticket is not None and uses and not headers.end_of_stream:
            self._response = self._begin_response(ticket, uses)
            self._response.begin(dict(header_lines(headers)))
        await self._send(response_headers=pb.HeadersResponse())

    def _uses(self) -> tuple[AdmittedUse, ...]:
        """Return what the object may reach; empty where nothing is to be registered."""
        if self._upload is not None:
            calls = tuple(dict.fromkeys(AdmittedUse.of(call) for call in self._upload.calls))
            # A file of another purpose has an owner, but no admitted calls.
            return calls or (() if self.ticket is None else (AdmittedUse(self.ticket.operation),))
        return () if self.ticket is None else self.ticket.uses

    def _begin_response(
        self, ticket: AdmissionTicket, uses: tuple[AdmittedUse, ...]
    ) -> ResponseReader:
        decisions = self._decisions

        async def register(created: Reference) -> None:
            # A file that the provider wrote holds no admitted calls; its first use states so. The
            # further uses are the calls that made it.
            written = created.kind == FILE and created.kind != ticket.creates
            held = tuple(dict.fromkeys((AdmittedUse(ticket.operation), *uses))) if written else uses
            await decisions.register(ticket, created, held)

        def unread(why: str) -> None:
            decisions.objects.unread(ticket, why)

        named = creation(ticket.api, ticket.operation)
        also, at = ((), "id") if named is None else (named.also, named.named_at)
        return ResponseReader(ticket.creates or None, self._budget, register, unread, also, at)

    async def _response_body(self, body: pb.HttpBody) -> None:
        await self._forward(body.body, last=body.end_of_stream, trailers=False)

    async def _forward(self, chunk: bytes, *, last: bool, trailers: bool) -> None:
        if self._response is not None:
            async for piece in self._response.feed(chunk, last=last):
                await self._send(response_body=body_chunk(piece))
        elif chunk:
            await self._send(response_body=body_chunk(chunk))
        if last and not trailers:
            await self._send(response_body=body_chunk(b"", last=True))

    async def _send(self, **field: Any) -> None:  # noqa: ANN401 - one field of the message
        await self._context.write(pb.ProcessingResponse(**field))


def _verified(text: str, objects: Objects, now: datetime) -> AdmissionTicket:
    try:
        return objects.verify_ticket(text, now)
    except EvidenceError as error:
        log.warning("admission ticket refused: %s", error)
        raise AdmissibilityError(
            Reason.INTERNAL_ERROR, "the admission ticket of this request is not valid"
        ) from error


def _misconfigured(what: str) -> AdmissibilityError:
    return unsupported(f"this route is not set up for registration: {what}")
