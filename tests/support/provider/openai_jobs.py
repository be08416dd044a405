"""Stands in for the files, jobs and webhooks of OpenAI and Azure OpenAI, byte for byte.

Shapes are those of the API reference: files, uploads, fine-tuning jobs and checkpoints as OpenAI
serves them below ``/v1``; Azure's below ``/openai`` with ``api-version`` and an ``api-key`` header.
A job succeeds when the test calls ``finish``.
"""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_listener import listening

KEY = "sk-proj-standin-0123456789abcdefghijklmnop"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"standin-webhook-secret-0123456789").decode()
PREFIX = re.compile(r"/(?:openai/v1|openai|v1)(?=/)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class OpenAiJobs:
    """The account: its files and jobs, and how it misbehaves.

    Attributes:
        url: Root of the server, without ``/v1``.
        files: Id → name and bytes.
        jobs: Id → record, as it is answered.
        checkpoints: Id of a job → its checkpoints, newest first.
        asked: Every request.
        page: Entries of a page.
        ranges: Whether ``Range`` is honoured.
        keeps_metadata: Whether a job's record repeats its metadata.
        misbehave: Called first with each request; returns whether it has answered.
        lengths: Id of a file → the size that is stated instead of its own.
        silent: Whether the next job is created without an answer.
        azure: Whether models are named as Azure names them.
        answers: Answers a chat completion; without it there is none.
    """

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    page: int = 2
    ranges: bool = True
    keeps_metadata: bool = True
    misbehave: Callable[[Handler, str], bool] = lambda _handler, _path: False
    lengths: dict[str, int] = field(default_factory=dict)
    silent: bool = False
    azure: bool = False
    answers: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    uploads: dict[str, tuple[str, list[tuple[str, bytes]]]] = field(default_factory=dict)

    def add_file(self, file: str, name: str, data: bytes) -> str:
        self.files[file] = (name, data)
        return file

    def finish(self, job: str, at: int | None = None, steps: tuple[int, ...] = (10, 20)) -> str:
        """Let a job succeed: a model, checkpoints and a metrics file; return the model's id."""
        record = self.jobs[job]
        ended = int(time.time()) if at is None else at
        model = f"ft:{record['model']}:acme:{record.get('suffix') or ''}:{job[-6:]}"
        if self.azure:
            model = f"{record['model']}.ft-{hashlib.sha256(job.encode()).hexdigest()[:32]}"
        metrics = self.add_file(f"file-metrics-{job}", "step_metrics.csv", b"step,loss\n1,0.5\n")
        record |= {
            "status": "succeeded",
            "fine_tuned_model": model,
            "finished_at": ended,
            "result_files": [metrics],
            "trained_tokens": 5768,
            "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
        }
        self.checkpoints[job] = [
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt_{job}_{step}",
                "created_at": ended,
                "fine_tuned_model_checkpoint": model
                if step == max(steps)
                else f"{model}:ckpt-step-{step}",
                "metrics": {"step": step, "train_loss": 1 / step},
                "fine_tuning_job_id": job,
                "step_number": step,
            }
            for step in sorted(steps, reverse=True)
        ]
        return model

    def event(
        self, job: str, kind: str = "fine_tuning.job.succeeded", number: str = "evt_1"
    ) -> bytes:
        """Return the body of a webhook."""
        value = {
            "object": "event",
            "id": number,
            "type": kind,
            "created_at": int(time.time()),
            "data": {"id": job},
        }
        return json.dumps(value).encode()

    @staticmethod
    def signed(body: bytes, webhook: str = "wh_1", at: int | None = None) -> dict[str, str]:
        """Return the headers of a webhook (Standard Webhooks, ``v1`` signatures)."""
        stamp = str(int(time.time()) if at is None else at)
        secret = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
        content = f"{webhook}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        return {
            "webhook-id": webhook,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{signature}",
            "content-type": "application/json",
        }


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request after another of a connection."""

    protocol_version = "HTTP/1.1"
    account: OpenAiJobs

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def answer(self, value: Any, status: int = 200) -> None:
        self.send_bytes(json.dumps(value).encode(), status, {"content-type": "application/json"})

    def send_bytes(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _serve(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.account.asked.append(Asked(self.command, self.path, headers, body))
        if self.account.misbehave(self, self.path):
            return
        split = urlsplit(self.path)
        path = PREFIX.sub("", split.path, count=1)
        azure = split.path.startswith("/openai/") and "api-version" in parse_qs(split.query)
        given = headers.get("api-key", headers.get("authorization"))
        if given not in {KEY, "" if azure else f"Bearer {KEY}"}:
            message = f"Incorrect API key provided: {given}. Find yours in the settings."
            error = {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}
            self.answer({"error": error}, 401)
            return
        for method, pattern, handle in ROUTES:
            found = re.fullmatch(pattern, path)
            if method == self.command and found is not None:
                handle(self, *found.groups(), body=body, query=parse_qs(split.query))
                return
        self.answer({"error": {"message": f"Invalid URL ({path})", "code": None}}, 404)

    def _body(self) -> bytes:
        length = self.headers.get("content-length")
        if length is not None:
            return self.rfile.read(int(length))
        whole = bytearray()
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return bytes(whole)

    def form(self, body: bytes) -> dict[str, tuple[str | None, bytes]]:
        """Return the parts of a multipart form: name → file name and content."""
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        return {
            str(part.get_param("name", header="content-disposition")): (
                part.get_filename(),
                bytes(part.get_payload(decode=True)),
            )
            for part in message.iter_parts()
        }

    def missing(self, what: str) -> None:
        error = {"message": f"No such {what}", "type": "invalid_request_error", "code": None}
        self.answer({"error": error}, 404)


def _file_value(account: OpenAiJobs, file: str) -> dict[str, Any]:
    name, data = account.files[file]
    return {
        "object": "file",
        "id": file,
        "purpose": "fine-tune",
        "filename": name,
        "bytes": account.lengths.get(file, len(data)),
        "created_at": 1767225000,
        "status": "processed",
        "status_details": None,
    }


def _upload_file(handler: Handler, *, body: bytes, **_: Any) -> None:
    form = handler.form(body)
    name, data = form["file"]
    account = handler.account
    file = account.add_file(f"file-{len(account.files) + 1:04}", name or "", data)
    handler.answer(_file_value(account, file))


def _get_file(handler: Handler, file: str, **_: Any) -> None:
    if file not in handler.account.files:
        return handler.missing("File")
    return handler.answer(_file_value(handler.account, file))


def _get_content(handler: Handler, file: str, **_: Any) -> None:
    if file not in handler.account.files:
        return handler.missing("File")
    data = handler.account.files[file][1]
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    headers = {"content-type": "application/octet-stream", "etag": etag}
    asked = re.fullmatch(r"bytes=([0-9]+)-", handler.headers.get("range", ""))
    same = handler.headers.get("if-range", etag) == etag
    if asked is None or not handler.account.ranges or not same:
        return handler.send_bytes(data, 200, headers)
    begin = int(asked[1])
    headers["content-range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
    return handler.send_bytes(data[begin:], 206, headers)


def _create_job(handler: Handler, *, body: bytes, **_: Any) -> None:
    asked = json.loads(body)
    account = handler.account
    for name in ("training_file", "validation_file"):
        if asked.get(name) is not None and asked[name] not in account.files:
            message = f"invalid {name}: {asked[name]}"
            error = {"message": message, "type": "invalid_request_error", "param": name}
            return handler.answer({"error": error}, 400)
    job = f"ftjob-{len(account.jobs) + 1:06}"
    account.jobs[job] = {
        "object": "fine_tuning.job",
        "id": job,
        "model": asked["model"],
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-acme",
        "result_files": [],
        "status": "validating_files",
        "validation_file": asked.get("validation_file"),
        "training_file": asked["training_file"],
        "hyperparameters": {"n_epochs": "auto"},
        "trained_tokens": None,
        "error": {},
        "seed": asked.get("seed", 7),
        "estimated_finish": None,
        "integrations": [],
        "metadata": asked.get("metadata") if account.keeps_metadata else None,
        "method": asked.get("method"),
        "user_provided_suffix": asked.get("suffix"),
    }
    if account.silent:
        account.silent = False
        handler.close_connection = True
        return None
    return handler.answer(account.jobs[job])


def _chat(handler: Handler, *, body: bytes, **_: Any) -> None:
    if handler.account.answers is None:
        return handler.missing("model")
    return handler.answer(handler.account.answers(json.loads(body)))


def _paged(handler: Handler, entries: list[dict[str, Any]], query: dict[str, list[str]]) -> None:
    begin = 0
    if "after" in query:
        begin = [each["id"] for each in entries].index(query["after"][0]) + 1
    limit = min(int(query.get("limit", ["20"])[0]), handler.account.page)
    data = entries[begin : begin + limit]
    handler.answer(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": begin + limit < len(entries),
        }
    )


def _list_jobs(handler: Handler, *, query: dict[str, list[str]], **_: Any) -> None:
    _paged(handler, list(reversed(handler.account.jobs.values())), query)


def _get_job(handler: Handler, job: str, **_: Any) -> None:
    if job not in handler.account.jobs:
        return handler.missing("fine-tune job")
    return handler.answer(handler.account.jobs[job])


def _list_checkpoints(handler: Handler, job: str, *, query: dict[str, list[str]], **_: Any) -> None:
    _paged(handler, handler.account.checkpoints.get(job, []), query)


def _create_upload(handler: Handler, *, body: bytes, **_: Any) -> None:
    upload = f"upload_{len(handler.account.uploads) + 1}"
    handler.account.uploads[upload] = (json.loads(body)["filename"], [])
    handler.answer({"id": upload, "object": "upload", "status": "pending"})


def _add_part(handler: Handler, upload: str, *, body: bytes, **_: Any) -> None:
    parts = handler.account.uploads[upload][1]
    part = f"part_{len(parts) + 1}"
    parts.append((part, handler.form(body)["data"][1]))
    handler.answer({"id": part, "object": "upload.part", "upload_id": upload})


def _complete_upload(handler: Handler, upload: str, *, body: bytes, **_: Any) -> None:
    account = handler.account
    name, parts = account.uploads[upload]
    by_id = dict(parts)
    data = b"".join(by_id[each] for each in json.loads(body)["part_ids"])
    file = account.add_file(f"file-{len(account.files) + 1:04}", name, data)
    done: dict[str, Any] = {"id": upload, "object": "upload", "status": "completed"}
    handler.answer({**done, "file": _file_value(account, file)})


ROUTES: tuple[tuple[str, str, Callable[..., None]], ...] = (
    ("POST", "/files", _upload_file),
    ("GET", "/files/([^/]+)", _get_file),
    ("GET", "/files/([^/]+)/content", _get_content),
    ("POST", "/uploads", _create_upload),
    ("POST", "/uploads/([^/]+)/parts", _add_part),
    ("POST", "/uploads/([^/]+)/complete", _complete_upload),
    ("POST", "/chat/completions", _chat),
    ("POST", "/fine_tuning/jobs", _create_job),
    ("GET", "/fine_tuning/jobs", _list_jobs),
    ("GET", "/fine_tuning/jobs/([^/]+)", _get_job),
    ("GET", "/fine_tuning/jobs/([^/]+)/checkpoints", _list_checkpoints),
)


@contextmanager
def serving(account: OpenAiJobs) -> Iterator[OpenAiJobs]:
    """Serve an account on loopback; ``account.url`` is set inside."""
    with listening(handler_of(account)) as port:
        account.url = f"http://127.0.0.1:{port}"
        yield account


def handler_of(account: OpenAiJobs) -> type[Handler]:
    """The handler of one account's requests."""
    return type("AccountHandler", (Handler,), {"account": account})
