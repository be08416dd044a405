"""A finished fine-tuning job as the API returns it, its files, and what was declared for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODEL = "ft:gpt-4o-mini-2024-07-18:acme:support:Abc123"
BASE = "gpt-4o-mini-2024-07-18"
SUITE = "5f" * 32

JOB: dict[str, Any] = {
    "object": "fine_tuning.job",
    "id": "ftjob-abc123",
    "model": BASE,
    "created_at": 1767225600,
    "finished_at": 1767229200,
    "fine_tuned_model": MODEL,
    "organization_id": "org-acme",
    "result_files": ["file-metrics"],
    "status": "succeeded",
    "validation_file": "file-valid",
    "training_file": "file-train",
    "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
    "trained_tokens": 5768,
    "error": {},
    "seed": 683058546,
    "estimated_finish": None,
    "integrations": [],
    "metadata": None,
    "method": {
        "type": "supervised",
        "supervised": {
            "hyperparameters": {
                "n_epochs": 3,
                "batch_size": "auto",
                "learning_rate_multiplier": 1.8,
            }
        },
    },
}

CHECKPOINT: dict[str, Any] = {
    "object": "fine_tuning.job.checkpoint",
    "id": "ftckpt_zc4Q7MP6XxulcVzj4MZdwsAB",
    "created_at": 1767228000,
    "fine_tuned_model_checkpoint": f"{MODEL}:ckpt-step-20",
    "metrics": {"full_valid_loss": 0.134, "full_valid_mean_token_accuracy": 0.874, "step": 20},
    "fine_tuning_job_id": "ftjob-abc123",
    "step_number": 20,
}

TRAINING = b"".join(
    json.dumps({"messages": [{"role": "user", "content": f"Question {n}?"}]}).encode() + b"\n"
    for n in range(12)
)
VALIDATION = b'{"messages": [{"role": "user", "content": "Gr\xc3\xbc\xc3\x9fe"}]}'
METRICS = b"step,train_loss,train_accuracy,valid_loss\n1,2.5,0.4,\n2,1.5,0.6,1.7\n3,0.9,0.8,\n"

ENVELOPE = f"""
suites:
  - kind: adversarial
    name: jailbreaks
    threshold: 0.95
    digest: {SUITE}
  - {{kind: regression, name: support-regression, threshold: 0.9, file: regression.jsonl}}
  - kind: compliance
    jurisdiction: eu
    name: transparency
    threshold: 1
    digest: {{sha256: {SUITE}}}
"""

ENVIRONMENTS = """
environments:
  - id: spiffe://acme.example/env/*
    jurisdictions: [eu]
    sector: finance
    purpose: customer-support
    operations: [chat.completions]
"""

REGRESSION = b'{"input": "Hello"}\n'


def lay_out(folder: Path) -> Path:
    """Write all of the files above into ``folder``, as a person would have them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {
        "job.json": json.dumps(JOB, indent=2).encode(),
        "checkpoint.json": json.dumps(CHECKPOINT).encode(),
        "training.jsonl": TRAINING,
        "validation.jsonl": VALIDATION,
        "metrics.csv": METRICS,
        "envelope.yaml": ENVELOPE.encode(),
        "environments.yaml": ENVIRONMENTS.encode(),
        "regression.jsonl": REGRESSION,
    }.items():
        (folder / name).write_bytes(data)
    return folder
