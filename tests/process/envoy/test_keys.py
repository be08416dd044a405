"""What real Envoy does with keys: the client's go no further, the provider's go to it alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from admissibility_devtools.tools.envoy_config import Gated, reference
from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.sandbox import MANIFEST_HEADER
from sidecar.extract.http_request import SPECIFICATION_HEADER
from sidecar.gate.check_response import DECISION_ID, REASON
from tests.process.envoy.answers import header, received_by, without
from tests.process.envoy.config import manager
from tests.process.envoy.doubles import Received, admitted
from tests.process.envoy.sites import BODY, CREDENTIAL, SITES, Wired, allow, wire
from tests.support.site.envoy import Answer
from tests.support.site.talk import PATIENCE_SECONDS

XFCC = "xfcc-gate"
FOR_THE_GATE = [(CREDENTIAL, "jwt"), (SPECIFICATION_HEADER, "digest")]


def test_the_client_has_no_say_in_keys_prefixes_or_addresses(wired: Wired) -> None:
    forged = "URI=spiffe://acme.example/forged"
    spoofed = [
        ("Authorization", "AWS4-HMAC-SHA256 Credential=of-the-client"),
        ("Proxy-Authorization", "Basic eA=="),
        ("API-Key", "of-the-client"),
        ("X-API-Key", "of-the-client"),
        ("X-Goog-API-Key", "of-the-client"),
        ("X-Admissibility-Decision-Id", "forged"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Host", "elsewhere.example"),
        ("X-Forwarded-Proto", "forged"),
        ("X-Forwarded-Client-Cert", forged),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
        ("X-Request-Id", "forged"),
        ("Host2", "kept"),
        (CREDENTIAL, "jwt"),
        (SPECIFICATION_HEADER, "digest"),
    ]
    assert wired.send(headers=spoofed).status == 200
    (asked,) = wired.gate.asked
    seen = {
        line.key: line.raw_value
        for line in asked.attributes.request.http.header_map.headers
        if not line.key.startswith(":") and line.key not in {"x-request-id", "x-forwarded-for"}
    }
    # Of a direct workload, Envoy's own header has the chain; the forged one is replaced.
    chain = seen.pop("x-forwarded-client-cert", b"") if wired.site.name == "mtls" else b""
    assert (b'Chain="' in chain, b"forged" in chain) == (wired.site.name == "mtls", False)
    # The one file whose peer, the edge, may say whose certificate a request came with.
    believed = {"x-forwarded-client-cert": forged.encode()} if wired.site.name == XFCC else {}
    assert seen == {
        **({} if wired.site.mutual else {CREDENTIAL: b"jwt"}),
        **believed,
        SPECIFICATION_HEADER: b"digest",
        "host2": b"kept",
        "content-length": b"13",
        "x-forwarded-proto": b"https" if wired.site.mutual else b"http",
        "x-envoy-external-address": b"127.0.0.1",
        "x-envoy-auth-partial-body": b"false",
    }
    key, value = wired.site.key
    passed = {"host": wired.site.host, "host2": "kept", "content-length": "13", key: value}
    assert received_by(wired) == [Received("POST", wired.site.target, passed, BODY)]


def test_what_is_for_the_gate_goes_no_further_even_where_the_gate_forgets_it(wired: Wired) -> None:
    wired.gate.answer = allow()
    wired.send(headers=FOR_THE_GATE)
    (received,) = wired.provider.received
    assert dict(FOR_THE_GATE).keys() & received.headers.keys() == set()


def test_the_gate_itself_takes_away_what_is_for_it(tmp_path: Path) -> None:
    # Without the route's own removal: what is left is the gate's answer, under its mutation rules.
    config = yaml.load(reference("jwt"), Loader=yaml.CSafeLoader)
    del manager(config)["route_config"]["virtual_hosts"][0]["request_headers_to_remove"]
    with wire("jwt", tmp_path, template=yaml.safe_dump(config)) as wired:
        for wired.gate.answer in (allow(), allow(*dict(FOR_THE_GATE))):
            wired.send(headers=FOR_THE_GATE)
    seen = [dict(FOR_THE_GATE).keys() & each.headers.keys() for each in wired.provider.received]
    assert seen == [dict(FOR_THE_GATE).keys(), set()]


def test_no_answer_of_the_provider_passes_for_one_of_the_gate(wired: Wired) -> None:
    forged = dict.fromkeys((DECISION_ID, MANIFEST_HEADER, REASON), "forged")
    wired.provider.answer_with(b"{}", {**forged, "x-of-the-provider": "kept"})
    expected = {
        "content-type": "application/json",
        "content-length": "2",
        "server": "admissibility-gateway",
        "connection": "close",
        "x-of-the-provider": "kept",
    }
    assert without(wired.send(), "date") == Answer(200, expected, b"{}")
    wired.gate.answer = admitted(
        pb.OkHttpResponse(response_headers_to_add=[header(DECISION_ID, "d-1")])
    )
    assert without(wired.send(), "date").headers == {**expected, DECISION_ID: "d-1"}
    wired.provider.answer_with(b"{}")


NO_KEY = "[another]\naws_access_key_id = x\naws_secret_access_key = y\n"


def undropped(name: Gated) -> str:
    """The reference without its early removal of headers."""
    config = yaml.load(reference(name), Loader=yaml.CSafeLoader)
    del manager(config)["early_header_mutation_extensions"]
    return str(yaml.safe_dump(config))


@pytest.mark.parametrize("name", SITES)
def test_the_providers_key_replaces_a_clients_even_where_that_was_not_dropped(
    tmp_path: Path, name: Gated
) -> None:
    line, key = SITES[name].key
    clients = [(line, "AWS4-HMAC-SHA256 Credential=of-the-client"), ("X-Amz-Date", "of-the-client")]
    with wire(name, tmp_path, template=undropped(name)) as wired:
        wired.send(headers=clients if name == "bedrock" else clients[:1])
    (received,) = received_by(wired)
    (asked,) = wired.gate.asked
    names = [line.key for line in asked.attributes.request.http.header_map.headers]
    assert (received.headers[line], line in names) == (key, False)


def test_a_signer_without_a_key_would_let_a_clients_signature_go_on(tmp_path: Path) -> None:
    # A fact about Envoy, kept as a test: it is why the early removal comes before the guard.
    signed = [("Authorization", "AWS4-HMAC-SHA256 Credential=of-the-client")]
    seen = []
    for number, template in enumerate((undropped("bedrock"), None)):
        folder = tmp_path / str(number)
        with wire("bedrock", folder, template=template, document=NO_KEY) as wired:
            answer = wired.send(headers=signed)
            seen.append((answer.status, len(wired.provider.received)))
    assert seen == [(200, 1), (403, 0)]


@pytest.mark.parametrize("name", SITES)
def test_without_a_key_no_call_goes_on(tmp_path: Path, name: Gated) -> None:
    site = SITES[name]
    without_key = site.document().replace("provider-credential", "another-secret")
    without_key = NO_KEY if name == "bedrock" else without_key
    with wire(name, tmp_path, document=without_key) as wired:
        answer = wired.send()
    refused = 403 if name == "bedrock" else 401
    assert (answer.status, len(wired.gate.asked), wired.provider.received) == (refused, 1, [])


@pytest.mark.parametrize("name", SITES)
def test_the_provider_key_rotates_without_a_restart(tmp_path: Path, name: Gated) -> None:
    with wire(name, tmp_path) as wired:
        first, fresh = wired.site.document(), tmp_path / "fresh"
        wired.send()
        fresh.write_text(wired.site.document("AKIDNEXT"), encoding="utf-8")
        fresh.replace(wired.credential)
        end = time.monotonic() + PATIENCE_SECONDS
        while wired.site.key_in(wired.provider.received[-1]) != "AKIDNEXT":
            assert time.monotonic() < end
            wired.send()  # the file watch has no signal to wait on; each round is a real call
    used = [wired.site.key_in(received) for received in wired.provider.received]
    assert (used[-1], set(used)) == ("AKIDNEXT", {used[0], "AKIDNEXT"})
    assert used[0] in first


@pytest.mark.parametrize("name", [name for name, site in SITES.items() if site.tls])
def test_nothing_is_said_to_whoever_cannot_prove_to_be_the_provider(
    tmp_path: Path, name: Gated
) -> None:
    with wire(name, tmp_path, certified="elsewhere.example") as wired:
        answer = wired.send()
    assert (answer.status, len(wired.gate.asked), wired.provider.received) == (503, 1, [])
