"""A specification, corpora and a request for tests of submission and binding."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.binder.submission import JobRequest
from sidecar.binding.specified import KnownSpecification
from sidecar.core.predicates import Specification
from sidecar.core.window import Window
from tests.unit.binding.jobs import ENVELOPE, ENVIRONMENTS
from tests.unit.binding.samples import BASE

LINES = tuple(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"Question {number}?"},
                {"role": "assistant", "content": "On its way."},
            ]
        }
    ).encode()
    for number in range(12)
)
TRAINING = b"\n".join(LINES) + b"\n"
VALIDATION = b"\n".join(LINES[:2]) + b"\n"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def known(models: tuple[str, ...] = ("*/gpt-4o-*",)) -> KnownSpecification:
    begin = now() - timedelta(hours=1)
    window = Window(begin, begin + timedelta(days=30))
    return KnownSpecification("5c" * 32, Specification(models, ENVIRONMENTS, ENVELOPE, window))


def files(folder: Path, training: bytes = TRAINING) -> dict[str, Path]:
    paths = {"training": folder / "training.jsonl", "validation": folder / "validation.jsonl"}
    paths["training"].write_bytes(training)
    paths["validation"].write_bytes(VALIDATION)
    return paths


def asked(method: str = "supervised", **more: object) -> JobRequest:
    request = JobRequest("openai", "http://127.0.0.1/v1", BASE, method)
    return JobRequest(**{**{f: getattr(request, f) for f in request.__slots__}, **more})
