"""What real Envoy does with the reference configurations, and facts about Envoy they rest on."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from cryptography import x509

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.toolchain.envoy_config import credential_document, reference
from tests.envoy.conftest import CREDENTIAL, INJECTED, WORKLOAD, MutualTls, Wired, allow, wire
from tests.envoy.doubles import Received
from tests.integration.support.envoy import Answer, exchange, request_bytes
from tests.integration.support.spiffe import TrustDomain

BODY = b'{"model":"m"}'
LIMIT = 1048576


def header(name: str, value: str) -> pb.HeaderValueOption:
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, value=value),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def without(answer: Answer, *names: str) -> Answer:
    kept = {name: value for name, value in answer.headers.items() if name not in names}
    return Answer(answer.status, kept, answer.body)


def by_envoy(status: int, body: bytes = b"") -> Answer:
    """An answer that Envoy makes by itself."""
    headers = {
        "server": "admissibility-gateway",
        "connection": "close",
        "content-length": str(len(body)),
    }
    if body:
        headers["content-type"] = "text/plain"
    return Answer(status, headers, body)


def test_an_empty_answer_of_the_gate_is_an_allow_in_envoy(wired: Wired) -> None:
    # A fact about Envoy, kept as a test: it is why every reply of the gate starts as a denial.
    wired.gate.answer = pb.CheckResponse()
    assert wired.gate.answer.SerializeToString() == b""
    assert wired.send().status == 200
    assert [received.body for received in wired.provider.received] == [BODY]


def test_a_denial_reaches_the_client_whole_and_the_provider_not_at_all(wired: Wired) -> None:
    wired.gate.answer = pb.CheckResponse(
        status=pb.Status(code=16),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=401),
            headers=[
                header("content-type", "application/json"),
                header("x-admissibility-reason", "credential_missing"),
            ],
            body='{"error":{}}',
        ),
    )
    assert without(wired.send(), "date") == Answer(
        401,
        {
            "content-type": "application/json",
            "x-admissibility-reason": "credential_missing",
            "content-length": "12",
            "server": "admissibility-gateway",
            "connection": "close",
        },
        b'{"error":{}}',
    )
    assert wired.provider.received == []


def test_an_allow_can_tell_the_client_the_decision(wired: Wired) -> None:
    wired.gate.answer = pb.CheckResponse(
        ok_response=pb.OkHttpResponse(
            response_headers_to_add=[header("x-admissibility-decision-id", "d-1")]
        )
    )
    assert wired.send().headers["x-admissibility-decision-id"] == "d-1"


def test_without_a_gate_every_call_is_a_503(tmp_path: Path) -> None:
    with wire(reference("jwt"), tmp_path) as wired:
        wired.gate.stop()
        answers = [
            without(wired.send(method, target), "date")
            for method, target in (("POST", "/v1/chat/completions"), ("GET", "/anything"))
        ]
    assert (answers, wired.provider.received) == ([by_envoy(503), by_envoy(503)], [])


def test_the_gate_sees_exactly_what_the_client_sent_and_what_the_operator_said(
    wired: Wired,
) -> None:
    raw = b'{"model":"m","x":"\xff\xfe"}'
    wired.send(headers=[("x-dup", "1"), ("x-dup", "2"), (CREDENTIAL, "jwt")], body=raw)
    (asked,) = wired.gate.asked
    attributes = asked.attributes
    http = attributes.request.http
    lines = [(line.key, line.raw_value) for line in http.header_map.headers]
    own = ("x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address")
    assert [line for line in lines if line[0] not in own] == [
        (":authority", b"gateway.example"),
        (":path", b"/v1/chat/completions"),
        (":method", b"POST"),
        (":scheme", b"http"),
        ("x-dup", b"1"),
        ("x-dup", b"2"),
        (CREDENTIAL, b"jwt"),
        ("content-length", b"22"),
        ("x-envoy-auth-partial-body", b"false"),
    ]
    assert (http.raw_body, http.body, dict(http.headers), http.size, http.method, http.path) == (
        raw,
        "",
        {},
        22,
        "POST",
        "/v1/chat/completions",
    )
    assert (
        dict(attributes.context_extensions),
        attributes.source.address.socket_address.address,
        attributes.source.principal,
        attributes.destination.address.socket_address.port_value,
    ) == ({"provider": "openai", "route_class": "api"}, "127.0.0.1", "", wired.envoy.port)
    assert attributes.request.HasField("time")


def test_the_client_has_no_say_in_keys_prefixes_or_addresses(wired: Wired) -> None:
    spoofed = [
        ("Authorization", "Bearer of-the-client"),
        ("Proxy-Authorization", "Basic eA=="),
        ("API-Key", "of-the-client"),
        ("X-API-Key", "of-the-client"),
        ("X-Goog-API-Key", "of-the-client"),
        ("X-Admissibility-Decision-Id", "forged"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/forged"),
        ("X-Envoy-Upstream-Rq-Timeout-Ms", "1"),
        ("X-Request-Id", "forged"),
        (CREDENTIAL, "jwt"),
    ]
    assert wired.send(headers=spoofed).status == 200
    (asked,) = wired.gate.asked
    seen = {
        line.key: line.raw_value
        for line in asked.attributes.request.http.header_map.headers
        if not line.key.startswith(":") and line.key not in {"x-request-id", "x-forwarded-for"}
    }
    assert seen == {
        CREDENTIAL: b"jwt",
        "content-length": b"13",
        "x-forwarded-proto": b"http",
        "x-envoy-external-address": b"127.0.0.1",
        "x-envoy-auth-partial-body": b"false",
    }
    assert wired.provider.received == [
        Received(
            "POST",
            "/v1/chat/completions",
            {"host": "gateway.example", "content-length": "13", "authorization": INJECTED},
            BODY,
        )
    ]


def test_the_credential_goes_no_further_even_where_the_gate_forgets_it(wired: Wired) -> None:
    wired.gate.answer = allow()
    wired.send(headers=[(CREDENTIAL, "jwt")])
    (received,) = wired.provider.received
    assert CREDENTIAL not in received.headers


def manager_of(config: dict[str, Any]) -> dict[str, Any]:
    (listener,) = config["static_resources"]["listeners"]
    typed: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return typed


def test_the_gate_itself_takes_the_credential_away(tmp_path: Path) -> None:
    # Without the route's own removal: what is left is the gate's answer, under its mutation rules.
    config = yaml.safe_load(reference("jwt"))
    del manager_of(config)["route_config"]["virtual_hosts"][0]["request_headers_to_remove"]
    with wire(yaml.safe_dump(config), tmp_path) as wired:
        for wired.gate.answer in (allow(), allow(CREDENTIAL)):
            wired.send(headers=[(CREDENTIAL, "jwt")])
    seen = [received.headers.get(CREDENTIAL) for received in wired.provider.received]
    assert seen == ["jwt", None]


def test_the_injected_key_replaces_a_clients_even_where_that_was_not_dropped(
    tmp_path: Path,
) -> None:
    # Without the removal at the door: what is left is the injector's `overwrite`.
    config = yaml.safe_load(reference("jwt"))
    del manager_of(config)["early_header_mutation_extensions"]
    with wire(yaml.safe_dump(config), tmp_path) as wired:
        wired.send(headers=[("Authorization", "Bearer of-the-client")])
    (received,) = wired.provider.received
    (asked,) = wired.gate.asked
    names = [line.key for line in asked.attributes.request.http.header_map.headers]
    assert (received.headers["authorization"], "authorization" in names) == (INJECTED, False)


def test_without_a_key_to_inject_no_call_goes_on(tmp_path: Path) -> None:
    another = credential_document(INJECTED).replace("provider-credential", "another-secret")
    with wire(reference("jwt"), tmp_path, document=another) as wired:
        answer = wired.send()
    assert (answer.status, len(wired.gate.asked), wired.provider.received) == (401, 1, [])


@pytest.mark.parametrize(
    "name", ["authorization", "host", ":path", "x-other", "x-environment-credential2"]
)
def test_a_gate_that_touches_more_than_its_own_headers_is_an_error(wired: Wired, name: str) -> None:
    answers = []
    for ok in (
        pb.OkHttpResponse(headers=[header(name, "v")]),
        pb.OkHttpResponse(headers_to_remove=[name]),
    ):
        wired.gate.answer = pb.CheckResponse(ok_response=ok)
        answers.append(wired.send(headers=[("x-other", "1")]).status)
    assert (answers, wired.provider.received) == ([500, 500], [])


@pytest.mark.parametrize(
    "target",
    [
        "/v1//chat/completions",
        "/v1/files/../chat/completions",
        "/v1/x%2f..%2fchat/completions;a=1",
        "/v1/%63hat\\completions?model=a&model=b",
        "/openai/anything",
        "/",
    ],
)
def test_every_path_is_checked_and_goes_on_as_it_came(wired: Wired, target: str) -> None:
    wired.send(target=target)
    (asked,) = wired.gate.asked
    (received,) = wired.provider.received
    http = asked.attributes.request.http
    assert (http.path, http.query, received.target) == (target, "", target)
    assert asked.attributes.context_extensions["route_class"] == "api"


@pytest.mark.parametrize(
    ("target", "route_class", "seen_by_gate"),
    [
        ("/v1/files", "upload", 0),
        ("/v1/uploads", "upload", 0),
        ("/v1/uploads/u-1/parts?x=1", "upload", 0),
        ("/v1/files/", "api", len(BODY)),
        ("/v1/uploads/../files", "api", len(BODY)),
    ],
)
def test_only_uploads_are_decided_without_their_body(
    wired: Wired, target: str, route_class: str, seen_by_gate: int
) -> None:
    wired.send(target=target)
    (asked,) = wired.gate.asked
    assert (
        dict(asked.attributes.context_extensions),
        len(asked.attributes.request.http.raw_body),
        [received.body for received in wired.provider.received],
    ) == ({"provider": "openai", "route_class": route_class}, seen_by_gate, [BODY])


def test_a_body_is_seen_whole_or_the_request_ends(wired: Wired) -> None:
    fits = wired.send(body=b" " * LIMIT)
    too_large = wired.send(body=b" " * (LIMIT + 1))
    sizes = [len(asked.attributes.request.http.raw_body) for asked in wired.gate.asked]
    assert (fits.status, without(too_large, "date"), sizes) == (
        200,
        by_envoy(413, b"Payload Too Large"),
        [LIMIT],
    )


def test_an_upgrade_is_refused_before_anyone_sees_it(wired: Wired) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    answers = []
    for method, body in (("GET", b""), ("POST", BODY)):
        request = request_bytes(method, "/v1/realtime", upgrade, body)
        answers.append(exchange(wired.envoy.port, request.replace(b"Connection: close\r\n", b"")))
    assert [without(answer, "date") for answer in answers] == [by_envoy(403), by_envoy(403)]
    assert (wired.gate.asked, wired.provider.received) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        [("x_environment_credential", "jwt")],
        [("Transfer-Encoding", "chunked")],
        [("x", "1" * 40000)],
        [(f"x-{number}", "1") for number in range(70)],
    ],
    ids=["underscore", "chunked and length", "long", "many"],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(
    wired: Wired, headers: list[tuple[str, str]]
) -> None:
    assert wired.send(headers=headers).status in {400, 431}
    assert (wired.gate.asked, wired.provider.received) == ([], [])


def test_the_provider_key_rotates_without_a_restart(wired: Wired, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.yaml"
    fresh.write_text(credential_document("Bearer sk-next"), encoding="utf-8")
    fresh.replace(tmp_path / "credential.yaml")
    for _ in range(400):  # the file watch has no signal to wait on; each round is a real call
        wired.send()
        if wired.provider.received[-1].headers["authorization"] == "Bearer sk-next":
            break
    used = [received.headers["authorization"] for received in wired.provider.received]
    assert (used[-1], set(used) - {INJECTED, "Bearer sk-next"}) == ("Bearer sk-next", set())


@pytest.mark.parametrize(
    "path",
    ["/config_dump", "/runtime_modify?admissibility.deny_at_disable=false", "/quitquitquit", "/"],
)
def test_the_admin_interface_only_reads(wired: Wired, path: str) -> None:
    statuses = [wired.envoy.ask_admin(path, method)[0] for method in ("GET", "POST")]
    assert statuses == [403, 403]
    assert wired.envoy.ask_admin("/ready") == (200, "LIVE\n")


def test_over_mtls_the_gate_learns_the_certificate_from_envoy(mutual_tls: MutualTls) -> None:
    wired, client = mutual_tls.wired, mutual_tls.client
    forged = [(CREDENTIAL, "jwt"), ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/forged")]
    request = request_bytes("POST", "/v1/chat/completions", forged, BODY)
    context = client.client_context(mutual_tls.domain.bundle)
    assert exchange(wired.envoy.port, request, context).status == 200
    (asked,) = wired.gate.asked
    source = asked.attributes.source
    sent = x509.load_pem_x509_certificate(unquote(source.certificate).encode("ascii"))
    expected = x509.load_pem_x509_certificate(client.certificate.read_bytes())
    names = {line.key for line in asked.attributes.request.http.header_map.headers}
    assert (source.principal, sent, asked.attributes.tls_session.sni) == (
        f"spiffe://acme.example{WORKLOAD}",
        expected,
        "gateway.example",
    )
    assert names.isdisjoint({CREDENTIAL, "x-forwarded-client-cert"})
    (received,) = wired.provider.received
    assert received.headers == {
        "host": "gateway.example",
        "content-length": "13",
        "authorization": INJECTED,
    }


@pytest.mark.parametrize("kind", ["none", "other domain", "same name, other root"])
def test_without_a_certificate_of_the_trust_domain_nothing_is_said(
    mutual_tls: MutualTls, tmp_path: Path, kind: str
) -> None:
    if kind == "none":
        context = ssl.create_default_context(cafile=str(mutual_tls.domain.bundle))
        context.check_hostname = False
    else:
        name = "other.example" if kind == "other domain" else "acme.example"
        stranger = TrustDomain(name, tmp_path / "stranger").issue(WORKLOAD)
        context = stranger.client_context(mutual_tls.domain.bundle)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exchange(mutual_tls.wired.envoy.port, request_bytes("POST", "/", None, BODY), context)
    assert (mutual_tls.wired.gate.asked, mutual_tls.wired.provider.received) == ([], [])


def test_plain_http_to_the_mtls_listener_is_not_answered(mutual_tls: MutualTls) -> None:
    with socket.create_connection(("127.0.0.1", mutual_tls.wired.envoy.port), timeout=20) as plain:
        plain.sendall(request_bytes("POST", "/", None, BODY))
        try:
            received = plain.recv(1)
        except ConnectionError:
            received = b""
    assert (received, mutual_tls.wired.gate.asked) == (b"", [])
