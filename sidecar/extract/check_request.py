"""Reads Envoy's ``CheckRequest`` as one HTTP request, or refuses it.

Nothing is trusted: every header line is read by itself (``encode_raw_headers``), and no header may
be given twice where two readers could take different lines of it (CVE-2021-32777,
CVE-2026-26308).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.evidence import check_spiffe_id
from sidecar.core.reasons import EvidenceError
from sidecar.core.refusals import malformed, unsupported
from sidecar.extract.http_request import OWN_PREFIX, HttpRequest

REQUEST_ID = "x-request-id"
TRUSTED_FORWARDER = "trusted_forwarder"

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
"""Headers two readers could take different lines of."""

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""One host. Envoy joins two ``Host`` lines by a comma, and each upstream would take its own."""

_OWN_NAME = re.compile(re.escape(OWN_PREFIX) + r"[a-z0-9-]+")


def read(message: pb.CheckRequest, *, credential_header: str) -> HttpRequest:
    """Read Envoy's question.

    Args:
        message: The question.
        credential_header: Name (lower case) of the header that carries a JWT-SVID.

    Raises:
        AdmissibilityError: ``malformed_request`` where a line that must be unique is there twice,
            or the parts contradict each other; ``unsupported_operation`` where the route is not
            set up for the gate.
    """
    attributes = message.attributes
    http = attributes.request.http
    if not http.header_map.headers:
        raise unsupported(
            "the gateway does not send headers line by line: have the operator set"
            " encode_raw_headers"
        )
    lines = [(line.key.lower(), _text(line)) for line in http.header_map.headers]
    _check_pseudo(lines, http)
    headers = tuple(line for line in lines if not line[0].startswith(":"))
    _refuse_repeats(headers, credential_header)
    _check_host(lines)
    provider = attributes.context_extensions.get("provider", "")
    if not provider:
        raise unsupported(
            "this route names no provider: have the operator set context_extensions on it"
        )
    request = HttpRequest(
        method=http.method,
        path=http.path,
        headers=headers,
        raw_body=http.raw_body,
        text_body=http.body,
        provider=provider,
        api=attributes.context_extensions.get("api", provider),
        principal=attributes.source.principal,
        certificate=attributes.source.certificate,
        trusted_forwarder=_trusted_forwarder(attributes.context_extensions),
    )
    # What Envoy says by itself is the number of a stream, which nothing else tells.
    return replace(request, request_id=request.header(REQUEST_ID) or http.id)


def _trusted_forwarder(extensions: Mapping[str, str]) -> str | None:
    """The peer whose word about a client certificate counts, where the route names one."""
    trusted_forwarder = extensions.get(TRUSTED_FORWARDER)
    if trusted_forwarder is None:
        return None
    try:
        check_spiffe_id(trusted_forwarder)
    except EvidenceError as error:
        raise unsupported(
            f"this route's {TRUSTED_FORWARDER} is not the SPIFFE ID of a peer: have the operator"
            " correct it"
        ) from error
    return trusted_forwarder


def _text(line: pb.HeaderValue) -> str:
    return line.raw_value.decode("latin-1") if line.raw_value else line.value


def _check_pseudo(lines: list[tuple[str, str]], http: pb.AttributeContext.HttpRequest) -> None:
    """What the upstream will see as method and path is what the gate was told."""
    for name, told in ((":method", http.method), (":path", http.path)):
        if any(value != told for key, value in lines if key == name):
            raise malformed(f"two different values of {name}")


def _check_host(lines: list[tuple[str, str]]) -> None:
    hosts = {value for key, value in lines if key in {":authority", "host"}}
    if len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
        raise malformed("not one host, plainly written")


def _refuse_repeats(headers: tuple[tuple[str, str], ...], credential_header: str) -> None:
    seen: set[str] = set()
    for name, _ in headers:
        if name in seen and (name in _ONCE or name == credential_header):
            raise malformed(f"the header {name} is given twice")
        if name.startswith(OWN_PREFIX) and not _OWN_NAME.fullmatch(name):
            raise malformed("a header that imitates the gate's")
        seen.add(name)
