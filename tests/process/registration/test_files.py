"""Uploads: a batch file is read to its last line before any of it goes on; others pass unheld."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from sidecar.core.window import Window
from sidecar.registry.keys import open_or_create
from sidecar.registry.record import AdmittedUse
from sidecar.registry.store import RegistrationStore
from tests.process.registration.forms import BOUNDARY, END, field, form, part, upload
from tests.process.registration.stage import BOTH, HEADER, OTHER_ENV, Stage, code_of, lines
from tests.process.registration.upstream import Received
from tests.support.simulator.constants import BASE, ENV, MODEL
from tests.support.site.envoy import Answer
from tests.unit.registry.samples import registration

PATIENCE_SECONDS = 60.0
BOUNDED = {"folder": "registrations", "key": "registration.pem", "max_batch_bytes": 1 << 16}


def told(answer: Answer) -> tuple[int, str, str]:
    """Status, reason and message of a refusal."""
    error = json.loads(answer.body)["error"]
    assert answer.headers["x-admissibility-reason"] == error["code"]
    assert answer.headers["content-type"] == "application/json"
    return answer.status, error["code"], error["message"]


def until(settled: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not settled():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_batch_of_admitted_lines_is_uploaded_as_it_is_and_can_be_run(stage: Stage) -> None:
    client, content = stage.client(), lines(*BOTH)
    made = client.files.create(file=("lines.jsonl", content), purpose="batch")
    (received,) = stage.provider.took("POST", "/v1/files")
    assert (received.whole, content in received.body) == (True, True)
    batch = client.batches.create(
        input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert batch.input_file_id == made.id
    asked = [(entry["operation"], entry["models"]) for entry in stage.decisions(3)]
    assert asked == [
        ("files.create", []),
        ("chat.completions", [MODEL, BASE]),
        ("batches.create", [MODEL, BASE]),
    ]
    # What the first line of the file relies on is in its line of the log, whatever the last names.
    of_lines, of_batch = stage.decisions(3)[1:]
    assert of_lines["manifests"] == of_batch["manifests"] != []
    assert of_lines["constituents"] == of_batch["constituents"]
    assert stage.counted("admissibility_registrations_total") == {"written": 2.0}


def test_an_upload_goes_on_byte_for_byte(stage: Stage) -> None:
    body = form(lines(*BOTH))
    assert upload(stage, body).status == 200
    (received,) = stage.provider.took("POST", "/v1/files")
    assert (received.body, received.headers["content-length"]) == (body, str(len(body)))


@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_a_file_before_its_purpose_is_buffered_and_goes_on_byte_for_byte(
    stage: Stage, purpose: str
) -> None:
    body = part(lines(*BOTH)) + field("purpose", purpose) + END
    assert upload(stage, body).status == 200
    (received,) = stage.provider.took("POST", "/v1/files")
    assert received.body == body
    asked = [entry["operation"] for entry in stage.decisions(2 if purpose == "batch" else 1)]
    assert asked == ["files.create", *(["chat.completions"] if purpose == "batch" else [])]


@pytest.mark.alone
def test_a_file_before_its_purpose_is_buffered_up_to_the_operators_bound(stage: Stage) -> None:
    stage.restart(registration=BOUNDED)
    body = part(b"x" * (1 << 18)) + field("purpose", "fine-tune") + END
    answer = told(upload(stage, body))
    assert answer[:2] == (413, "body_incomplete")
    assert "send the purpose field first" in answer[2]
    assert stage.provider.requests == []


def test_a_batch_cannot_be_run_by_another_environment_nor_from_a_file_unknown_here(
    stage: Stage,
) -> None:
    made = stage.client().files.create(file=("lines.jsonl", lines(*BOTH)), purpose="batch")
    tuned = stage.client().files.create(file=("lines.jsonl", lines(*BOTH)), purpose="fine-tune")
    for environment, name in ((OTHER_ENV, made.id), (ENV, tuned.id), (ENV, "file-stranger")):
        client = stage.client(environment)
        assert code_of(
            lambda client=client, name=name: client.batches.create(
                input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h"
            )
        ) == (403, "object_unregistered")
    assert stage.provider.took("POST", "/v1/batches") == []


@pytest.mark.alone
def test_the_models_of_a_batch_are_asked_about_again_when_it_is_run(stage: Stage) -> None:
    client = stage.client()
    made = client.files.create(file=("lines.jsonl", lines(*BOTH)), purpose="batch")
    regulator = stage.site.world.parties["regulator"]
    regulator.withdraw("model", f"openai/{MODEL}")
    stage.site.publish(regulator)

    def run() -> Any:
        return client.with_options(max_retries=0).batches.create(
            input_file_id=made.id, endpoint="/v1/chat/completions", completion_window="24h"
        )

    end, code = time.monotonic() + PATIENCE_SECONDS, ""
    while code != "withdrawn" and time.monotonic() < end:
        with contextlib.suppress(AssertionError, pytest.fail.Exception):
            _, code = code_of(run)
    assert code == "withdrawn"
    answer = upload(stage, form(lines(*BOTH)))
    assert told(answer)[:2] == (403, "withdrawn")


SPLIT = lines(BASE).rstrip()[:-2] + b',"n":[\r' + lines("ft:evil").rstrip() + b"\r]}}\n"

REFUSED: dict[str, tuple[bytes, int, str, str]] = {
    "unbound": (form(lines(MODEL, "ft:x:acme::1", BASE)), 403, "manifest_missing", "line 2 "),
    "unlisted": (form(lines(MODEL, "gpt-5")), 403, "manifest_missing", "line 2 "),
    "not json": (form(lines(MODEL) + b"{]\n"), 400, "malformed_request", "line 2 "),
    "two models": (
        form(lines(MODEL) + lines(BASE).replace(b'{"model"', b'{"model":"a","model"')),
        400,
        "malformed_request",
        "line 2 ",
    ),
    "another line inside": (form(SPLIT), 400, "malformed_request", "line 1 "),
    "U+2028": (form(lines("a\u2028b").replace(b"\\u2028", "\u2028".encode())), 400,
               "malformed_request", "line 1 "),
    "one more key": (form(lines(MODEL, extra=1)), 400, "malformed_request", "line 1 "),
    "a GET": (form(lines(MODEL, method="GET")), 400, "malformed_request", "line 1 "),
    "a path that is none": (form(lines(MODEL, url="/v1/../x")), 400, "malformed_request", "line 1"),
    "no call": (form(lines(MODEL, url="/v1/files")), 403, "unsupported_operation", "line 1 "),
    "stored objects": (
        form(lines(MODEL, url="/v1/responses", body={"previous_response_id": "resp_1"})),
        403,
        "object_unregistered",
        "line 1 ",
    ),
    "nothing": (form(b""), 400, "malformed_request", "no lines"),
    "unlisted, the file first": (
        part(lines(MODEL, "gpt-5")) + field("purpose", "batch") + END,
        403,
        "manifest_missing",
        "line 2 ",
    ),
    "two purposes after the file": (
        part(lines(MODEL)) + field("purpose", "batch") + field("purpose", "vision") + END,
        400,
        "malformed_request",
        "purpose field occurs twice",
    ),
    "two files around the purpose": (
        part(lines(MODEL)) + field("purpose", "batch") + part(lines("gpt-5")) + END,
        400,
        "malformed_request",
        "more than one file",
    ),
    "no purpose": (field("x", "y") + END, 400, "malformed_request", "no purpose"),
    "two purposes": (
        field("purpose", "fine-tune") + field("purpose", "batch") + part(lines(MODEL)) + END,
        400,
        "malformed_request",
        "purpose field occurs twice",
    ),
    "a purpose's twin": (
        field("Purpose", "batch") + field("purpose", "vision") + part(lines(MODEL)) + END,
        400,
        "ambiguous_model",
        "Purpose is a twin",
    ),
    "a purpose with a space": (form(lines(MODEL), "batch "), 400, "malformed_request", "purpose"),
    "two files": (
        field("purpose", "batch") + part(lines(MODEL)) + part(lines("gpt-5")) + END,
        400,
        "malformed_request",
        "more than one file",
    ),
    "cut short": (form(lines(MODEL))[:-20], 400, "malformed_request", "does not end"),
}  # fmt: skip


def test_a_file_with_anything_refused_in_it_is_refused_whole(stage: Stage) -> None:
    found = {name: told(upload(stage, body)) for name, (body, *_) in REFUSED.items()}
    expected = {name: (status, code) for name, (_, status, code, _) in REFUSED.items()}
    assert {name: answer[:2] for name, answer in found.items()} == expected
    silent = [name for name, (*_, text) in REFUSED.items() if text not in found[name][2]]
    assert silent == []
    # Not one byte of any of them went on, not even a head.
    assert stage.provider.requests == []
    assert stage.records() == []


@pytest.mark.alone
def test_a_batch_file_over_the_operators_bound_is_refused(stage: Stage) -> None:
    stage.restart(registration=BOUNDED)
    small, large = lines(*[MODEL] * 100), lines(*[MODEL] * 1000)
    assert upload(stage, form(small)).status == 200
    answer = told(upload(stage, form(large)))
    assert answer[:2] == (413, "body_incomplete")
    assert len(stage.provider.requests) == 1


def memory(pid: int) -> int:
    """Resident memory in bytes."""
    text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """The most resident memory of a process while the context lasts."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most = pid, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self) -> None:
        while not self.over.wait(0.005):
            self.most = max(self.most, memory(self.pid))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def large(size: int) -> Iterator[bytes]:
    block = bytes(range(256)) * 256
    yield field("purpose", "fine-tune")
    yield part(b"")[:-2]
    for _ in range(size // len(block)):
        yield block
    yield b"\r\n" + END


def test_a_large_upload_of_another_purpose_passes_and_is_held_by_nobody(stage: Stage) -> None:
    size = 96 << 20
    token = stage.client().default_headers[HEADER]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = {HEADER: str(token), "Content-Type": kind}
    url = f"http://127.0.0.1:{stage.envoy.port}/v1/files"

    def send(length: int) -> int:
        return requests.post(url, data=large(length), headers=headers, timeout=120).status_code

    assert send(1 << 20) == 200
    before = memory(stage.gate.pid)
    with Peak(stage.gate.pid) as peak:
        assert send(size) == 200
    _, received = stage.provider.took("POST", "/v1/files")
    digest = hashlib.sha256()
    for block in large(size):
        digest.update(block)
    assert (received.whole, received.sha256) == (True, digest.hexdigest())
    # Some is on its way: in the windows of HTTP/2, which grow, and in the allocator's arenas.
    assert peak.most - before < size // 2


def opened(stage: Stage, body: bytes, length: int) -> socket.socket:
    """A connection on which an upload of ``length`` bytes has begun."""
    token = stage.client().default_headers[HEADER]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    text = (
        f"POST /v1/files HTTP/1.1\r\nHost: gateway.example\r\n{HEADER}: {token}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", stage.envoy.port), timeout=20)
    connection.sendall(text.encode() + body)
    return connection


def answered(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
            if b"content-length: 0\r\n" in received and received.endswith(b"\r\n\r\n"):
                break
    return received


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_a_gate_that_ends_in_the_middle_leaves_no_whole_upload(
    stage: Stage, purpose: str, number: signal.Signals
) -> None:
    body = form(lines(*BOTH), purpose)
    with opened(stage, body[:-10], len(body)) as connection:
        begun = 0 if purpose == "batch" else 1
        until(lambda: len(stage.provider.requests) == begun)
        assert len(stage.decisions(1)) == 1
        stage.gate.stop(number)
        with contextlib.suppress(ConnectionError):
            connection.sendall(body[-10:])
        assert answered(connection)[:12] in {b"", b"HTTP/1.1 503"}
    assert [each.whole for each in stage.provider.requests] == [False] * begun
    assert stage.records() == []


def test_a_client_that_gives_up_leaves_nothing_behind(stage: Stage) -> None:
    body = form(lines(*BOTH))
    with opened(stage, body[:-10], len(body)):
        assert len(stage.decisions(1)) == 1
    assert upload(stage, body).status == 200
    received: list[Received] = stage.provider.requests
    assert ([each.whole for each in received], len(stage.records())) == ([True], 1)


@pytest.mark.alone
def test_without_a_gate_nothing_is_created(stage: Stage) -> None:
    stage.gate.stop()
    assert upload(stage, form(lines(*BOTH))).status == 503
    assert code_of(lambda: stage.respond(MODEL))[0] == 503
    assert stage.provider.requests == []


def remembered(stage: Stage, name: str, use: AdmittedUse, began: timedelta) -> None:
    """A file that this gate registered at some time, for one use of one model."""
    folder = stage.site.folder
    kept = RegistrationStore.at(
        folder / "registrations", open_or_create(folder / "registration.pem")
    )
    start = datetime.now(UTC).replace(microsecond=0) - began
    window = Window(start, start + timedelta(days=30))
    kept.put(registration(kind="file", id=name, environment=ENV, uses=(use,), window=window))


@pytest.mark.parametrize(
    ("operation", "age", "expected"),
    [
        ("chat.completions", timedelta(days=29), None),
        ("chat.completions", timedelta(days=30), "object_unregistered"),
        ("embeddings", timedelta(), "operation_not_covered"),
    ],
    ids=["as it was", "expired", "an operation that is not covered"],
)
def test_what_a_batch_will_run_is_asked_about_under_its_own_operation(
    stage: Stage, operation: str, age: timedelta, expected: str | None
) -> None:
    name = f"file-{operation[0]}{age.days}"
    remembered(stage, name, AdmittedUse(operation, (MODEL,)), age)

    def run() -> Any:
        return stage.client().batches.create(
            input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h"
        )

    if expected is None:
        assert run().input_file_id == name
    else:
        assert code_of(run) == (403, expected)
    assert len(stage.provider.requests) == (expected is None)
