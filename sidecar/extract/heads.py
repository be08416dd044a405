"""Remembers what step 0 found in the head of a request: in everything but the body.

An application sends the same head again and again. Step 0 reads of it the method, the path, the
names of all headers, the values of a few (``check_request.VALUES``), the peer and the route's
context extensions, and its outcome depends on nothing else. So if a request equals an earlier one
in all of these, only its body is parsed. What varies is read each time: the request id, and the
body's length, which is compared with the body.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.extract.check_request import REQUEST_ID, VALUES
from sidecar.extract.extractor import Matched, reads_json
from sidecar.extract.http_request import LENGTH, HttpRequest

MAX_HEADS = 1024
MAX_HEAD_CHARS = 16_384
"""Longest head that is remembered, so that what clients send bounds the memory used."""

_PSEUDO = frozenset({":authority", ":method", ":path"})

Key = tuple[tuple[str, ...], tuple[str | bytes, ...], tuple[str, ...]]
"""Names of all headers, values of those that are read, and what else step 0 reads."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head that passed step 0, of an operation whose body is read as JSON.

    Attributes:
        request: The request without its body, its length and its id.
        matched: Its operation.
    """

    request: HttpRequest
    matched: Matched


class Heads:
    """The heads that one gate remembers; to be used inside one event loop.

    Args:
        credential_header: Name (lower case) of the header that carries a JWT-SVID.
    """

    def __init__(self, credential_header: str) -> None:
        self._read = (VALUES | {credential_header} | _PSEUDO) - {REQUEST_ID, LENGTH}
        self._known: dict[Key, Head] = {}

    def split(self, message: pb.CheckRequest) -> tuple[Key, str | None, str] | None:
        """Split the head of a message into what it is remembered by and what varies.

        Returns:
            What it is remembered by, the value of ``content-length`` (``None`` without one), and
            Envoy's request id; ``None`` for a head that is never remembered.
        """
        attributes = message.attributes
        http, source, extensions = (
            attributes.request.http,
            attributes.source,
            attributes.context_extensions,
        )
        names: list[str] = []
        values: list[str | bytes] = []
        read, length, request_id = self._read, None, None
        for line in http.header_map.headers:
            name = line.key
            names.append(name)
            if name in read:
                values.append(line.raw_value or line.value)
            elif name == REQUEST_ID:
                if request_id is None:
                    request_id = line.raw_value.decode("latin-1") or line.value
            elif name == LENGTH:
                if length is not None:
                    return None
                length = line.raw_value.decode("latin-1") or line.value
        rest = (
            http.method,
            http.path,
            source.principal,
            source.certificate,
            *(part for pair in sorted(extensions.items()) for part in pair),
        )
        return (tuple(names), tuple(values), rest), length, request_id or http.id

    def find(self, key: Key) -> Head | None:
        """Return the head that is remembered by ``key``; ``None`` without one."""
        return self._known.get(key)

    def remember(self, key: Key, request: HttpRequest, matched: Matched) -> None:
        """Remember a head that passed step 0, if its body is JSON.

        Args:
            key: What ``split`` returned for it.
            request: The request, without its body.
            matched: Its operation.
        """
        if not reads_json(request, matched.operation) or not _may_be_remembered(key):
            return
        if len(self._known) >= MAX_HEADS:
            self._known.clear()
        self._known[key] = Head(request, matched)


def _may_be_remembered(key: Key) -> bool:
    """Return whether a head is short, and has names as HTTP/2 and Envoy write them."""
    names, values, rest = key
    if any(name != name.lower() for name in names):
        return False  # ``check_request`` would read it by its name in lower case
    return sum(map(len, (*names, *values, *rest))) <= MAX_HEAD_CHARS
