"""Every refusal of the processor is a decision like any other: one line of the log, one count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.window import rfc3339
from sidecar.ext_proc.processor import ProcessorLimits
from sidecar.gate.clock import Reading
from sidecar.observe.decision_record import record
from sidecar.registry.store import RegistrationStore
from tests.process.registration.decisions import (
    FULL,
    TICKET,
    UPLOAD,
    Decisions,
    decisions,
    request,
    sealed,
    sent,
)
from tests.process.registration.forms import END, form, part, upload
from tests.process.registration.forms import field as form_field
from tests.process.registration.stage import BOTH, Stage, lines
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.support.site.envoy import Answer

HEAD = {"method": "POST", "path": "/v1/x", "request_id": "request-1"}
KNOWN = {**HEAD, "provider": "openai", "environment": ENV, "credential": "jwt-svid"}
FILES = {**KNOWN, "operation": "files.create"}
NOTHING: dict[str, Any] = {
    "time": rfc3339(NOW),
    "outcome": "deny",
    "step": None,
    "sandbox": False,
    "announced_end": None,
    "missing": [],
    "withdrawn": None,
    "provider": "",
    "operation": None,
    "method": "",
    "path": "",
    "models": [],
    "tuned": [],
    "ignored": [],
    "specification": None,
    "environment": None,
    "credential": None,
    "jurisdictions": [],
    "deployments": [],
    "manifests": [],
    "constituents": [],
    "of_record": [],
    "violations": [],
    "warnings": [],
    "revision": "",
    "epoch": 0,
    "request_id": "",
}
"""A refusal of which nothing was known."""


def line(reason: str, detail: str, **known: Any) -> dict[str, Any]:
    """A whole line, but for its id and how long it took."""
    whole = {**NOTHING, **known, "reason": reason, "detail": detail}
    return {**whole, "lease_until": whole["time"]}


def logged(value: dict[str, Any]) -> dict[str, Any]:
    """A line as it was written, without what is another one each time."""
    assert (type(value["duration_us"]), len(value["id"])) == (int, 32)
    return {key: value[key] for key in value if key not in {"id", "duration_us"}}


Messages = Callable[[RegistrationStore], list[pb.ProcessingRequest]]


@dataclass(frozen=True)
class Case:
    """A conversation, and the line that it leaves."""

    messages: Messages
    line: dict[str, Any]
    how: dict[str, Any] = field(default_factory=dict)


def uploading(*bodies: bytes) -> Messages:
    """An upload in pieces, the last of which ends it."""

    def messages(kept: RegistrationStore) -> list[pb.ProcessingRequest]:
        pieces = [sent(body, last=body is bodies[-1]) for body in bodies]
        return [request(sealed(kept, UPLOAD), body=FULL), *pieces]

    return messages


def _without_body(kept: RegistrationStore) -> list[pb.ProcessingRequest]:
    first = request(sealed(kept, UPLOAD), body=FULL)
    first.request_headers.end_of_stream = True
    return [first]


def _with_trailers(kept: RegistrationStore) -> list[pb.ProcessingRequest]:
    trailers = pb.ProcessingRequest(request_trailers=pb.HttpTrailers())
    return [request(sealed(kept, UPLOAD), body=FULL), trailers]


def _of_an_unknown(kept: RegistrationStore) -> list[pb.ProcessingRequest]:
    ticket = replace(UPLOAD, spiffe_id="spiffe://acme.example/env/none")
    return [request(sealed(kept, ticket), body=FULL), sent(form(lines(MODEL)))]


UNSET = "this route is not set up for registration: "
CASES = {
    "no form": Case(
        uploading(b"no form"),
        line("malformed_request", "form: the form does not begin with its boundary", **FILES),
    ),
    "two purposes after the file": Case(
        uploading(part(lines(MODEL)) + 2 * form_field("purpose", "batch") + END),
        line("malformed_request", "the purpose field occurs twice", **FILES),
    ),
    "a second purpose behind a file that passes": Case(
        uploading(
            form_field("purpose", "vision") + part(b"x"), form_field("purpose", "batch") + END
        ),
        line("malformed_request", "the purpose field occurs twice", **FILES),
    ),
    "over the limit": Case(
        uploading(form(lines(*[MODEL] * 10))),
        line(
            "body_incomplete",
            "the upload of a batch file has more than 512 bytes; split the file",
            **FILES,
        ),
        {"limits": ProcessorLimits(max_batch_bytes=512)},
    ),
    "no budget": Case(
        uploading(form(lines(*[MODEL] * 10))),
        line("overloaded", "too many bytes of uploads are buffered; try again later", **FILES),
        {"limits": ProcessorLimits(held_bytes=512)},
    ),
    "no body": Case(
        _without_body, line("malformed_request", "the upload has no body", **FILES)
    ),
    "trailers": Case(
        _with_trailers,
        line(
            "malformed_request",
            "a request with trailers is not supported; send it without",
            **FILES,
        ),
    ),
    "a ticket that is not ours": Case(
        lambda _: [request("x.y")],
        line("internal_error", "the admission ticket of this request is not valid", **HEAD),
    ),
    "registration off": Case(
        lambda kept: [request(sealed(kept))],
        line(
            "object_unregistered",
            "this route sends objects to be registered, and registration is off; have the"
            " operator turn it on, or take ext_proc off the route",
            **HEAD,
        ),
        {"registering": False},
    ),
    "a route that shows another operation's body": Case(
        lambda kept: [request(sealed(kept, TICKET), body=FULL)],
        line(
            "unsupported_operation",
            UNSET + "set request_body_mode to FULL_DUPLEX_STREAMED on the route of file uploads,"
            " and to NONE on every other",
            **KNOWN,
            operation="responses",
        ),
    ),
    "a route that only looks on": Case(
        lambda kept: [request(sealed(kept, UPLOAD), body=FULL, observing=True)],
        line("unsupported_operation", UNSET + "turn observability_mode off", **FILES),
    ),
    "a route that keeps the head back": Case(
        lambda _: [sent(b"x")],
        line("unsupported_operation", UNSET + "set request_header_mode to SEND"),
    ),
    "a stream too many": Case(
        uploading(form(lines(MODEL))),
        line("overloaded", "too many requests are in flight; try again later", **HEAD),
        {"limits": ProcessorLimits(max_streams=0)},
    ),
    "a clock that is wrong": Case(
        uploading(form(lines(MODEL))),
        line("clock_unreliable", "it jumped", **HEAD),
        {"reading": Reading(NOW, "it jumped")},
    ),
    "a batch that is decided about": Case(
        _of_an_unknown,
        line(
            "environment_unknown",
            "line 1 of the batch file: spiffe://acme.example/env/none: no customer's declaration"
            " of it holds now",
            **{**KNOWN, "environment": "spiffe://acme.example/env/none"},
            operation="chat.completions",
            models=[MODEL],
            step=1,
            epoch=1,
        ),
    ),
}  # fmt: skip


def ids(running: Decisions) -> list[tuple[str, str]]:
    """The decision's id as each refusal tells it, in the header and in the body."""
    return [
        (
            next(
                option.header.raw_value.decode()
                for option in refusal.headers.set_headers
                if option.header.key == "x-admissibility-decision-id"
            ),
            json.loads(refusal.body)["error"]["decision_id"],
        )
        for refusal in running.refusals
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_refusal_is_one_line_with_all_that_was_known(tmp_path: Path, name: str) -> None:
    case = CASES[name]

    async def run() -> None:
        async with decisions(tmp_path, **case.how) as running:
            told = await running.say(case.messages(running.kept))
            assert told[-1] == "OK"
            (outcome,) = running.book.ended
            assert outcome is not None
            written = record(outcome)
            assert logged(written) == case.line
            assert running.book.began == 1
            # A decision of its own: not that of the ticket, and told as its own.
            assert ids(running) == [(written["id"], written["id"])]
            assert written["id"] != UPLOAD.decision

    asyncio.run(run())


def test_a_batch_that_is_admitted_is_a_decision_of_its_own_too(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            told = await running.say(uploading(form(lines(*BOTH)))(running.kept))
            assert told[0] == "request_headers"
            (outcome,) = running.book.ended
            assert outcome is not None
            written = record(outcome)
            assert (written["outcome"], written["request_id"]) == ("allow", "request-1")
            assert (len(written["id"]), written["id"] != UPLOAD.decision) == (32, True)

    asyncio.run(run())


def pair(stage: Stage, seen: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two newest lines: of ext_authz, and of the processor after it."""
    first, second = stage.decisions(seen + 2)[seen:]
    return first, second


def counted(stage: Stage) -> dict[tuple[str, str, str, str], float]:
    """The decisions metric."""
    text = requests.get(stage.gate.metrics + "/metrics", timeout=30).text
    return {
        (label["outcome"], label["reason"], label["jurisdiction"], label["operation"]): value
        for family in text_string_to_metric_families(text)
        for name, label, value, *_ in family.samples
        if name == "admissibility_decisions_total"
    }


def told_by(answer: Answer) -> tuple[str, str]:
    """The decision in the header, and the one in the body."""
    body = json.loads(answer.body)["error"]["decision_id"]
    return answer.headers["x-admissibility-decision-id"], body


REFUSED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "the form": (
        part(lines(MODEL)) + 2 * form_field("purpose", "batch") + END,
        line(
            "malformed_request",
            "the purpose field occurs twice",
            **{**FILES, "path": "/v1/files"},
        ),
    ),
    "a line that is decided about": (
        form(lines(MODEL, "ft:x:acme::1")),
        line(
            "manifest_missing",
            "line 2 of the batch file: ft:x:acme::1: no manifest, and no known base model",
            **{**KNOWN, "path": "/v1/files"},
            operation="chat.completions",
            models=["ft:x:acme::1"],
            step=2,
            jurisdictions=["eu"],
            constituents=["customer"],
        ),
    ),
}


@pytest.mark.alone
def test_through_envoy_the_body_names_the_refusal_and_the_header_what_came_before(
    stage: Stage,
) -> None:
    for seen, (name, (body, expected)) in enumerate(REFUSED.items()):
        answer = upload(stage, body)
        first, second = pair(stage, 2 * seen)
        assert (first["outcome"], first["operation"]) == ("allow", "files.create"), name
        assert told_by(answer) == (first["id"], second["id"])
        assert first["id"] != second["id"]
        # Envoy's request id leads from one to the other.
        assert (len(first["request_id"]), second["request_id"]) == (36, first["request_id"])
        assert second["lease_until"] == second["time"]
        assert datetime.fromisoformat(first["time"]) < datetime.fromisoformat(second["time"])
        # Trust is refreshed all the time; without a question to it there is no epoch.
        assert (second["epoch"] > 0) == (second["step"] is not None)
        moment = {key: second[key] for key in ("time", "lease_until", "request_id", "epoch")}
        assert logged(second) == {**expected, **moment}, name
    assert counted(stage) == {
        ("allow", "admitted", "eu", "files.create"): 2.0,
        ("deny", "malformed_request", "none", "files.create"): 1.0,
        ("deny", "manifest_missing", "eu", "chat.completions"): 1.0,
    }


def test_a_stream_too_many_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path, limits=ProcessorLimits(max_streams=0)) as running:
            call = running.stub.Process(timeout=20)
            assert await call.details() == "the stream took too long"
            assert running.book.ended == []

    asyncio.run(run())
