"""Stands in for the provider's account that tunes models: files, jobs, and a webhook.

It speaks OpenAI's wire format below ``/v1``, as far as submitting a job and binding it need it. A
job runs until ``finish`` is called; then its record is the packaged one, with the files, the seed,
the metadata and the times of the job that was submitted.
"""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import json
import re
import secrets
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from importlib.resources import files
from typing import Any

from aiohttp import web

_DATA = files("admissibility_devtools.demo") / "data"
_METRICS = "file-metrics-v3"
_WEBHOOK_SECONDS = 30.0


@dataclass
class TuningAccount:
    """Keeps what was uploaded and submitted.

    ``files`` are id → name, bytes and time of the upload, ``jobs`` id → record; ``webhook_secret``
    signs its webhooks.
    """

    files: dict[str, tuple[str, bytes, int]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    webhook_secret: str = field(
        default_factory=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    )

    def answer(self, method: str, path: str, kind: str, body: bytes) -> web.Response | None:
        """Answer a request; ``None`` if it is about neither files nor jobs.

        Args:
            method: Of HTTP.
            path: Without the query.
            kind: Its content type.
            body: Its bytes.
        """
        for wanted, pattern, handle in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found is not None and method == wanted:
                try:
                    return handle(self, *found.groups(), kind=kind, body=body)
                except KeyError as error:
                    return web.json_response({"error": {"message": f"No such {error}"}}, status=404)
        return None

    def keep(self, file: str, name: str, data: bytes) -> None:
        """Keep a file under its id."""
        self.files[file] = (name, data, int(time.time()))

    def finish(self, job: str) -> str:
        """Let a job succeed; return the id of the model that it made."""
        asked = self.jobs[job]
        record = json.loads((_DATA / "job.json").read_bytes())
        kept = ("id", "created_at", "training_file", "validation_file", "metadata", "seed")
        self.keep(_METRICS, "step_metrics.csv", (_DATA / "metrics.csv").read_bytes())
        self.jobs[job] = {
            **record,
            **{name: asked[name] for name in kept},
            "finished_at": int(time.time()),
            "result_files": [_METRICS],
        }
        return str(record["fine_tuned_model"])

    def notify(self, url: str, job: str) -> int:
        """Send the webhook that a job succeeded (Standard Webhooks); return the reply's status."""
        event = {
            "object": "event",
            "id": f"evt_{secrets.token_hex(8)}",
            "type": "fine_tuning.job.succeeded",
            "created_at": int(time.time()),
            "data": {"id": job},
        }
        body = json.dumps(event).encode()
        name, stamp = f"wh_{secrets.token_hex(8)}", str(int(time.time()))
        key = base64.b64decode(self.webhook_secret.removeprefix("whsec_"))
        signed = hmac.new(key, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - of the binder
        with urllib.request.urlopen(request, timeout=_WEBHOOK_SECONDS) as reply:  # noqa: S310
            return int(reply.status)


Handle = Callable[..., web.Response]


def _upload(account: TuningAccount, *, kind: str, body: bytes) -> web.Response:
    head = f"content-type: {kind}\r\n\r\n".encode()
    form = email.message_from_bytes(head + body, EmailMessage, policy=email.policy.HTTP)
    files = [
        each
        for each in form.iter_parts()
        if each.get_param("name", header="content-disposition") == "file"
    ]
    if len(files) != 1:
        error = {"message": "a form with one file is expected", "type": "invalid_request_error"}
        return web.json_response({"error": error}, status=400)
    (part,) = files
    name = part.get_filename() or "file"
    file = f"file-{name.partition('.')[0]}-v3"
    account.keep(file, name, bytes(part.get_payload(decode=True)))
    return _file(account, file, kind=kind, body=body)


def _file(account: TuningAccount, file: str, **_: object) -> web.Response:
    name, data, came = account.files[file]
    return web.json_response(
        {
            "object": "file",
            "id": file,
            "purpose": "fine-tune",
            "filename": name,
            "bytes": len(data),
            "created_at": came,
            "status": "processed",
        }
    )


def _content(account: TuningAccount, file: str, **_: object) -> web.Response:
    return web.Response(body=account.files[file][1], content_type="application/octet-stream")


def _create(account: TuningAccount, *, body: bytes, **_: object) -> web.Response:
    asked = json.loads(body)
    packaged = json.loads((_DATA / "job.json").read_bytes())
    job = str(packaged["id"])
    account.jobs[job] = {
        **packaged,
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "result_files": [],
        "status": "running",
        "training_file": asked["training_file"],
        "validation_file": asked.get("validation_file"),
        "seed": asked.get("seed", packaged["seed"]),
        "metadata": asked.get("metadata"),
    }
    return web.json_response(account.jobs[job])


def _job(account: TuningAccount, job: str, **_: object) -> web.Response:
    return web.json_response(account.jobs[job])


def _jobs(account: TuningAccount, **_: object) -> web.Response:
    found = list(reversed(account.jobs.values()))
    return web.json_response({"object": "list", "data": found, "has_more": False})


def _checkpoints(account: TuningAccount, job: str, **_: object) -> web.Response:
    account.jobs[job]
    return web.json_response({"object": "list", "data": [], "has_more": False})


_ROUTES: tuple[tuple[str, str, Handle], ...] = (
    ("POST", "/v1/files", _upload),
    ("GET", "/v1/files/([^/]+)", _file),
    ("GET", "/v1/files/([^/]+)/content", _content),
    ("POST", "/v1/fine_tuning/jobs", _create),
    ("GET", "/v1/fine_tuning/jobs", _jobs),
    ("GET", "/v1/fine_tuning/jobs/([^/]+)", _job),
    ("GET", "/v1/fine_tuning/jobs/([^/]+)/checkpoints", _checkpoints),
)
