"""Facts about Envoy that the processor rests on, and the routes of `envoy/registration.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from admissibility_devtools.tools.envoy_config import credential_document, reference, render
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar._pb import ext_proc_pb2 as pb
from sidecar._pb import ext_proc_pb2_grpc as rpc
from sidecar.core.decide import Decision
from sidecar.core.reasons import Reason
from sidecar.ext_proc.messages import refusal
from sidecar.providers import PROVIDERS, creation
from tests.process.envoy.doubles import FakeGate, FakeProvider, admitted, fake_gate, fake_provider
from tests.process.envoy.registration import CREATING, FILES, NAMING, UPLOADS
from tests.support.site.envoy import Answer, exchange, request_bytes

BODY = b"x" * 1000


class Scripted(rpc.ExternalProcessorServicer):
    """Lets everything go on, until the message at which it does what a test says."""

    def __init__(self, at: str, deed: str) -> None:
        self.at, self.deed = at, deed
        self.seen: list[str] = []

    def Process(self, request: Any, context: Any) -> Any:
        for message in request:
            kind = str(message.WhichOneof("request"))
            self.seen.append(kind)
            if kind == self.at and self.deed == "end":
                return
            if kind == self.at and self.deed == "fail":
                context.abort(grpc.StatusCode.INTERNAL, "as a test wants it")
            if kind == self.at and self.deed == "refuse":
                yield refusal(Decision("d" * 32, Reason.WITHDRAWN, "no", datetime.now(UTC)))
                return
            if kind in {"request_headers", "response_headers"}:
                yield _said(kind, pb.HeadersResponse())
            else:
                held = getattr(message, kind)
                streamed = pb.StreamedBodyResponse(body=held.body, end_of_stream=held.end_of_stream)
                mutation = pb.BodyMutation(streamed_response=streamed)
                common = pb.CommonResponse(body_mutation=mutation)
                yield _said(kind, pb.BodyResponse(response=common))


def _said(kind: str, value: Any) -> pb.ProcessingResponse:
    return pb.ProcessingResponse(**{kind: value})


@contextmanager
def wired(
    folder: Path, processor: Scripted
) -> Iterator[tuple[EnvoyProcess, FakeGate, FakeProvider]]:
    allow = admitted()
    (folder / "credential.yaml").write_text(credential_document("Bearer sk"))
    with fake_provider() as provider, fake_gate(allow, processor) as gate:
        config = render(
            reference("registration"),
            listener_port=0,
            admin_port=0,
            gate=("127.0.0.1", gate.port),
            upstream=("127.0.0.1", provider.port),
            credential_file=folder / "credential.yaml",
        )
        with EnvoyProcess(config, folder / "envoy") as envoy:
            yield envoy, gate, provider


def send(envoy: EnvoyProcess, target: str, method: str = "POST") -> Answer:
    body = BODY if method == "POST" else b""
    return exchange(envoy.port, request_bytes(method, target, [("Content-Type", "x/y")], body))


def test_a_stream_that_ends_without_an_error_is_leave_to_go_on_unseen(tmp_path: Path) -> None:
    # Why the gate ends one so only after Envoy has, or after a refusal.
    processor = Scripted("request_headers", "end")
    with wired(tmp_path, processor) as (envoy, _, provider):
        answer = send(envoy, "/v1/responses")
    assert (answer.status, answer.body) == (200, b'{"object": "ok"}')
    assert ([each.body for each in provider.received], processor.seen) == (
        [BODY],
        ["request_headers"],
    )


@pytest.mark.parametrize(
    ("at", "deed", "status", "reached"),
    [
        ("request_headers", "fail", 503, 0),
        ("request_body", "fail", 503, 0),
        ("request_headers", "refuse", 403, 0),
        ("request_body", "refuse", 403, 0),
        ("response_headers", "fail", 503, 1),
        ("response_headers", "refuse", 403, 1),
    ],
)
def test_an_error_or_a_refusal_is_the_end_of_a_request(
    tmp_path: Path, at: str, deed: str, status: int, reached: int
) -> None:
    with wired(tmp_path, Scripted(at, deed)) as (envoy, _, provider):
        answer = send(envoy, "/v1/files")
    # The head of an upload may have gone on, but never one that is whole.
    whole = [each for each in provider.received if each.body == BODY]
    assert (answer.status, len(whole)) == (status, reached)
    if deed == "refuse":
        assert answer.headers["x-admissibility-reason"] == "withdrawn"


def test_only_what_creates_something_is_shown_and_lengths_stay(tmp_path: Path) -> None:
    processor = Scripted("", "")
    shown = {}
    with wired(tmp_path, processor) as (envoy, _, provider):
        for target, method in (
            *(("/v1/files", "POST"), ("/v1/responses", "POST"), ("/v1/videos/v_1/remix", "POST")),
            *(("/openai/v1/files", "POST"), ("/openai/files?api-version=x", "POST")),
            *(("/v1/agents/sessions", "POST"), ("/v1/agents/sessions/session_1", "POST")),
            ("/openai/v1/batches", "POST"),
            *(("/v1/files", "GET"), ("/v1/chat/completions", "POST"), ("/v1/uploads", "POST")),
            *(("/v1/responses/resp_1", "GET"), ("/v1/batches/batch_1", "GET")),
            *(("/v1/responses/resp_1", "DELETE"), ("/v1/uploads/upload_1/parts", "POST")),
            *(("/v1/uploads/upload_1/complete", "POST"), ("/v1/vector_stores", "POST")),
        ):
            processor.seen.clear()
            answer = send(envoy, target, method)
            assert (answer.status, answer.headers["content-length"]) == (200, "16")
            shown[method, target] = list(dict.fromkeys(processor.seen))
    answered = ["response_headers", "response_body"]
    assert shown == {
        ("POST", "/v1/files"): ["request_headers", "request_body", *answered],
        ("POST", "/openai/v1/files"): ["request_headers", "request_body", *answered],
        ("POST", "/openai/files?api-version=x"): ["request_headers", "request_body", *answered],
        ("POST", "/v1/agents/sessions"): ["request_headers", *answered],
        ("POST", "/v1/agents/sessions/session_1"): [],
        ("POST", "/openai/v1/batches"): ["request_headers", *answered],
        ("POST", "/v1/responses"): ["request_headers", *answered],
        ("POST", "/v1/videos/v_1/remix"): ["request_headers", *answered],
        ("GET", "/v1/files"): [],
        ("POST", "/v1/chat/completions"): [],
        ("POST", "/v1/uploads"): ["request_headers", *answered],
        ("GET", "/v1/responses/resp_1"): ["request_headers", *answered],
        ("GET", "/v1/batches/batch_1"): ["request_headers", *answered],
        ("DELETE", "/v1/responses/resp_1"): [],
        ("POST", "/v1/uploads/upload_1/parts"): [],
        ("POST", "/v1/uploads/upload_1/complete"): ["request_headers", *answered],
        ("POST", "/v1/vector_stores"): ["request_headers", *answered],
    }
    lengths = {each.headers.get("content-length") for each in provider.received}
    assert lengths == {str(len(BODY)), None}


@pytest.mark.parametrize("api", ["openai", "azure"])
def test_every_creating_operation_is_on_a_route_that_shows_its_answer(api: str) -> None:
    rows = [row for row in PROVIDERS[api].operations if row.creates is not None or row.also]
    uploads = {row.route for row in rows if _uploads(api, row.name)}
    read = {row.route for row in rows if row.method == "GET"}
    answers = {row.route for row in rows if row.method == "POST"} - uploads
    assert {route for route in answers if _shown(route, *CREATING, UPLOADS)} == answers
    assert {route for route in read if _shown(route, NAMING)} == read != set()
    assert {route for route in uploads if _shown(route, FILES)} == uploads != set()
    text = yaml.load(reference("registration"), Loader=yaml.CSafeLoader)
    assert all(pattern in str(text) for pattern in (*CREATING, FILES, UPLOADS, NAMING))


def _uploads(api: str, name: str) -> bool:
    found = creation(api, name)
    return found is not None and found.upload


def _shown(route: str, *patterns: str) -> bool:
    return any(re.fullmatch(pattern, _filled(route)) for pattern in patterns)


def _filled(route: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "id_1", route)
