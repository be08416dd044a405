"""One HTTP request as Envoy told it: nothing decoded, nothing judged but what cannot be read.

Which bytes are the body is a question of its own (``body``), asked only for operations that have
one: uploads pass Envoy unbuffered, and are refused by name instead of for their missing body.
"""

from __future__ import annotations

from dataclasses import dataclass

PARTIAL_BODY = "x-envoy-auth-partial-body"
OWN_PREFIX = "x-admissibility-"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the gate knows of a request.

    Attributes:
        method: As sent.
        path: Raw path and query; nothing is decoded.
        headers: Lines in order, names in lower case, values as Latin-1; pseudo-headers are left
            out.
        raw_body: The body's bytes, where Envoy packs bytes.
        text_body: The body as a string, where it does not; see ``body``.
        provider: From the route's context extensions, never from the client.
        api: Likewise: which table of operations the upstream has.
        principal: What Envoy took from the client certificate; empty without mTLS.
        certificate: The client certificate, URL-encoded PEM; empty without mTLS.
        request_id: Of Envoy, for the log: ``x-request-id``, or the number of the stream.
        hop: SPIFFE ID of the one peer whose ``x-forwarded-client-cert`` is believed, from the
            route's context extensions; null where that header is nothing but a header.
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

    def header(self, name: str) -> str | None:
        """The value of the first line called ``name`` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    def named(self, prefix: str) -> tuple[str, ...]:
        """Names of header lines that begin with ``prefix``, sorted, without repeats."""
        return tuple(sorted({name for name, _ in self.headers if name.startswith(prefix)}))
