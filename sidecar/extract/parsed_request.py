"""Parses a ``CheckRequest`` into a call or a refusal (step 0), in one function.

A message longer than ``THRESHOLD`` is not decoded in the gate's event loop: decoding copies its
megabytes, and every other request would wait for that. Nor is a shorter one of more than
``MAX_PARTS`` parts, which take longer to walk than megabytes of text. It stays serialized
(``LargeMessage``), and a worker process parses it (``gate.worker_pool``) with the same function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.body import check_bytes
from sidecar.extract.extractor import ExtractOptions, examine_json, extract, match
from sidecar.extract.heads import Heads, Key
from sidecar.extract.http_request import LENGTH, HttpRequest

THRESHOLD = 1 << 16
"""Length in bytes of the longest message that is decoded in the event loop."""

MAX_PARTS = 6000
"""Most arrays, objects and members of a message that is decoded in the event loop. A call with
sixty tools has some 3,000; in 64 KiB there can be 20,000, which take 20 ms."""

_FEW_BYTES = 1 << 14
"""A message of at most this length has fewer parts than that, and is not counted."""

_VARYING = frozenset({LENGTH, check_request.REQUEST_ID})

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class LargeMessage:
    """A serialized ``CheckRequest`` that is not decoded in the event loop."""

    data: bytes


CheckMessage = pb.CheckRequest | LargeMessage


def decode_message(data: bytes) -> CheckMessage:
    """Decode a message from the wire, unless that is left to a worker process.

    Raises:
        google.protobuf.message.DecodeError: A message that is decoded is no ``CheckRequest``.
    """
    size = len(data)
    if size > THRESHOLD or (size > _FEW_BYTES and _parts(data) > MAX_PARTS):
        return LargeMessage(data)
    return pb.CheckRequest.FromString(data)


def _parts(data: bytes) -> int:
    """Return at least the number of arrays, objects and members of a JSON body in a message."""
    return data.count(b"{") + data.count(b"[") + data.count(b":")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The settings that step 0 needs; see ``gate.settings.Settings``."""

    credential_header: str
    extraction: ExtractOptions


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """The outcome of step 0.

    Attributes:
        request: The request without its body, its length and its id; ``None`` if it could not be
            parsed. Requests with the same head may share it.
        outcome: The call that it makes, or the code and message of the refusal.
        request_id: Envoy's, for the log.
    """

    request: HttpRequest | None
    outcome: Call | Refusal
    request_id: str = ""


def body_size(question: CheckMessage) -> int:
    """Return the size in bytes of a message's body, or of a large message with its headers."""
    if isinstance(question, LargeMessage):
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
    if isinstance(message, LargeMessage):
        try:
            message = pb.CheckRequest.FromString(message.data)
        except DecodeError:
            return None
    return check_request.describe(message)


def parse(
    message: pb.CheckRequest, options: ReadOptions, heads: Heads | None = None
) -> ParsedRequest:
    """Parse a ``CheckRequest`` (step 0), in this process or in a worker.

    Args:
        message: The message.
        options: The settings.
        heads: The heads that passed with these settings; ``None`` remembers none.
    """
    split = None if heads is None else heads.split(message)
    if heads is None or split is None:
        return _parse_whole(message, options, None, None)
    key, length, request_id = split
    head, body = heads.find(key), message.attributes.request.http.raw_body
    if head is None or not body:
        return _parse_whole(message, options, heads, key)
    request = head.request
    try:
        check_bytes(body, length, max_bytes=options.extraction.max_body_bytes)
        examined = examine_json(request, head.matched, body, options.extraction)
    except AdmissibilityError as error:
        return ParsedRequest(request, (error.reason, error.message), request_id)
    return ParsedRequest(request, _with_sandbox(examined.call, request), request_id)


def _parse_whole(
    message: pb.CheckRequest, options: ReadOptions, heads: Heads | None, key: Key | None
) -> ParsedRequest:
    """Parse head and body of a message, and remember the head by ``key``."""
    request = None
    try:
        request = check_request.read(message, credential_header=options.credential_header)
        call = extract(request, options.extraction)
    except AdmissibilityError as error:
        refusal = error.reason, error.message
        if request is None:
            return ParsedRequest(None, refusal)
        return ParsedRequest(_head_of(request), refusal, request.request_id)
    head = _head_of(request)
    if heads is not None and key is not None:
        heads.remember(key, head, match(head, options.extraction.opened))
    return ParsedRequest(head, _with_sandbox(call, request), request.request_id)


def _with_sandbox(call: Call, request: HttpRequest) -> Call:
    """Return the call with the mark of a sandbox, where the route is one."""
    return replace(call, sandbox=True) if request.sandbox else call


def _head_of(request: HttpRequest) -> HttpRequest:
    """Return what requests with the same head share."""
    return replace(
        request,
        headers=tuple(line for line in request.headers if line[0] not in _VARYING),
        raw_body=b"",
        text_body="",
        request_id="",
    )
