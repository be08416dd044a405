"""The provider's own SDK through `bedrock.yaml`: it signs, Envoy signs anew, and Bedrock agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import Reason, remedy
from sidecar.extract.check_request import read
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.gate import check_response
from sidecar.providers import error_shapes
from tests.process.envoy.local_replies import CAUSES
from tests.process.envoy.sigv4 import KEY_ID, SIGNED, key_of
from tests.process.envoy.sites import CREDENTIAL, SITES, Wired, wire

MODEL = "arn:aws:bedrock:eu-central-1:123456789012:custom-model-deployment/abc123"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 12},
}
ASKED = [{"role": "user", "content": [{"text": "hello"}]}]


@pytest.fixture
def bedrock(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/bedrock.yaml` as it stands, before a stand-in that answers as Converse does."""
    with wire("bedrock", tmp_path) as found:
        found.provider.answer_with(json.dumps(ANSWER).encode())
        yield found


def client(wired: Wired) -> Any:
    """An SDK with made-up keys, which adds the environment's JWT-SVID to every call."""
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=wired.envoy.url,
        aws_access_key_id="AKIDAPPLICATION",
        aws_secret_access_key="made-up",
        aws_session_token="made-up",
        config=Config(retries={"total_max_attempts": 1}),
    )
    made.meta.events.register("before-call.bedrock-runtime", add_credential)
    return made


def add_credential(params: dict[str, Any], **_: object) -> None:
    params["headers"][CREDENTIAL] = "jwt"


def test_a_call_of_the_sdk_is_checked_and_signed_anew(bedrock: Wired) -> None:
    answer = client(bedrock).converse(modelId=MODEL, messages=ASKED)
    assert {name: answer[name] for name in ANSWER} == ANSWER
    target = f"/model/{quote(MODEL, safe='')}/converse"
    body = json.dumps({"messages": ASKED}).encode()
    (asked,) = bedrock.gate.asked
    http = asked.attributes.request.http
    names = {line.key for line in http.header_map.headers}
    assert (http.path, http.raw_body, dict(asked.attributes.context_extensions)) == (
        target,
        body,
        SITES["bedrock"].routed(),
    )
    assert CREDENTIAL in names
    assert {name for name in names if name == "authorization" or name.startswith("x-amz-")} == set()
    (received,) = bedrock.provider.received
    seen = bedrock.site.seen(received)
    assert (seen.method, seen.target, seen.body) == ("POST", target, body)
    assert (key_of(received), seen.headers["authorization"], seen.headers["host"]) == (
        KEY_ID,
        SIGNED,
        SITES["bedrock"].host,
    )


def test_raw_bytes_of_a_model_of_ones_own_are_signed_as_they_are(bedrock: Wired) -> None:
    raw = json.dumps({"prompt": "é\u2028", "n": 1}, ensure_ascii=False).encode()
    bedrock.provider.answer_with(b'{"completion": "x"}')
    answer = client(bedrock).invoke_model(modelId=MODEL, body=raw, accept="application/json")
    assert answer["body"].read() == b'{"completion": "x"}'
    (received,) = bedrock.provider.received
    assert (bedrock.site.seen(received).body, received.headers["accept"]) == (
        raw,
        "application/json",
    )


READ = Call("bedrock", "invoke", (MODEL,), deployments=(MODEL,))


@pytest.mark.parametrize(
    ("body", "options", "expected"),
    [
        ({"prompt": "x"}, {}, READ),
        ({"prompt": "x"}, {"contentType": "application/json", "trace": "ENABLED"}, READ),
        ({"messages": ASKED, "model": MODEL}, {}, READ),
        ({"message": "x", "documents": [{"model": "T"}]}, {}, READ),
        ({"messages": ASKED, "tools": [{"name": "f", "input_schema": {"model": {}}}]}, {},
         replace(READ, tool_types=("function",))),
    ],
)  # fmt: skip
def test_what_the_sdk_sends_by_itself_is_read_by_the_gate(
    bedrock: Wired, body: dict[str, Any], options: dict[str, str], expected: Call
) -> None:
    """Without Content-Type, unless it is told to send one; Bedrock takes that for JSON."""
    client(bedrock).invoke_model(modelId=MODEL, body=json.dumps(body), **options)
    (asked,) = bedrock.gate.asked
    request = read(asked, credential_header=CREDENTIAL)
    assert extract(request, ExtractOptions(1 << 16)) == expected
    (received,) = bedrock.provider.received
    assert json.loads(bedrock.site.seen(received).body) == body


def test_a_call_that_the_gate_refuses_is_never_signed(bedrock: Wired) -> None:
    bedrock.gate.answer = pb.CheckResponse(
        status=pb.Status(code=7),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=403), body='{"message": "withdrawn"}'
        ),
    )
    with pytest.raises(ClientError) as caught:
        client(bedrock).converse(modelId=MODEL, messages=ASKED)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert (caught.value.response["Error"]["Message"], bedrock.provider.received) == (
        "withdrawn",
        [],
    )


def test_envoys_own_answers_have_bedrocks_form_and_the_gates_stay_as_they_are(
    tmp_path: Path,
) -> None:
    with wire("bedrock", tmp_path) as found:
        sdk = client(found)
        shown = []
        for answer in (
            pb.CheckResponse(status=pb.Status(code=0), ok_response=pb.OkHttpResponse()),
            check_response.denial(Reason.WITHDRAWN, "c-1", "d-1", error_shapes.BEDROCK),
        ):
            found.gate.answer = answer
            with pytest.raises(ClientError) as caught:
                sdk.converse(modelId=MODEL, messages=ASKED)
            shown.append(caught.value.response["Error"])
        assert found.provider.received == []
    assert shown == [
        {
            "Message": f"{CAUSES[-1].message} [rbac_access_denied_matched_policy[none]]",
            "Code": "ServiceUnavailableException",
        },
        {
            "Message": f"c-1. {remedy(Reason.WITHDRAWN)} [withdrawn, decision d-1]",
            "Code": "AccessDeniedException",
        },
    ]
