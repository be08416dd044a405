"""What real Envoy does with the reference configurations, and facts about Envoy they rest on."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from cryptography import x509

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.toolchain.envoy_config import Gated, reference
from tests.envoy.doubles import LAST_CHUNK, Received
from tests.envoy.sites import BODY, CREDENTIAL, DOMAIN, SITES, WORKLOAD, Wired, allow, wire
from tests.integration.support.envoy import Answer, request_bytes
from tests.integration.support.spiffe import TrustDomain
from tests.integration.support.talk import PATIENCE_SECONDS

LIMIT = 20 * 1024 * 1024
XFCC = "xfcc-gate"
ALL = pytest.mark.parametrize("name", SITES)


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


def received_by(wired: Wired) -> list[Received]:
    """What reached the provider, with every signature verified."""
    return [wired.site.seen(received) for received in wired.provider.received]


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


@ALL
def test_without_a_gate_every_call_is_a_503(tmp_path: Path, name: Gated) -> None:
    with wire(name, tmp_path) as wired:
        wired.gate.stop()
        answers = [
            without(wired.send(method, target), "date")
            for method, target in (("POST", None), ("GET", "/anything"))
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
        (":path", wired.site.target.encode()),
        (":method", b"POST"),
        (":scheme", b"https" if wired.site.mutual else b"http"),
        ("x-dup", b"1"),
        ("x-dup", b"2"),
        *([] if wired.site.mutual else [(CREDENTIAL, b"jwt")]),
        ("content-length", b"22"),
        ("x-envoy-auth-partial-body", b"false"),
    ]
    assert (http.raw_body, http.body, dict(http.headers), http.size, http.method, http.path) == (
        raw,
        "",
        {},
        22,
        "POST",
        wired.site.target,
    )
    assert (
        dict(attributes.context_extensions),
        attributes.source.address.socket_address.address,
        attributes.destination.address.socket_address.port_value,
        (attributes.source.principal != "", attributes.source.certificate != ""),
    ) == (wired.site.routed(), "127.0.0.1", wired.envoy.port, (wired.site.mutual,) * 2)
    assert attributes.request.HasField("time")


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
    ]
    assert wired.send(headers=spoofed).status == 200
    (asked,) = wired.gate.asked
    seen = {
        line.key: line.raw_value
        for line in asked.attributes.request.http.header_map.headers
        if not line.key.startswith(":") and line.key not in {"x-request-id", "x-forwarded-for"}
    }
    # The one file whose peer, the edge, may say whose certificate a request came with.
    believed = {"x-forwarded-client-cert": forged.encode()} if wired.site.name == XFCC else {}
    assert seen == {
        **({} if wired.site.mutual else {CREDENTIAL: b"jwt"}),
        **believed,
        "host2": b"kept",
        "content-length": b"13",
        "x-forwarded-proto": b"https" if wired.site.mutual else b"http",
        "x-envoy-external-address": b"127.0.0.1",
        "x-envoy-auth-partial-body": b"false",
    }
    key, value = wired.site.key
    passed = {"host": wired.site.host, "host2": "kept", "content-length": "13", key: value}
    assert received_by(wired) == [Received("POST", wired.site.target, passed, BODY)]


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
    with wire("jwt", tmp_path, template=yaml.safe_dump(config)) as wired:
        for wired.gate.answer in (allow(), allow(CREDENTIAL)):
            wired.send(headers=[(CREDENTIAL, "jwt")])
    seen = [received.headers.get(CREDENTIAL) for received in wired.provider.received]
    assert seen == ["jwt", None]


NO_KEY = "[another]\naws_access_key_id = x\naws_secret_access_key = y\n"


def undropped(name: Gated) -> str:
    """The reference without its removal of headers at the door."""
    config = yaml.safe_load(reference(name))
    del manager_of(config)["early_header_mutation_extensions"]
    return str(yaml.safe_dump(config))


@ALL
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
    # A fact about Envoy, kept as a test: it is why the removal at the door comes before the guard.
    signed = [("Authorization", "AWS4-HMAC-SHA256 Credential=of-the-client")]
    seen = []
    for number, template in enumerate((undropped("bedrock"), None)):
        folder = tmp_path / str(number)
        with wire("bedrock", folder, template=template, document=NO_KEY) as wired:
            answer = wired.send(headers=signed)
            seen.append((answer.status, len(wired.provider.received)))
    assert seen == [(200, 1), (403, 0)]


@ALL
def test_without_a_key_no_call_goes_on(tmp_path: Path, name: Gated) -> None:
    site = SITES[name]
    without_key = site.document().replace("provider-credential", "another-secret")
    without_key = NO_KEY if name == "bedrock" else without_key
    with wire(name, tmp_path, document=without_key) as wired:
        answer = wired.send()
    refused = 403 if name == "bedrock" else 401
    assert (answer.status, len(wired.gate.asked), wired.provider.received) == (refused, 1, [])


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


STRANGE = [
    "/v1//chat/completions",
    "/v1/files/../chat/completions",
    "/v1/x%2f..%2fchat/completions;a=1",
    "/v1/%63hat\\completions?model=a&model=b",
    "/model/arn%3Aaws%3Abedrock%2Fx%252Fy/converse",
    "/openai/anything",
    "/",
]


@pytest.mark.parametrize("target", STRANGE)
def test_every_path_is_checked_and_goes_on_as_it_came(wired: Wired, target: str) -> None:
    answer = wired.send(target=target)
    (asked,) = wired.gate.asked
    http = asked.attributes.request.http
    # Of vllm.yaml, none of these is a route; the gate has seen them all the same.
    routed = wired.site.name != "vllm"
    assert (http.path, http.query, answer.status) == (target, "", 200 if routed else 403)
    assert [received.target for received in wired.provider.received] == [target] * routed
    assert asked.attributes.context_extensions["route_class"] == "api"


def test_an_arn_is_signed_and_sent_with_its_slashes_escaped(tmp_path: Path) -> None:
    targets = [SITES["bedrock"].target, f"{SITES['bedrock'].target}?x=a%2Fb&y=", *STRANGE[4:5]]
    with wire("bedrock", tmp_path) as wired:
        for target in targets:
            wired.send(target=target)
        assert [received.target for received in received_by(wired)] == targets


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    with wire("vllm", tmp_path_factory.mktemp("vllm")) as found:
        yield found


@pytest.fixture
def served(vllm: Wired) -> Wired:
    """`envoy/vllm.yaml` as it stands."""
    vllm.reset()
    return vllm


@pytest.mark.parametrize(
    "target",
    [
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/invocations",
        "/inference/v1/generate",
        "/update_weights",
        "/collective_rpc",
        "/reset_prefix_cache",
        "/sleep",
        "/server_info",
        "/metrics",
        "/v1/tokenize",
        "/v1/%6coad_lora_adapter",
        "/v1/models/../load_lora_adapter",
        "/v1/chat/completions/",
        "/v1/chat/completions;/../../load_lora_adapter",
        "/v1/chat%2Fcompletions",
    ],
)
def test_what_administers_a_server_has_no_route_even_where_the_gate_allows_it(
    served: Wired, target: str
) -> None:
    for method in ("POST", "GET"):
        assert without(served.send(method, target), "date") == by_envoy(403)
    asked = [each.attributes for each in served.gate.asked]
    assert [(each.request.http.path, dict(each.context_extensions)) for each in asked] == [
        (target, served.site.routed())
    ] * 2
    assert served.provider.received == []


@pytest.mark.parametrize("name", [name for name, site in SITES.items() if site.uploads])
def test_only_uploads_are_decided_without_their_body(tmp_path: Path, name: Gated) -> None:
    site = SITES[name]
    first = site.uploads[0]
    near = [f"{first}/", f"{first}/../x", f"/x{first}", f"{first}x", first.replace("/", "//")]
    with wire(name, tmp_path) as wired:
        for target in (*site.uploads, *near):
            wired.send(target=target)
        asked = [
            (
                each.attributes.request.http.path,
                dict(each.attributes.context_extensions),
                len(each.attributes.request.http.raw_body),
            )
            for each in wired.gate.asked
        ]
    assert asked == [
        *((target, site.routed("upload"), 0) for target in site.uploads),
        *((target, site.routed(), len(BODY)) for target in near),
    ]
    assert [received.body for received in wired.provider.received] == [BODY] * len(asked)


def test_an_upload_of_any_size_passes_without_being_held(tmp_path: Path) -> None:
    body = b"x" * (LIMIT + LIMIT // 2)
    with wire("jwt", tmp_path) as wired:
        assert wired.send(target="/v1/files", body=body).status == 200
        (asked,) = wired.gate.asked
    assert asked.attributes.request.http.raw_body == b""
    assert [received.body == body for received in wired.provider.received] == [True]


def test_a_body_is_seen_whole_or_the_request_ends(wired: Wired) -> None:
    fits = wired.send(body=b" " * LIMIT)
    too_large = wired.send(body=b" " * (LIMIT + 1))
    sizes = [len(asked.attributes.request.http.raw_body) for asked in wired.gate.asked]
    passed = [len(received.body) for received in received_by(wired)]
    assert (fits.status, without(too_large, "date"), sizes, passed) == (
        200,
        by_envoy(413, b"Payload Too Large"),
        [LIMIT],
        [LIMIT],
    )


def test_an_upgrade_is_refused_before_anyone_sees_it(wired: Wired) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    answers = []
    for method, body in (("GET", b""), ("POST", BODY)):
        request = request_bytes(method, "/v1/realtime", upgrade, body)
        answers.append(wired.send_bytes(request.replace(b"Connection: close\r\n", b"")))
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


@ALL
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


@ALL
def test_an_admitted_stream_ends_before_a_long_answer_does(tmp_path: Path, name: Gated) -> None:
    # The same bounds, shorter: of a stream that would go on for long, the end never comes.
    for bound in ("0.5s", "5s", "15s"):
        short = reference(name).replace("300s", bound)
        with wire(name, tmp_path / bound, template=short) as wired:
            wired.provider.go_on()
            answer = wired.send()
        if answer.status == 200:  # else it was over before it began, as on a busy machine
            break
    assert (answer.status, b"." in answer.body, answer.body.endswith(LAST_CHUNK)) == (
        200,
        True,
        False,
    )


@pytest.mark.parametrize("name", [name for name, site in SITES.items() if site.tls])
def test_nothing_is_said_to_whoever_cannot_prove_to_be_the_provider(
    tmp_path: Path, name: Gated
) -> None:
    with wire(name, tmp_path, certified="elsewhere.example") as wired:
        answer = wired.send()
    assert (answer.status, len(wired.gate.asked), wired.provider.received) == (503, 1, [])


@pytest.mark.parametrize(
    "path",
    ["/config_dump", "/runtime_modify?admissibility.deny_at_disable=false", "/quitquitquit", "/"],
)
def test_the_admin_interface_only_reads(wired: Wired, path: str) -> None:
    statuses = [wired.envoy.ask_admin(path, method)[0] for method in ("GET", "POST")]
    assert statuses == [403, 403]
    assert wired.envoy.ask_admin("/ready") == (200, "LIVE\n")


@pytest.fixture
def mutual_tls(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/mtls.yaml` as it stands, trusting one freshly made trust domain."""
    with wire("mtls", tmp_path) as found:
        yield found


def test_over_mtls_the_gate_learns_the_certificate_from_envoy(mutual_tls: Wired) -> None:
    client = mutual_tls.domain.issue(WORKLOAD)
    forged = [(CREDENTIAL, "jwt"), ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/forged")]
    wired = replace(mutual_tls, client=client.client_context(mutual_tls.domain.bundle))
    assert wired.send(headers=forged).status == 200
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


@pytest.mark.parametrize("kind", ["none", "other domain", "same name, other root"])
def test_without_a_certificate_of_the_trust_domain_nothing_is_said(
    mutual_tls: Wired, tmp_path: Path, kind: str
) -> None:
    if kind == "none":
        context = ssl.create_default_context(cafile=str(mutual_tls.domain.bundle))
        context.check_hostname = False
    else:
        name = "other.example" if kind == "other domain" else DOMAIN
        stranger = TrustDomain(name, tmp_path / "stranger").issue(WORKLOAD)
        context = stranger.client_context(mutual_tls.domain.bundle)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        replace(mutual_tls, client=context).send()
    assert (mutual_tls.gate.asked, mutual_tls.provider.received) == ([], [])


def test_plain_http_to_the_mtls_listener_is_not_answered(mutual_tls: Wired) -> None:
    with socket.create_connection(("127.0.0.1", mutual_tls.envoy.port), timeout=20) as plain:
        plain.sendall(request_bytes("POST", "/", None, BODY))
        try:
            received = plain.recv(1)
        except ConnectionError:
            received = b""
    assert (received, mutual_tls.gate.asked) == (b"", [])
