"""What real Envoy makes of the gate's answers, and of a gate that gives none.

Some are facts about Envoy itself, which the argument rests on.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import Gated, reference
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.answers import header, without
from tests.process.envoy.doubles import LAST_CHUNK, admitted
from tests.process.envoy.local_replies import BY_ITSELF, NO_GATE, SEALED, replied, shown
from tests.process.envoy.sites import CREDENTIAL, SITES, Wired, wire
from tests.support.site.envoy import Answer


def test_an_empty_answer_of_the_gate_is_an_allow_to_ext_authz_and_ends_at_the_seal(
    wired: Wired,
) -> None:
    # A fact about Envoy, kept as a test: it is why every reply of the gate starts as a denial.
    wired.gate.answer = pb.CheckResponse()
    assert wired.gate.answer.SerializeToString() == b""
    assert shown(wired.send()) == replied(wired.site.name, BY_ITSELF, 403, SEALED)
    assert wired.provider.received == []


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
    wired.gate.answer = admitted(
        pb.OkHttpResponse(response_headers_to_add=[header("x-admissibility-decision-id", "d-1")])
    )
    assert wired.send().headers["x-admissibility-decision-id"] == "d-1"


@pytest.mark.parametrize("name", SITES)
def test_without_a_gate_every_call_is_a_503(tmp_path: Path, name: Gated) -> None:
    with wire(name, tmp_path) as wired:
        wired.gate.stop()
        answers = [
            shown(wired.send(method, target))
            for method, target in (("POST", None), ("GET", "/anything"))
        ]
    dead = replied(name, NO_GATE, 503, "ext_authz_error")
    assert (answers, wired.provider.received) == ([dead, dead], [])


def test_the_gate_sees_exactly_what_the_client_sent_and_what_the_operator_said(
    wired: Wired,
) -> None:
    raw = b'{"model":"m","x":"\xff\xfe"}'
    wired.send(headers=[("x-dup", "1"), ("x-dup", "2"), (CREDENTIAL, "jwt")], body=raw)
    (asked,) = wired.gate.asked
    attributes = asked.attributes
    http = attributes.request.http
    lines = [(line.key, line.raw_value) for line in http.header_map.headers]
    own = ["x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address"]
    if wired.site.name == "mtls":  # the workload's chain, in Envoy's own header
        own.append("x-forwarded-client-cert")
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


@pytest.mark.parametrize(
    "name", ["authorization", "host", ":path", "x-other", "x-environment-credential2"]
)
def test_a_gate_that_touches_more_than_its_own_headers_is_an_error(wired: Wired, name: str) -> None:
    answers = []
    for ok in (
        pb.OkHttpResponse(headers=[header(name, "v")]),
        pb.OkHttpResponse(headers_to_remove=[name]),
    ):
        wired.gate.answer = admitted(ok)
        answers.append(wired.send(headers=[("x-other", "1")]).status)
    assert (answers, wired.provider.received) == ([500, 500], [])


@pytest.mark.parametrize("name", SITES)
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


@pytest.mark.parametrize(
    "path",
    ["/config_dump", "/runtime_modify?admissibility.deny_at_disable=false", "/quitquitquit", "/"],
)
def test_the_admin_interface_only_reads(wired: Wired, path: str) -> None:
    statuses = [wired.envoy.ask_admin(path, method)[0] for method in ("GET", "POST")]
    assert statuses == [403, 403]
    assert wired.envoy.ask_admin("/ready") == (200, "LIVE\n")
