"""Requests that two readers could read differently: refused through real Envoy, by name.

Every case states the exact status and code, and that nothing at all reached the provider.
"""

from __future__ import annotations

import gzip
import json
import re

import pytest

from admissibility_devtools.demo.authorities import UNLISTED_BASE
from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.upstream import ReceivedRequest
from tests.support.site.stand import Stand
from tests.support.site.talk import (
    CHAT,
    JSON_TYPE,
    Lines,
    Seen,
    Talk,
    Verdict,
    chunked,
    head,
    told,
)

MALFORMED = (400, "malformed_request")
AMBIGUOUS = (400, "ambiguous_model")
UNSUPPORTED = (403, "unsupported_operation")
BY_ENVOY = (400, "")
"""Refused by Envoy's own parser, before the gate was asked."""


def refused(verdict: Verdict) -> Seen:
    return Seen(verdict, ())


# ---- what an admitted request is when it arrives -------------------------------------------------


def headers(received: ReceivedRequest) -> dict[str, str]:
    found = dict(received.headers)
    assert len(found) == len(received.headers)
    return found


def test_an_admitted_request_arrives_byte_for_byte_with_the_providers_key_and_nothing_of_ours(
    stand: Stand, talk: Talk
) -> None:
    body = b' {"messages" : [ ],\n"model":"%s", "user":"\xc3\xa9\\u0041 \\/ 1.0"}\r\n'
    body %= talk.model.encode()
    lines: Lines = [
        *talk.lines,
        ("Authorization", "Bearer sk-of-the-client"),
        ("X-Admissibility-Reason", "admitted"),
        ("x-admissibility-decision-id", "0"),
        ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/env/prod"),
        ("x-envoy-original-path", "/v1/other"),
        ("OpenAI-Organization", "org-of-the-client"),
        ("OpenAI-Project", "proj_of_the_client"),
        ("OpenAI-Beta", "responses=v1"),
        ("X-Stainless-Lang", "python"),
    ]
    seen = talk.seen(lambda: talk.call(body, lines=lines))
    (received,) = seen.reached
    assert (seen.verdict, received.method, received.path, received.body) == (
        (200, "admitted"),
        "POST",
        CHAT,
        body,
    )
    assert headers(received) == {
        "host": "gateway.example",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "authorization": f"Bearer {stand.stage.upstream.api_key}",
        "openai-beta": "responses=v1",
        "x-stainless-lang": "python",
    }


def test_a_chunked_body_is_seen_whole_and_goes_on_whole(talk: Talk) -> None:
    body = talk.body()
    seen = talk.seen(lambda: talk.raw(chunked(talk, body)))
    assert (seen.verdict, [r.body for r in seen.reached]) == ((200, "admitted"), [body])


def test_a_chunked_body_that_names_another_model_at_its_end_is_refused(talk: Talk) -> None:
    body = talk.body()[:-1] + b', "model": "%s"}' % UNLISTED_BASE.encode()
    assert talk.seen(lambda: talk.raw(chunked(talk, body))) == refused(MALFORMED)


# ---- the path ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/..%2fchat/completions",
        "/v1/..%2fv1/chat/completions",
        "/v1/chat/../chat/completions",
        "/v1/./chat/completions",
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions;x",
        "/v1/chat/completions;x=y",
        "/v1/%63hat/completions",
        "/v1/chat%2fcompletions",
        "/v1/chat%2Fcompletions",
        "/v1\\chat\\completions",
        "/v1/chat\\..\\chat/completions",
        "/v1/chat/completions%00",
        "/v1/chat/completions%20",
        "/v1/chat/completions%3Fmodel=x",
    ],
)
def test_a_path_that_two_readers_could_read_differently_is_malformed(
    talk: Talk, target: str
) -> None:
    assert talk.seen(lambda: talk.call(target=target)) == refused(MALFORMED)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/chat/completions/x"),
        ("POST", "/V1/chat/completions"),
        ("GET", CHAT),
        ("DELETE", "/v1/models/{model}"),
        ("GET", "/v1/models"),
        ("POST", "/v1/files"),
        ("POST", "/v1/images/undoings"),
        ("POST", "/v1/assistants"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/openai/deployments/support/chat/completions"),
    ],
)
def test_an_operation_that_is_not_in_the_table_is_refused_by_name(
    talk: Talk, method: str, target: str
) -> None:
    target = target.format(model=talk.model)
    body = b"" if method in {"GET", "DELETE"} else None
    assert talk.seen(lambda: talk.call(body, method=method, target=target)) == refused(UNSUPPORTED)


@pytest.mark.parametrize("segment", ["..", "a%2Fb", "a%252Fb", "a;b", "a%00", "a\\b", "caf%C3%A9"])
def test_a_model_in_the_path_is_plain_or_malformed(talk: Talk, segment: str) -> None:
    target = f"/v1/models/{segment}"
    assert talk.seen(lambda: talk.call(b"", method="GET", target=target)) == refused(MALFORMED)


def test_a_model_in_the_path_is_judged_as_the_upstream_will_decode_it(talk: Talk) -> None:
    outcomes = {
        model: talk.seen(lambda m=model: talk.call(b"", method="GET", target=f"/v1/models/{m}"))  # type: ignore[misc]
        for model in (talk.model, talk.model.replace(":", "%3A"), UNLISTED_BASE, "gpt%2D4o")
    }
    assert outcomes == {
        talk.model: refused((403, "operation_not_covered")),
        talk.model.replace(":", "%3A"): refused((403, "operation_not_covered")),
        UNLISTED_BASE: refused((403, "base_model_not_listed")),
        "gpt%2D4o": refused((403, "manifest_missing")),
    }


@pytest.mark.parametrize(
    ("query", "verdict"),
    [
        ("model=x", AMBIGUOUS),
        ("model={model}", AMBIGUOUS),
        ("a=1&MODEL=x", AMBIGUOUS),
        ("m%6Fdel=x", AMBIGUOUS),
        ("model[]=x", AMBIGUOUS),
        ("a=1;model=x", AMBIGUOUS),
        ("deployment=x", AMBIGUOUS),
        ("api-version=2024-10-21", MALFORMED),
        ("", MALFORMED),
    ],
)
def test_a_query_beside_the_body_is_refused(talk: Talk, query: str, verdict: Verdict) -> None:
    target = f"{CHAT}?{query.format(model=talk.model)}"
    assert talk.seen(lambda: talk.call(target=target)) == refused(verdict)


# ---- the head ------------------------------------------------------------------------------------


def test_a_websocket_upgrade_with_a_body_reaches_nobody(talk: Talk) -> None:
    body = talk.body()
    lines = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Content-Length", str(len(body))),
    ]
    request = head(talk, "POST", CHAT, lines) + body
    assert talk.seen(lambda: talk.raw(request)) == refused((403, ""))


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (("Content-Encoding", "gzip"), (415, "unsupported_encoding")),
        (("Content-Encoding", "br"), (415, "unsupported_encoding")),
        (("Content-Encoding", "identity, gzip"), (415, "unsupported_encoding")),
        (("Content-Type", "text/plain"), MALFORMED),
        (("content-type", "application/json"), MALFORMED),
        (("X_Environment_Credential", "x"), BY_ENVOY),
        (("content_length", "3"), BY_ENVOY),
        (("X-HTTP-Method-Override", "GET"), AMBIGUOUS),
        (("X-Original-URL", "/v1/files"), AMBIGUOUS),
        (("x-ms-oai-image-generation-deployment", "y"), AMBIGUOUS),
        (("azureml-model-deployment", "y"), AMBIGUOUS),
        (("X-Gateway-Model-Name", "y"), AMBIGUOUS),
        (("X-Gateway-Destination-Endpoint", "127.0.0.1:1"), AMBIGUOUS),
        (("X-LiteLLM-Tags", "y"), AMBIGUOUS),
        (("X-Amz-Target", "Service.Operation"), AMBIGUOUS),
    ],
)
def test_a_header_that_two_readers_could_read_differently_is_refused(
    talk: Talk, line: tuple[str, str], verdict: Verdict
) -> None:
    assert talk.seen(lambda: talk.call(lines=[*talk.lines, line])) == refused(verdict)


def test_a_compressed_body_is_refused_and_not_unpacked(talk: Talk) -> None:
    lines = [*talk.lines, ("Content-Encoding", "gzip")]
    body = gzip.compress(talk.body())
    seen = talk.seen(lambda: talk.call(body, lines=lines))
    assert seen == refused((415, "unsupported_encoding"))


@pytest.mark.parametrize("order", [1, -1], ids=["good first", "good last"])
def test_a_second_credential_is_refused_whichever_comes_first(talk: Talk, order: int) -> None:
    both = [*talk.credential, (CREDENTIAL_HEADER, "eyJ.eyJ.x")][::order]
    assert talk.seen(lambda: talk.call(lines=[*both, JSON_TYPE])) == refused(MALFORMED)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ],
)
def test_a_body_of_another_type_is_malformed(talk: Talk, value: str) -> None:
    lines = [*talk.credential, ("Content-Type", value)]
    assert talk.seen(lambda: talk.call(lines=lines)) == refused(MALFORMED)


def test_no_header_stands_for_a_credential(talk: Talk) -> None:
    spoofed = [
        JSON_TYPE,
        ("X-Forwarded-Client-Cert", "URI=spiffe://acme.example/env/prod"),
        ("X-Admissibility-Reason", "admitted"),
        ("X-Admissibility-Environment", "spiffe://acme.example/env/prod"),
        ("X-Envoy-Peer-Metadata", "x"),
        ("Authorization", f"Bearer {dict(talk.credential)[CREDENTIAL_HEADER]}"),
    ]
    seen = talk.seen(lambda: talk.call(lines=spoofed))
    assert seen == refused((401, "credential_missing"))


@pytest.mark.parametrize("lie", [-1, 5])
def test_a_length_that_is_not_the_bodys_ends_the_request(talk: Talk, lie: int) -> None:
    body = talk.body()
    length = ("Content-Length", str(len(body) + lie)), ("Content-Length", str(len(body)))
    request = head(talk, "POST", CHAT, [*length]) + body
    assert talk.seen(lambda: talk.raw(request)) == refused(BY_ENVOY)


@pytest.mark.parametrize(
    "hosts",
    [("a.example", "b.example"), ("a.example,b.example",), ("a.example,",), ("a@b.example",)],
)
def test_a_host_that_two_readers_could_read_differently_is_refused(
    talk: Talk, hosts: tuple[str, ...]
) -> None:
    """Envoy joins two lines by a comma; an ingress behind it would take one of them."""
    body = talk.body()
    lines = [*talk.lines, ("Content-Length", str(len(body))), ("Connection", "close")]
    named = [("Host", host) for host in hosts]
    text = "".join(f"{name}: {value}\r\n" for name, value in [*named, *lines])
    request = f"POST {CHAT} HTTP/1.1\r\n{text}\r\n".encode() + body
    seen = talk.seen(lambda: talk.raw(request))
    assert seen in (refused(MALFORMED), refused(BY_ENVOY))


def test_two_framings_of_one_body_are_refused(talk: Talk) -> None:
    lines = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]
    request = head(talk, "POST", CHAT, lines) + b"0\r\n\r\n"
    assert talk.seen(lambda: talk.raw(request)) == refused(BY_ENVOY)


def test_an_admitted_model_in_each_operation_that_the_manifest_covers(talk: Talk) -> None:
    outcomes = {
        target: talk.seen(lambda t=target: talk.call(talk.body(), target=t)).verdict  # type: ignore[misc]
        for target in (CHAT, "/v1/responses", "/v1/completions", "/v1/embeddings")
    }
    assert outcomes == {
        CHAT: (200, "admitted"),
        "/v1/responses": (200, "admitted"),
        "/v1/completions": (403, "operation_not_covered"),
        "/v1/embeddings": (403, "operation_not_covered"),
    }


def test_a_denial_tells_a_client_nothing_of_the_body_and_a_way_out(talk: Talk) -> None:
    answer = talk.call(b'{"model": "@", "secret": "hunter2", "secret": 1}')
    value = json.loads(answer.body)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-admissibility-decision-id"])
    assert (told(answer), answer.headers["content-type"], value) == (
        MALFORMED,
        "application/json",
        {
            "error": {
                "message": "body: a key is given twice. Send a well-formed request in the form"
                " the operation documents.",
                "type": "invalid_request_error",
                "code": "malformed_request",
                "param": None,
                "decision_id": answer.headers["x-admissibility-decision-id"],
            }
        },
    )
