"""Envoy's question where it is large: the bytes as they came, and what a reader told of them.

A question over ``THRESHOLD`` is nowhere taken apart in the gate's own process: each look at twenty
megabytes is a copy of them, and all other requests would wait for it. So even its headers are read
where its body is (``heavy``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.extractor import extract
from sidecar.extract.http_request import HttpRequest

THRESHOLD = 1 << 16
"""Longest question, in bytes, that is read in the event loop."""

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Large:
    """A serialized ``CheckRequest`` that is longer than ``THRESHOLD``."""

    data: bytes


Question = pb.CheckRequest | Large


def question(data: bytes) -> Question:
    """A question as it comes from the wire.

    Raises:
        google.protobuf.message.DecodeError: It is short and no ``CheckRequest``.
    """
    return Large(data) if len(data) > THRESHOLD else pb.CheckRequest.FromString(data)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader must know of the gate's settings; see ``pipeline.Settings``."""

    credential_header: str
    max_body_bytes: int
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """What a question says.

    Attributes:
        request: Without its body; null where it could not be read.
        found: The call that it makes, or why there is none.
    """

    request: HttpRequest | None
    found: Call | Refusal


def parse(data: bytes, read_options: ReadOptions) -> ParsedRequest:
    """Read a serialized ``CheckRequest`` to the end of step 0."""
    request = None
    try:
        message = pb.CheckRequest.FromString(data)
        request = check_request.read(message, credential_header=read_options.credential_header)
        call = extract(request, max_bytes=read_options.max_body_bytes, opened=read_options.opened)
    except AdmissibilityError as error:
        return ParsedRequest(_bare(request), (error.reason, error.message))
    return ParsedRequest(_bare(request), call)


def _bare(request: HttpRequest | None) -> HttpRequest | None:
    return None if request is None else replace(request, raw_body=b"", text_body="")
