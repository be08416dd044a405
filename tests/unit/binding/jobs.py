"""A finished fine-tuning job with its files, and the manifest that is expected of it."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.binding import openai
from sidecar.binding.job import Declared
from sidecar.core.predicates import (
    Corpus,
    EnvironmentSpec,
    EvaluationEnvelope,
    Manifest,
    ModelClaim,
    RequiredApprovals,
    Run,
    Suite,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.binding import samples
from tests.unit.binding.samples import BASE, JOB, MODEL, SUITE

NOW = datetime(2026, 1, 2, tzinfo=UTC)


WINDOW = Window(NOW, NOW + timedelta(days=180))


ROLES = ("provider", "customer", "regulator")


def write(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def sha(data: bytes) -> DigestSet:
    return DigestSet(hashlib.sha256(data).hexdigest())


CORPORA = (
    Corpus(
        "training", "file-train:training.jsonl", sha(samples.TRAINING), len(samples.TRAINING), 12
    ),
    Corpus("validation", "file-valid:v.jsonl", sha(samples.VALIDATION), len(samples.VALIDATION), 1),
)


ENVELOPE = EvaluationEnvelope(
    (
        Suite("adversarial", "jailbreaks", DigestSet(SUITE), 0.95),
        Suite("regression", "support-regression", sha(samples.REGRESSION), 0.9),
        Suite("compliance", "transparency", DigestSet(SUITE), 1.0, "eu"),
    )
)


ENVIRONMENTS = (
    EnvironmentSpec(
        "spiffe://acme.example/env/*", ("eu",), "finance", "customer-support", ("chat.completions",)
    ),
)


DECLARED = Declared(CORPORA, (), ENVELOPE, ENVIRONMENTS, ROLES, WINDOW, openai.PROVIDER)


RUN = Run(
    id="ftjob-abc123",
    method="supervised",
    hyperparameters={"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
    started=datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
    finished=datetime(2026, 1, 1, 1, 0, tzinfo=UTC),
    seed=683058546,
    trained_tokens=5768,
)


def job(**changes: Any) -> bytes:
    return json.dumps({**copy.deepcopy(JOB), **changes}).encode()


def expected(**changes: Any) -> Manifest:
    manifest = Manifest(
        model=ModelClaim("openai", MODEL, BASE),
        corpora=CORPORA,
        run=RUN,
        evaluations=(),
        envelope=ENVELOPE,
        environments=ENVIRONMENTS,
        approvals=RequiredApprovals(ROLES),
        window=WINDOW,
    )
    return replace(manifest, **changes)
