"""Whatever bytes come, a parser returns a value or its one refusal: nothing else gets out.

``tests/contract/differential`` compares values; here only the kind of outcome is checked.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason, http_status
from sidecar.extract import check_request, multipart, raw_request
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.multipart import MultipartError
from sidecar.extract.raw_request import RawRequestError
from sidecar.extract.router import ROUTES
from sidecar.identity import jwt_svid, x509_svid, xfcc
from sidecar.identity.trust_bundles import TrustBundles
from tests.contract.differential import bodies, forms
from tests.contract.differential.mutations import spoiled
from tests.contract.differential.paths import SEEDS as PATH_SEEDS
from tests.contract.differential.paths import TOKENS as PATH_TOKENS
from tests.support.examples import examples
from tests.support.gate.batch import calls
from tests.support.gate.requests import HEADER, as_check_request
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import AUDIENCE, Issuer, pem
from tests.support.simulator.world import admitted_world

ANY = settings(max_examples=examples(500), deadline=None, derandomize=True, database=None)
MAX_BYTES = 1 << 20
Value = TypeVar("Value")

JSON = spoiled(st.sampled_from(list((bodies.PLAIN | bodies.TRICKS).values())), bodies.TOKENS)
SHORT_JSON = spoiled(
    st.sampled_from([b for b in (bodies.PLAIN | bodies.TRICKS).values() if len(b) < 1000]),
    bodies.TOKENS,
)
FORMS = spoiled(
    st.sampled_from([body for _, body in (forms.PLAIN | forms.TRICKS).values()]), forms.TOKENS
)
TYPES = spoiled(
    st.sampled_from([kind.encode("latin-1") for kind, _ in (forms.PLAIN | forms.TRICKS).values()]),
    (b"; boundary=x", b"boundary", b"*=", b"=", b";", b'"', b"\\", b" ", b"\t", b",", b"\xa0"),
).map(lambda kind: kind.decode("latin-1"))
TARGETS = spoiled(PATH_SEEDS, PATH_TOKENS).map(lambda target: target.decode("latin-1"))
BATCH = (
    b"\n",
    b"\r",
    b"\r\n",
    b"\xe2\x80\xa8",
    b":",
    b" ",
    b'"',
    b",",
    b"{",
    b"}",
    b"GET",
    b"\x00",
)
METHODS = st.sampled_from(["GET", "POST", "DELETE", "PATCH", "get", ""]) | st.text(max_size=5)


def ended(call: Callable[[], Value]) -> Value | Reason:
    """How a call ended: with its value, or with the reason of the one error it may raise."""
    try:
        return call()
    except AdmissibilityError as error:
        return error.reason


@functools.cache
def issuer() -> Issuer:
    return Issuer()


@functools.cache
def bundles() -> TrustBundles:
    world = admitted_world()
    world.parties["customer"].trust_domains = [issuer().document(NOW)]
    return TrustBundles.of(world.state())


@ANY
@given(data=JSON | st.binary(max_size=60))
def test_any_bytes_are_json_or_a_json_error(data: bytes) -> None:
    with contextlib.suppress(strict_json.StrictJsonError):
        strict_json.refuse_twins(strict_json.loads_object(data, max_bytes=MAX_BYTES), ["model"])


@ANY
@given(content_type=TYPES, body=FORMS | st.binary(max_size=60))
def test_any_form_has_fields_or_is_a_form_error(content_type: str, body: bytes) -> None:
    with contextlib.suppress(MultipartError):
        multipart.fields(multipart.parse(content_type, body), ["model", "purpose"])


@ANY
@given(method=METHODS, target=TARGETS | st.text(max_size=30))
def test_any_path_has_a_route_or_is_refused(method: str, target: str) -> None:
    for routes in ROUTES.values():
        with contextlib.suppress(AdmissibilityError):
            routes.match(method, target)


@ANY
@given(
    method=METHODS,
    target=TARGETS,
    content_type=TYPES | st.just("application/json"),
    body=JSON | FORMS,
    api=st.sampled_from(list(ROUTES)),
)
def test_any_request_is_a_call_or_a_refusal_of_the_client(
    method: str, target: str, content_type: str, body: bytes, api: str
) -> None:
    """Every place of every operation is walked along on the way."""
    headers = (("content-type", content_type), ("content-length", str(len(body))))
    request = HttpRequest(method, target, headers, raw_body=body, provider=api, api=api)
    found = ended(lambda: extract(request, ExtractOptions(MAX_BYTES)))
    assert isinstance(found, Call) or http_status(found) in range(400, 500)


@ANY
@given(
    line=SHORT_JSON,
    spoil=spoiled(
        st.just(b'{"custom_id":"1","method":"POST","url":"/v1/responses","body":@}\n'),
        BATCH,
        most=2,
    ),
    size=st.integers(1, 90),
)
def test_any_batch_file_has_the_same_calls_in_any_pieces(
    line: bytes, spoil: bytes, size: int
) -> None:
    """In one piece or in many, the calls are the same."""
    data = spoil.replace(b"@", line) * 2
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert calls([data]) == calls(pieces)


@ANY
@given(
    data=spoiled(
        st.just(b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"), BATCH
    )
    | st.binary(max_size=40)
)
def test_any_written_request_is_read_or_a_request_error(data: bytes) -> None:
    with contextlib.suppress(RawRequestError):
        raw_request.parse(data, provider="openai", api="openai")


@ANY
@given(
    text=spoiled(
        st.just(f'By=spiffe://a.example/b;Hash={"0" * 64};URI="{ENV}";Cert="x"'.encode()),
        (b";", b"=", b",", b'"', b"\\", b"%0A", b"By=", b"Hash=", b"URI=", b"Cert=", b"\xff", b" "),
    )
)
def test_any_forwarded_certificate_header_is_read_or_no_credential(text: bytes) -> None:
    found = ended(lambda: xfcc.read(text.decode("latin-1")))
    assert isinstance(found, xfcc.Element) or found is Reason.CREDENTIAL_INVALID


@ANY
@given(
    token=spoiled(
        st.builds(lambda: issuer().jwt_svid(ENV, NOW).encode()),
        (b".", b"=", b"-", b"_", b"e30", b"eyJhbGciOiJub25lIn0", b"A" * 60, b"\xff", b" ", b"\n"),
    )
)
def test_any_token_is_the_workloads_or_no_credential(token: bytes) -> None:
    text = token.decode("latin-1")
    found = ended(lambda: jwt_svid.verify(text, bundles(), audience=AUDIENCE, now=NOW).spiffe_id)
    assert found in {ENV, Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_KEY_UNKNOWN}


@ANY
@given(
    certificate=spoiled(
        st.builds(lambda: quote(pem(issuer().x509_svid(ENV, now=NOW)[0]), safe="").encode()),
        (b"%0A", b"%", b"%2D", b"-----END%20CERTIFICATE-----", b"%FF", b"A", b"MII", b"\x00"),
    ),
    principal=st.sampled_from(["", ENV, "spiffe://other.example/x"]),
)
def test_any_certificate_is_the_workloads_or_no_credential(
    certificate: bytes, principal: str
) -> None:
    text = certificate.decode("latin-1")
    found = ended(
        lambda: x509_svid.verify(x509_svid.load(text), principal, bundles(), now=NOW).spiffe_id
    )
    assert found in {
        ENV,
        Reason.CREDENTIAL_INVALID,
        Reason.CREDENTIAL_KEY_UNKNOWN,
        Reason.CERTIFICATE_NOT_SVID,
    }


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        # tbsCertificate.version; a URI of the SAN turned into an x400Address
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12", Reason.CREDENTIAL_INVALID),
        (b"\x86" + bytes([len(ENV)]), b"\xa3" + bytes([len(ENV)]), Reason.CERTIFICATE_NOT_SVID),
    ],
)
def test_what_the_library_tells_by_errors_of_its_own_is_a_refusal(
    old: bytes, new: bytes, reason: Reason
) -> None:
    der = issuer().x509_svid(ENV, now=NOW)[0].public_bytes(Encoding.DER)
    assert der.count(old) == 1
    text = ssl.DER_cert_to_PEM_cert(der.replace(old, new))
    found = ended(
        lambda: x509_svid.verify(x509_svid.load(quote(text, safe="")), "", bundles(), now=NOW)
    )
    assert found is reason


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            [":path", ":method", "host", "content-type", HEADER, "x-admissibility-a", "X-\u00e9"]
        )
        | st.text(max_size=5),
        st.binary(max_size=6),
        st.booleans(),
    ),
    max_size=6,
)


@ANY
@given(
    lines=LINES,
    path=st.text(max_size=9),
    extensions=st.dictionaries(st.sampled_from(["provider", "api", "x"]), st.text(max_size=4)),
    cut=st.integers(0, 400),
)
def test_any_message_of_envoy_is_read_or_refused(
    lines: list[tuple[str, bytes, bool]], path: str, extensions: dict[str, str], cut: int
) -> None:
    """A question as protobuf lets one be written, and one that was cut on the way."""
    message = as_check_request(path=path, drop=(":path",))
    for name, value, raw in lines:
        line = message.attributes.request.http.header_map.headers.add(key=name)
        if raw:
            line.raw_value = value
        else:
            line.value = value.decode("latin-1")
    for name, text in extensions.items():
        message.attributes.context_extensions[name] = text
    for each in (message, _cut(message, cut)):
        with contextlib.suppress(AdmissibilityError):
            check_request.read(each, credential_header=HEADER)


def _cut(message: pb.CheckRequest, length: int) -> pb.CheckRequest:
    """What can be read of its first bytes; nothing where that is not a message."""
    found = pb.CheckRequest()
    with contextlib.suppress(Exception):
        found.ParseFromString(message.SerializeToString()[:length])
    return found
