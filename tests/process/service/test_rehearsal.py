"""``admit explain --request``: what it says is what the running gate says to the same bytes."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.core.window import rfc3339
from sidecar.extract.raw_request import parse
from tests.process.cli.admit import admit, told
from tests.process.service.site import Site
from tests.support.simulator.constants import ENV, MODEL

CHAT = "POST /v1/chat/completions HTTP/1.1"
JSON = "Content-Type: application/json"


def write(folder: Path, *lines: str, body: str = "") -> Path:
    path = folder / "request.http"
    path.write_bytes("\r\n".join([*lines, "", body]).encode())
    return path


def explain(site: Site, path: Path, code: int) -> Any:
    return told("explain", "--request", path, "--config", site.config, code=code)


def test_an_admitted_request_is_reported_with_every_place_and_step(site: Site) -> None:
    lines = (CHAT, JSON, f"x-environment-credential: {site.token}")
    body = json.dumps({"model": MODEL, "tools": [{"type": "function"}]})
    answer = explain(site, write(site.folder, *lines, body=body), 0)
    assert answer["status"] == 200
    assert answer["places"] == [
        {"place": "model", "what": "a model id", "value": MODEL},
        {"place": "tools[].type", "what": "the type of a tool", "value": "function"},
    ]
    assert [step["step"] for step in answer["steps"]] == [0, 1, 2, 3, 4, 5, 6, 6, 7]
    decision = answer["decision"]
    assert (decision["outcome"], decision["models"], decision["environment"]) == (
        "allow",
        [MODEL],
        ENV,
    )


def test_the_end_that_is_shown_is_the_first_real_one_and_not_the_leases(site: Site) -> None:
    lines = (CHAT, JSON, f"x-environment-credential: {site.token}")
    path = write(site.folder, *lines, body=json.dumps({"model": MODEL}))
    answer = explain(site, path, 0)
    lease = datetime.fromisoformat(answer["decision"]["lease_until"])
    assert answer["ends_first"] == {
        "at": rfc3339(datetime.fromisoformat(answer["expires"])),
        "what": "credential",
        "whose": ENV,
    }
    assert datetime.fromisoformat(answer["expires"]) > lease
    shown = admit("explain", "--request", path, "--config", site.config).stdout.decode()
    first, second, third = shown.splitlines()[-3:]
    assert first == f"admitted until {answer['ends_first']['at']}"
    assert second == f"the first to end: credential of {ENV}"
    assert third.startswith("the gate reuses this answer until ")


def test_what_was_signed_and_does_not_count_is_named_as_for_a_named_model(site: Site) -> None:
    regulator = site.world.parties["regulator"]
    regulator.rotate()
    site.publish(regulator)
    (site.folder / "repositories" / "provider").rename(site.folder / "away")
    lines = (CHAT, JSON, f"x-environment-credential: {site.token}")
    path = write(site.folder, *lines, body=json.dumps({"model": MODEL}))
    answer = explain(site, path, 1)
    named = told("explain", MODEL, "--environment", ENV, "--trust", site.trust, code=1)
    assert answer["decision"]["reason"] == "approval_missing"
    assert answer["not_counting"] == named["not_counting"]
    (one,) = answer["not_counting"]
    assert one["problem"] == "the key of regulator is retired or outside its window"
    assert answer["authorities"] == named["authorities"]
    unread = [each["name"] for each in answer["authorities"] if each["error"] is not None]
    assert unread == ["provider"]

    shown = admit("explain", "--request", path, "--config", site.config, code=1).stdout.decode()
    assert f"not counting: approval {one['digest'][:12]} by regulator" in shown
    assert "\nprovider: " in shown


@pytest.mark.parametrize(
    ("lines", "body", "status", "reason"),
    [
        ((CHAT, JSON), json.dumps({"model": MODEL}), 401, "credential_missing"),
        ((CHAT, JSON, "{credential}"), json.dumps({"model": "x"}), 403, "manifest_missing"),
        ((CHAT, JSON, "{credential}"), '{"model": "a", "Model": "b"}', 400, "ambiguous_model"),
        (("POST /v1/files HTTP/1.1",), "", 403, "unsupported_operation"),
    ],
)
def test_a_rehearsal_and_the_gate_say_the_same(
    site: Site, lines: tuple[str, ...], body: str, status: int, reason: str
) -> None:
    credential = f"x-environment-credential: {site.token}"
    path = write(site.folder, *(line.format(credential=credential) for line in lines), body=body)
    with site.start() as running:
        reply = asyncio.run(_ask(running.listen, path.read_bytes()))
    answer = explain(site, path, 1)
    assert (answer["status"], answer["decision"]["reason"]) == (status, reason)
    assert (reply.denied_response.status.code, reply.status.message) == (status, reason)


def test_a_registry_that_is_still_to_be_made_is_an_empty_one_and_stays_unmade(site: Site) -> None:
    site.configure(registration={"folder": "registrations", "key": "registration.pem"})
    credential = f"x-environment-credential: {site.token}"
    lines = ("POST /v1/agents HTTP/1.1", JSON, credential)
    path = write(site.folder, *lines, body=json.dumps({"model": MODEL}))
    before = explain(site, path, 1)
    assert not (site.folder / "registrations").exists()
    assert not (site.folder / "registration.pem").exists()
    with site.start():
        pass
    after = explain(site, path, 1)
    reasons = [answer["decision"]["reason"] for answer in (before, after)]
    assert reasons == ["operation_not_covered"] * 2


async def _ask(listen: str, data: bytes) -> Any:
    async with grpc.aio.insecure_channel(listen) as channel:
        message = parse(data, provider="openai", api="openai")
        return await rpc.AuthorizationStub(channel).Check(message, timeout=10)


def test_people_are_shown_where_the_model_stood_and_what_to_do(site: Site) -> None:
    path = write(site.folder, "GET /v1/models/unbound HTTP/1.1")
    done = admit("explain", "--request", path, "--config", site.config, code=1)
    text = done.stdout.decode()
    assert "unbound  a model id at {model} in the path" in text
    assert "denied, 401  credential_missing" in text
    assert "→ Send the environment's JWT-SVID" in text


def test_over_a_sandbox_route_it_is_the_sandbox_that_is_asked_about(site: Site) -> None:
    lines = (CHAT, JSON, f"x-environment-credential: {site.token}")
    path = write(site.folder, *lines, body=json.dumps({"model": MODEL}))
    arguments = ("explain", "--request", path, "--config", site.config)
    assert told(*arguments)["decision"]["reason"] == "admitted"
    # An environment of production is not an evaluator's sandbox, however active the model is.
    decision = told(*arguments, "--sandbox", code=1)["decision"]
    assert (decision["sandbox"], decision["reason"]) == (True, "sandbox_not_granted")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--request", "{file}"), "{file}: line 1 must be METHOD TARGET HTTP/1.1"),
        (("--request", "{file}", MODEL), "the file names model and environment; leave them out"),
        (("--request", "{file}", "--tune"), "the file names what is called or tuned"),
        ((), "give MODEL and --environment, or --request FILE"),
        ((MODEL,), "give MODEL and --environment, or --request FILE"),
    ],
)
def test_a_question_that_cannot_be_asked_ends_in_one_line(
    site: Site, arguments: tuple[str, ...], why: str
) -> None:
    file = site.folder / "nothing.http"
    file.write_text("nothing")
    given = [argument.format(file=file) for argument in arguments]
    done = admit("explain", *given, "--config", site.config, code=2)
    (line,) = done.stderr.decode().splitlines()
    assert why.format(file=file) in line
