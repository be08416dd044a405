"""Parses a ``CheckRequest`` into a call or a refusal (step 0), in one function.

A message longer than ``THRESHOLD`` is not decoded in the gate's event loop: decoding copies its
megabytes, and every other request would wait for that. It stays serialized (``Large``), and a
worker process parses it (``gate.worker_pool``) with the same function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.extractor import extract
from sidecar.extract.http_request import HttpRequest

THRESHOLD = 1 << 16
"""Length in bytes of the longest message that is decoded in the event loop."""

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Large:
    """A serialized ``CheckRequest`` that is longer than ``THRESHOLD``."""

    data: bytes


CheckMessage = pb.CheckRequest | Large


def decode_message(data: bytes) -> CheckMessage:
    """Decode a message from the wire, unless it is longer than ``THRESHOLD``.

    Raises:
        google.protobuf.message.DecodeError: A shorter message is no ``CheckRequest``.
    """
    return Large(data) if len(data) > THRESHOLD else pb.CheckRequest.FromString(data)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The settings that step 0 needs; see ``gate.pipeline.Settings``."""

    credential_header: str
    max_body_bytes: int
    opened: frozenset[str] = frozenset()
    ignore_body_model: bool = False
    inputs: bool = False


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """The outcome of step 0.

    Attributes:
        request: The request without its body; ``None`` if it could not be parsed.
        found: The call that it makes, or the code and message of the refusal.
    """

    request: HttpRequest | None
    found: Call | Refusal


def body_size(question: CheckMessage) -> int:
    """Return the size in bytes of a message's body, or of a large message with its headers."""
    if isinstance(question, Large):
        return len(question.data)
    http = question.attributes.request.http
    return len(http.raw_body) + len(http.body)


def describe(message: CheckMessage) -> HttpRequest | None:
    """Return what a log line needs of a request that is refused before step 0 has read it.

    Nothing is checked, and headers and body are left out. Decoding a message of one megabyte takes
    30 µs, far less than parsing its body.

    Returns:
        The method, path, provider, API and request id; ``None`` if the message cannot be decoded.
    """
    if isinstance(message, Large):
        try:
            message = pb.CheckRequest.FromString(message.data)
        except DecodeError:
            return None
    return check_request.describe(message)


def parse(message: pb.CheckRequest, options: ReadOptions) -> ParsedRequest:
    """Parse a ``CheckRequest`` (step 0), in this process or in a worker."""
    request = None
    try:
        request = check_request.read(message, credential_header=options.credential_header)
        call = extract(
            request,
            max_bytes=options.max_body_bytes,
            opened=options.opened,
            ignore_body_model=options.ignore_body_model,
            inputs=options.inputs,
        )
    except AdmissibilityError as error:
        return ParsedRequest(_bare(request), (error.reason, error.message))
    return ParsedRequest(_bare(request), replace(call, sandbox=True) if request.sandbox else call)


def _bare(request: HttpRequest | None) -> HttpRequest | None:
    """Return the request without its body; ``dataclasses.replace`` takes twice as long."""
    if request is None:
        return None
    return HttpRequest(
        request.method,
        request.path,
        request.headers,
        provider=request.provider,
        api=request.api,
        principal=request.principal,
        certificate=request.certificate,
        request_id=request.request_id,
        trusted_forwarder=request.trusted_forwarder,
        sandbox=request.sandbox,
    )
