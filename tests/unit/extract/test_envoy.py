"""Envoy's question read without trust; a reply that is a denial until it is proven not to be."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.decide import Decision
from sidecar.core.reasons import AdmissibilityError, Reason, http_status, remedy
from sidecar.core.window import rfc3339
from sidecar.extract import check_request
from sidecar.extract.extractor import ExtractOptions
from sidecar.extract.http_request import SPECIFICATION_HEADER, HttpRequest
from sidecar.extract.parsed_request import ReadOptions, parse
from sidecar.gate import check_response
from tests.support.gate.requests import HEADER, as_check_request
from tests.unit.observe.samples import ending

DECISION = Decision("d-1", Reason.ADMITTED, "admitted", datetime(2026, 6, 1, tzinfo=UTC))
REQUEST = HttpRequest(
    "POST",
    "/v1/x",
    headers=(
        ("x-admissibility-reason", "admitted"),
        ("x-admissibility-a", "1"),
        ("x-other", "2"),
        (SPECIFICATION_HEADER, "digest"),
    ),
)


def respond(
    decision: Decision, request: HttpRequest | None, metadata: dict[str, str] | None = None
) -> pb.CheckResponse:
    return check_response.respond(
        decision,
        request,
        credential_header=HEADER,
        gate_name="gate-of-tests",
        metadata=metadata,
    )


def read(message: pb.CheckRequest) -> HttpRequest | tuple[Reason, str]:
    try:
        return check_request.read(message, credential_header=HEADER)
    except AdmissibilityError as error:
        return error.reason, error.message


def test_a_check_request_is_read_field_by_field() -> None:
    message = as_check_request(
        path="/v1/x?q", body=b"\xff", credential="t", principal="p", certificate="a b"
    )
    assert read(message) == HttpRequest(
        method="POST",
        path="/v1/x?q",
        headers=(("content-type", "application/json"), ("content-length", "1"), (HEADER, "t")),
        raw_body=b"\xff",
        provider="openai",
        api="openai",
        principal="p",
        certificate="a%20b",
        request_id="1234",
    )


def test_the_request_id_is_the_one_that_every_filter_sees() -> None:
    request = read(as_check_request(headers=[("X-Request-Id", "6a1c"), ("x-request-id", "other")]))
    assert isinstance(request, HttpRequest)
    assert request.request_id == "6a1c"


def test_header_bytes_are_kept_one_by_one() -> None:
    message = as_check_request(headers=[("Connection", "\xff\xe9"), ("connection", "2")])
    request = read(message)
    assert isinstance(request, HttpRequest)
    assert request.headers[-2:] == (("connection", "\xff\xe9"), ("connection", "2"))


def test_of_a_header_that_is_not_read_only_the_name_is_kept() -> None:
    request = read(as_check_request(headers=[("Cookie", "secret"), ("x-odd", "1"), ("x-odd", "2")]))
    assert isinstance(request, HttpRequest)
    assert request.names[-3:] == ("cookie", "x-odd", "x-odd")
    assert not {name for name, _ in request.headers} & {"cookie", "x-odd"}


@pytest.mark.parametrize(
    "name",
    [
        *("content-type", "content-length", "content-encoding", "transfer-encoding", "host"),
        *("x-forwarded-client-cert", "x-envoy-auth-partial-body", "Content-Length", HEADER),
    ],
)
def test_a_security_header_twice_is_malformed(name: str) -> None:
    message = as_check_request(
        drop=("content-type", "content-length"), headers=[(name, "1"), (name, "1")]
    )
    why = f"the header {name.lower()} occurs twice"
    assert read(message) == (Reason.MALFORMED_REQUEST, why)


@pytest.mark.parametrize(
    "name", ["x-admissibility-", "x-admissibility-a.b", "x-admissibility-\u017f"]
)
def test_an_imitation_of_our_headers_that_cannot_be_removed_is_malformed(name: str) -> None:
    message = as_check_request(headers=[(name, "1")])
    assert read(message) == (
        Reason.MALFORMED_REQUEST,
        "a header name begins with x-admissibility- and is not one of letters, digits and -",
    )


@pytest.mark.parametrize(("name", "value"), [(":path", "/other"), (":method", "GET")])
def test_two_values_of_a_pseudo_header_are_malformed(name: str, value: str) -> None:
    message = as_check_request(headers=[(name, value)])
    assert read(message) == (Reason.MALFORMED_REQUEST, f"two different values of {name}")


def test_a_route_without_a_provider_says_so() -> None:
    assert read(as_check_request(provider=None)) == (
        Reason.UNSUPPORTED_OPERATION,
        "this route names no provider; have the operator set context_extensions.provider",
    )


def test_only_the_route_makes_a_call_one_of_the_sandbox() -> None:
    body = b'{"model": "ft:gpt-5:acme::1", "messages": []}'
    for told in (None, "true"):
        message = as_check_request(body=body, headers=[("sandbox", "true")])
        if told is not None:
            message.attributes.context_extensions["sandbox"] = told
        parsed = parse(message, ReadOptions(HEADER, ExtractOptions(1 << 20)))
        assert isinstance(parsed.outcome, Call)
        assert parsed.request is not None
        assert (parsed.outcome.sandbox, parsed.request.sandbox) == (told is not None,) * 2


@pytest.mark.parametrize("told", ["", "false", "True", "yes"])
def test_a_sandbox_that_is_misspelt_is_refused(told: str) -> None:
    message = as_check_request()
    message.attributes.context_extensions["sandbox"] = told
    assert read(message) == (
        Reason.UNSUPPORTED_OPERATION,
        f"this route's sandbox is {told!r}; have the operator set it to 'true', or leave it out for"
        " production",
    )


def test_merged_headers_are_not_believed() -> None:
    message = as_check_request()
    message.attributes.request.http.ClearField("header_map")
    message.attributes.request.http.headers["content-length"] = "1"
    assert read(message) == (
        Reason.UNSUPPORTED_OPERATION,
        "Envoy does not send headers line by line; have the operator set encode_raw_headers",
    )


def test_an_empty_question_is_refused() -> None:
    answer = read(pb.CheckRequest())
    assert isinstance(answer, tuple)
    assert answer[0] is Reason.UNSUPPORTED_OPERATION


def header(name: str, value: str) -> pb.HeaderValueOption:
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, value=value),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def test_an_allow_takes_away_what_is_for_the_gate_and_imitations() -> None:
    reply = respond(DECISION, REQUEST)
    assert reply.status == pb.Status(code=0)
    assert reply.ok_response == pb.OkHttpResponse(
        headers_to_remove=[
            *(HEADER, "x-admissibility-a", "x-admissibility-reason", SPECIFICATION_HEADER)
        ],
        response_headers_to_add=[header("x-admissibility-decision-id", "d-1")],
    )


def test_an_allow_carries_the_metadata_that_the_seal_requires() -> None:
    ticket = {"ticket": "t", "admitted": "forged", "gate": "other"}
    call = Call("openai", "chat.completions", ("gpt-5", "ft:gpt-5:acme::1"), tuned=("gpt-5",))
    until = DECISION.at + timedelta(seconds=30)
    decision = dataclasses.replace(DECISION, call=call, lease_until=until)
    assert MessageToDict(respond(decision, REQUEST, ticket).dynamic_metadata) == {
        "admitted": True,
        "gate": "gate-of-tests",
        "decision_id": "d-1",
        "models": ["openai/gpt-5", "openai/ft:gpt-5:acme::1"],
        "lease_until": rfc3339(until),
        "ticket": "t",
    }


def test_an_allow_in_the_sandbox_never_passes_the_seal_of_production() -> None:
    call = Call("openai", "chat.completions", ("ft:gpt-5:acme::1",), sandbox=True)
    reply = respond(dataclasses.replace(DECISION, call=call), REQUEST, {"admitted": "forged"})
    found = MessageToDict(reply.dynamic_metadata)
    assert (found["sandbox"], found["gate"], "admitted" in found) == (True, "gate-of-tests", False)


def test_an_allow_in_the_sandbox_states_under_which_manifest_and_no_other_allow_does() -> None:
    decision = ending().decision
    assert decision.call is not None
    assert decision.assessment is not None
    (chain,) = decision.assessment.chains
    assert chain.manifest is not None
    stated = header("x-admissibility-manifest", chain.manifest.digest)
    for sandbox in (True, False):
        call = dataclasses.replace(decision.call, sandbox=sandbox)
        reply = respond(dataclasses.replace(decision, call=call), REQUEST)
        assert (stated in reply.ok_response.response_headers_to_add) is sandbox
        assert len(reply.ok_response.response_headers_to_add) == 1 + sandbox


def test_an_allow_carries_what_is_announced_to_end_it() -> None:
    found = MessageToDict(respond(ending().decision, REQUEST).dynamic_metadata)
    assert (found["announced_end"], found["announced_by"]) == ("2026-08-29T12:00:00Z", "provider")


def test_no_denial_carries_metadata_which_shadow_mode_would_emit() -> None:
    for reason in Reason:
        decision = dataclasses.replace(DECISION, reason=reason)
        for request in (REQUEST, None):
            reply = respond(decision, request, {"ticket": "t"})
            assert (len(reply.dynamic_metadata) > 0) is (reply.status.code == 0)


def test_an_allow_without_a_request_is_a_denial() -> None:
    reply = respond(DECISION, None)
    assert reply == check_response.denial(Reason.INTERNAL_ERROR, "admitted", "d-1")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ADMITTED])
def test_every_denial_is_whole(reason: Reason) -> None:
    decision = dataclasses.replace(DECISION, reason=reason, detail="because.")
    reply = respond(decision, REQUEST)
    status = http_status(reason)
    types = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        413: "invalid_request_error",
        415: "invalid_request_error",
        503: "server_error",
    }
    error: dict[str, Any] = {
        "message": f"because. {remedy(reason)}",
        "type": types[status],
        "code": reason.value,
        "param": "model" if reason is Reason.AMBIGUOUS_MODEL else None,
        "decision_id": decision.id,
    }
    assert json.loads(reply.denied_response.body) == {"error": error}
    reply.denied_response.body = ""
    assert reply == pb.CheckResponse(
        status=pb.Status(code=16 if status == 401 else 7, message=reason.value),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=status),
            headers=[
                header("content-type", "application/json"),
                header("x-admissibility-reason", reason.value),
                header("x-admissibility-decision-id", "d-1"),
            ],
        ),
    )


def test_no_reply_is_zero_bytes_long() -> None:
    decisions = [dataclasses.replace(DECISION, reason=reason) for reason in Reason]
    replies = [respond(d, r) for d in decisions for r in (REQUEST, None)]
    assert min(len(reply.SerializeToString()) for reply in replies) > 0
    allowed = [reply for reply in replies if reply.status.code == 0]
    assert len(allowed) == 1


def test_a_message_is_cut_and_escaped() -> None:
    reply = check_response.denial(Reason.MALFORMED_REQUEST, "\r\n\u2028" + "x" * 5000, "d-1")
    body = reply.denied_response.body
    assert body.isascii()
    assert "\n" not in body
    assert len(json.loads(body)["error"]["message"]) < 1200
