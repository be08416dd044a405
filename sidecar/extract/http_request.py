"""Represents one HTTP request as Envoy sent it, with nothing decoded.

The body's bytes are checked separately (``body``), only for operations that have a body: uploads
pass Envoy unbuffered, and are refused by name instead of for their missing body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LENGTH = "content-length"
PARTIAL_BODY = "x-envoy-auth-partial-body"
OWN_PREFIX = "x-admissibility-"
SPECIFICATION_HEADER = "x-environment-specification"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP request as the gate received it.

    Attributes:
        method: HTTP method as sent.
        path: Raw path and query; nothing is decoded.
        headers: Lines in order, names in lower case, values as Latin-1; pseudo-headers are left
            out. Of a ``CheckRequest`` only those whose value is read: ``check_request.VALUES``.
        raw_body: The body's bytes, where Envoy packs bytes.
        text_body: The body as a string, where it does not; see ``body``.
        provider: From the route's context extensions, never from the client.
        api: Name of the upstream's table of operations, from the context extensions too.
        principal: Envoy's ``source.principal``, from the client certificate; empty without mTLS.
        certificate: The client certificate, URL-encoded PEM; empty without mTLS.
        request_id: Of Envoy, for the log: ``x-request-id``, or the number of the stream.
        trusted_forwarder: SPIFFE ID of the one peer whose ``x-forwarded-client-cert`` is believed,
            from the route's context extensions; ``None`` where that header is ignored.
        sandbox: Whether the route is a sandbox, from the context extensions too.
        names: The names of all lines; by default those of ``headers``.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    raw_body: bytes = b""
    text_body: str = ""
    provider: str = ""
    api: str = ""
    principal: str = ""
    certificate: str = ""
    request_id: str = ""
    trusted_forwarder: str | None = None
    sandbox: bool = False
    names: tuple[str, ...] = ()
    derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was derived from it before; requests with the same head share it."""

    _first: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the first line of each header."""
        object.__setattr__(self, "_first", dict(reversed(self.headers)))
        if not self.names:
            object.__setattr__(self, "names", tuple(name for name, _ in self.headers))

    def header(self, name: str) -> str | None:
        """Return the value of the first header ``name`` (lower case); ``None`` without one."""
        return self._first.get(name)

    def named(self, prefix: str) -> tuple[str, ...]:
        """Return the header names that begin with ``prefix``, sorted, without duplicates."""
        found: tuple[str, ...] | None = self.derived.get(prefix)
        if found is None:
            found = tuple(sorted({name for name in self.names if name.startswith(prefix)}))
            self.derived[prefix] = found
        return found
