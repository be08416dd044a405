"""What is fuzzed: one function of bytes for each parser, and the bytes it begins with.

A target returns for whatever the parser takes or refuses; anything else that it raises is a
finding. Where there is a second way to the same value, both must lead there.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core import strict_json
from sidecar.core.reasons import AdmissibilityError, Reason, http_status
from sidecar.extract import check_request, multipart, raw_request
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.multipart import MultipartError, PartBegin, PartData
from sidecar.extract.raw_request import RawRequestError
from sidecar.extract.router import ROUTES
from sidecar.identity import jwt_svid, x509_svid, xfcc
from sidecar.identity.trust_bundles import TrustBundles
from sidecar.providers import PROVIDERS
from tests.contract.differential import bodies, forms
from tests.contract.differential.paths import TRICKS as PATHS
from tests.support.gate.batch import calls
from tests.support.gate.requests import HEADER, as_check_request
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import AUDIENCE, Issuer, pem
from tests.support.simulator.world import admitted_world

MAX_BYTES = 1 << 20
TARGETED = (b"/v1/chat/completions", b"/v1/responses", b"/v1/embeddings", b"/v1/models/m")

_ISSUER = Issuer()


@dataclass(frozen=True, slots=True)
class Target:
    """One parser: what to call, and examples of what it reads."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]


def read_json(data: bytes) -> None:
    """Strict JSON: a value is the one that ``json`` reads, and can be written again."""
    try:
        value = strict_json.loads(data, max_bytes=MAX_BYTES)
    except strict_json.StrictJsonError:
        return
    again = json.dumps(value, ensure_ascii=False).encode()
    same = repr(json.loads(data)) == repr(value) == repr(json.loads(again))
    assert same, data
    if isinstance(value, dict):
        with contextlib.suppress(strict_json.StrictJsonError):
            strict_json.refuse_twins(value, ["model", "tools", "stream"])


def read_form(data: bytes) -> None:
    """Forms: in one piece or in many, the parts are the same."""
    size, content_type, body = _form(data)
    whole, pieces = _whole(content_type, body), _pieces(content_type, body, size)
    assert whole == pieces, data
    with contextlib.suppress(MultipartError):
        multipart.fields(multipart.parse(content_type, body), ["model", "purpose"])


def _form(data: bytes) -> tuple[int, str, bytes]:
    """Size of the pieces, Content-Type, body."""
    size, length = (data[0] + 1, data[1]) if len(data) > 1 else (1, 0)
    return size, data[2 : 2 + length].decode("latin-1"), data[2 + length :]


Parts = list[tuple[str, str | None, str | None, bytes]] | None


def _whole(content_type: str, body: bytes) -> Parts:
    try:
        parts = multipart.parse(content_type, body)
    except MultipartError:
        return None
    return [(part.name, part.filename, part.content_type, bytes(part.value)) for part in parts]


def _pieces(content_type: str, body: bytes, size: int) -> Parts:
    found: list[tuple[str, str | None, str | None, bytes]] = []
    try:
        parser = multipart.Parser(multipart.boundary_of(content_type))
        for at in range(0, len(body), size):
            for event in parser.feed(body[at : at + size]):
                if isinstance(event, PartBegin):
                    found.append((event.name, event.filename, event.content_type, b""))
                elif isinstance(event, PartData):
                    *head, value = found[-1]
                    found[-1] = (*head, value + bytes(event.data))  # type: ignore[assignment]
        parser.close()
    except MultipartError:
        return None
    return found


def read_path(data: bytes) -> None:
    """The route grammar."""
    method, _, target = data.decode("latin-1").partition(" ")
    for routes in ROUTES.values():
        with contextlib.suppress(AdmissibilityError):
            routes.match(method, target)


def read_request(data: bytes) -> None:
    """Everything of step 0: table and path in the first line, Content-Type in the second."""
    first, content_type, body = [*data.split(b"\n", 2), b"", b""][:3]
    lines = (
        ("content-type", content_type.decode("latin-1")),
        ("content-length", str(len(body))),
    )
    api, _, route = first.decode("latin-1").partition(" ")
    request = HttpRequest("POST", route, lines, raw_body=body, provider=api, api=api)
    reason = _refusal(lambda: extract(request, ExtractOptions(MAX_BYTES)))
    assert reason is None or http_status(reason) in range(400, 500), reason


def read_batch(data: bytes) -> None:
    """Batch files: in one piece or in many, the calls are the same."""
    size, data = (data[0] + 1, data[1:]) if data else (1, b"")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    same = calls([data]) == calls(pieces)
    assert same, data


def read_file(data: bytes) -> None:
    """A raw request, as an operator hands it to ``admit explain``."""
    with contextlib.suppress(RawRequestError):
        raw_request.parse(data, provider="openai", api="openai")


def read_hop(data: bytes) -> None:
    """What another gateway says about its client."""
    with contextlib.suppress(AdmissibilityError):
        xfcc.read(data.decode("latin-1"))


def read_token(data: bytes) -> None:
    """JWT-SVIDs: what was not signed so is never taken."""
    with contextlib.suppress(AdmissibilityError):
        jwt_svid.verify(data.decode("latin-1"), _keyring(), audience=AUDIENCE, now=NOW)


def read_certificate(data: bytes) -> None:
    """X.509-SVIDs as Envoy hands them over."""
    text = data.decode("latin-1")
    reason = _refusal(lambda: x509_svid.verify(x509_svid.load(text), "", _keyring(), now=NOW))
    assert reason is None or http_status(reason) in {401, 403}, reason


def read_question(data: bytes) -> None:
    """Envoy's question, as far as protobuf takes it."""
    message = pb.CheckRequest()
    try:
        message.ParseFromString(data)
    except Exception:  # noqa: BLE001 - protobuf's own refusal; grpc answers that
        return
    with contextlib.suppress(AdmissibilityError):
        check_request.read(message, credential_header=HEADER)


def _refusal(call: Callable[[], object]) -> Reason | None:
    """Why a call was refused, if it was."""
    try:
        call()
    except AdmissibilityError as error:
        return error.reason
    return None


def _keyring() -> TrustBundles:
    return _KEYRINGS[0]


def _made() -> TrustBundles:
    world = admitted_world()
    world.parties["customer"].trust_domains = [_ISSUER.document(NOW)]
    return TrustBundles.of(world.state())


_KEYRINGS = [_made()]


def _short(values: Iterable[bytes]) -> Iterable[bytes]:
    return [value for value in values if len(value) <= 4096]


def _forms() -> Iterable[bytes]:
    for content_type, body in (forms.PLAIN | forms.TRICKS).values():
        head = content_type.encode("latin-1")
        yield struct.pack(">BB", 7, len(head)) + head + body


def _lines() -> Iterable[bytes]:
    for body in _short((bodies.PLAIN | bodies.TRICKS).values()):
        head = b'{"custom_id":"1","method":"POST","url":"/v1/responses","body":'
        yield head + body + b"}\n" + head + b'{"model":"m"}}'


TARGETS: dict[str, Target] = {
    "json": Target(read_json, lambda: _short((bodies.PLAIN | bodies.TRICKS).values())),
    "form": Target(read_form, lambda: _short(_forms())),
    "path": Target(
        read_path,
        lambda: (
            [f"POST {path}".encode("latin-1") for path in PATHS.values()]
            + [b"GET " + route for route in TARGETED]
        ),
    ),
    "request": Target(
        read_request,
        lambda: _short(
            [
                *(
                    b"openai " + route + b"\napplication/json\n" + body
                    for route in TARGETED
                    for body in (bodies.PLAIN | bodies.TRICKS).values()
                ),
                *(
                    b"\n".join([b"openai /v1/audio/transcriptions", kind.encode("latin-1"), body])
                    for kind, body in (forms.PLAIN | forms.TRICKS).values()
                ),
                *(
                    f"{api} {row.route}\n\n".encode()
                    for api in PROVIDERS
                    for row in PROVIDERS[api].operations
                ),
            ]
        ),
    ),
    "batch": Target(read_batch, lambda: [b"\x07" + line for line in _lines()]),
    "file": Target(
        read_file,
        lambda: [
            f"POST {route.decode()} HTTP/1.1\r\nhost: x\r\n\r\n{{}}".encode() for route in TARGETED
        ],
    ),
    "hop": Target(
        read_hop, lambda: [f'By=spiffe://a.example/b;Hash={"0" * 64};URI="{ENV}"'.encode()]
    ),
    "token": Target(read_token, lambda: [_ISSUER.jwt_svid(ENV, NOW).encode()]),
    "certificate": Target(
        read_certificate,
        lambda: [quote(pem(_ISSUER.x509_svid(ENV, now=NOW)[0]), safe="").encode()],
    ),
    "question": Target(read_question, lambda: [as_check_request().SerializeToString()]),
}
