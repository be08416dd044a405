"""Reads Envoy's ``CheckRequest`` as one HTTP request, or refuses it.

Every header line is read separately (``encode_raw_headers``), and a header may not occur twice
where two parsers could use different lines of it (CVE-2021-32777, CVE-2026-26308).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.reasons import EvidenceError
from sidecar.core.refusals import malformed, unsupported
from sidecar.core.spiffe_id import check_spiffe_id
from sidecar.extract.body import SUBPROTOCOLS
from sidecar.extract.http_request import OWN_PREFIX, SPECIFICATION_HEADER, HttpRequest

REQUEST_ID = "x-request-id"
TRUSTED_FORWARDER = "trusted_forwarder"
SANDBOX = "sandbox"

_ONCE = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "x-envoy-auth-partial-body",
        "x-forwarded-client-cert",
    }
)
"""Headers of which two parsers could use different lines."""

VALUES = _ONCE | {REQUEST_ID, "connection", "upgrade", SPECIFICATION_HEADER, SUBPROTOCOLS}
"""Headers whose values are read, beside the one with the credential; of others only the names."""

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""One host. Envoy joins two ``Host`` lines by a comma, and an upstream could use either."""

_REMEMBERED_NAMES, _REMEMBERED_CHARS = 64, 2048
"""Most header names, and most characters in them, whose answer is remembered."""

_OWN_NAME = re.compile(re.escape(OWN_PREFIX) + r"[a-z0-9-]+")


def read(message: pb.CheckRequest, *, credential_header: str) -> HttpRequest:
    """Read Envoy's ``CheckRequest``.

    Args:
        message: The message.
        credential_header: Name (lower case) of the header that carries a JWT-SVID.

    Raises:
        AdmissibilityError: ``malformed_request`` if a header that must be unique occurs twice, or
            the parts contradict each other; ``unsupported_operation`` if the route is not
            configured for the gate.
    """
    attributes = message.attributes
    http = attributes.request.http
    if not http.header_map.headers:
        raise unsupported(
            "Envoy does not send headers line by line; have the operator set encode_raw_headers"
        )
    names, headers, hosts = _read_headers(http, VALUES | {credential_header})
    _check_names(names, credential_header)
    if len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
        raise malformed("Host and :authority must name one host, as NAME or NAME:PORT")
    extensions = attributes.context_extensions
    provider = extensions.get("provider", "")
    if not provider:
        raise unsupported(
            "this route names no provider; have the operator set context_extensions.provider"
        )
    return HttpRequest(
        method=http.method,
        path=http.path,
        headers=headers,
        raw_body=http.raw_body,
        text_body=http.body,
        provider=provider,
        api=extensions.get("api", provider),
        principal=attributes.source.principal,
        certificate=attributes.source.certificate,
        # Envoy's own ``id`` is the number of a stream, which occurs in no other log.
        request_id=next((text for name, text in headers if name == REQUEST_ID), "") or http.id,
        trusted_forwarder=_trusted_forwarder(extensions),
        sandbox=_sandbox(extensions),
        names=names,
    )


def _read_headers(
    http: pb.AttributeContext.HttpRequest, kept: frozenset[str]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], set[str]]:
    """Return the names of all headers in order, the lines of those in ``kept``, and every host.

    Raises:
        AdmissibilityError: ``malformed_request`` if a pseudo-header, which the upstream sees, has
            another value than the message.
    """
    names: list[str] = []
    lines: list[tuple[str, str]] = []
    hosts: set[str] = set()
    pseudo = {":method": http.method, ":path": http.path}
    for line in http.header_map.headers:
        name, value = line.key.lower(), line.raw_value.decode("latin-1") or line.value
        if not name.startswith(":"):
            names.append(name)
            if name in kept:
                lines.append((name, value))
            if name == "host":
                hosts.add(value)
        elif name == ":authority":
            hosts.add(value)
        elif value != pseudo.get(name, value):
            raise malformed(f"two different values of {name}")
    return tuple(names), tuple(lines), hosts


def describe(message: pb.CheckRequest) -> HttpRequest:
    """Return method, path, provider, API and request id as sent, for the log; nothing is checked.

    Of an ``x-request-id`` that occurs twice, the first.
    """
    http, extensions = message.attributes.request.http, message.attributes.context_extensions
    ids = (_text(line) for line in http.header_map.headers if line.key.lower() == REQUEST_ID)
    provider = extensions.get("provider", "")
    return HttpRequest(
        method=http.method,
        path=http.path,
        provider=provider,
        api=extensions.get("api", provider),
        request_id=next(ids, "") or http.id,
    )


def _sandbox(extensions: Mapping[str, str]) -> bool:
    """Return whether the route is a sandbox; only one spelling makes it one."""
    text = extensions.get(SANDBOX)
    if text not in {None, "true"}:
        raise unsupported(
            f"this route's {SANDBOX} is {text[:64]!r}; have the operator set it to 'true', or"
            " leave it out for production"
        )
    return text is not None


def _trusted_forwarder(extensions: Mapping[str, str]) -> str | None:
    """Return the peer whose ``x-forwarded-client-cert`` is believed; ``None`` for none."""
    trusted_forwarder = extensions.get(TRUSTED_FORWARDER)
    if trusted_forwarder is None:
        return None
    try:
        check_spiffe_id(trusted_forwarder)
    except EvidenceError as error:
        raise unsupported(
            f"this route's {TRUSTED_FORWARDER} is not the SPIFFE ID of a peer; have the operator"
            " correct it"
        ) from error
    return trusted_forwarder


def _text(line: pb.HeaderValue) -> str:
    return line.raw_value.decode("latin-1") if line.raw_value else line.value


def _check_names(names: tuple[str, ...], credential_header: str) -> None:
    """Refuse names of which two parsers could use different lines, and forged ones of our own."""
    short = len(names) <= _REMEMBERED_NAMES and sum(map(len, names)) <= _REMEMBERED_CHARS
    problem = (_problem if short else _problem.__wrapped__)(names, credential_header)
    if problem is not None:
        raise malformed(problem)


@lru_cache(maxsize=1024)
def _problem(names: tuple[str, ...], credential_header: str) -> str | None:
    """Return what is wrong with the names; a client and its Envoy send the same again and again."""
    seen: set[str] = set()
    for name in names:
        if name in seen and (name in _ONCE or name == credential_header):
            return f"the header {name} occurs twice"
        if name.startswith(OWN_PREFIX) and not _OWN_NAME.fullmatch(name):
            return (
                "a header name begins with x-admissibility- and is not one of letters, digits and -"
            )
        seen.add(name)
    return None
