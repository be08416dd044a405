"""Records of Bedrock as bytes, with changes, and what was declared for them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

from sidecar.binding import bedrock
from sidecar.binding.bedrock import BedrockModel
from sidecar.core.predicates import Corpus
from tests.support.bedrock import (
    ARN,
    BASE,
    BASE_ARN,
    GRADER_ARN,
    IMPORT_JOB,
    IMPORTED,
    JOB,
    MODEL,
    TRAINING,
    VALIDATION,
)
from tests.unit.binding import jobs
from tests.unit.binding import samples as files

CORPORA = (
    Corpus("training", TRAINING, jobs.sha(files.TRAINING), len(files.TRAINING), 12),
    Corpus("validation", VALIDATION, jobs.sha(files.VALIDATION), len(files.VALIDATION), 1),
)
DECLARED = replace(jobs.DECLARED, corpora=CORPORA, provider="bedrock")

PARENT_ARN = f"{ARN}:custom-model/{BASE}/000000111111"
REINFORCED: dict[str, Any] = {
    "customizationType": "REINFORCEMENT_FINE_TUNING",
    "customizationConfig": {
        "rftConfig": {
            "graderConfig": {"lambdaGrader": {"lambdaArn": GRADER_ARN}},
            "hyperParameters": {"epochCount": 3, "inferenceMaxTokens": 256},
        }
    },
}
PROFILE_ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0"
DISTILLED: dict[str, Any] = {
    "customizationType": "DISTILLATION",
    "customizationConfig": {
        "distillationConfig": {
            "teacherModelConfig": {
                "teacherModelIdentifier": PROFILE_ARN,
                "maxResponseLengthForInference": 1000,
            }
        }
    },
    "trainingDataConfig": {
        "invocationLogsConfig": {
            "usePromptResponse": True,
            "invocationLogSource": {"s3Uri": "s3://acme-corpora/logs"},
        }
    },
}
BOTH = ("customizationType", "customizationConfig", "trainingDataConfig", "validationDataConfig")


def encoded(record: dict[str, Any], **changes: Any) -> bytes:
    """A record with changes; a field that is changed to ``None`` is left out."""
    whole = {**copy.deepcopy(record), **changes}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def read(model: dict[str, Any] | None = None, **job: Any) -> BedrockModel:
    """Read a changed job; its model's record repeats what both have."""
    repeated = {key: value for key, value in job.items() if key in BOTH}
    return bedrock.read_customization(
        encoded(JOB, **job), encoded(MODEL, **{**repeated, **(model or {})})
    )


def read_import(model: dict[str, Any] | None = None, **job: Any) -> BedrockModel:
    return bedrock.read_import(encoded(IMPORT_JOB, **job), encoded(IMPORTED, **(model or {})))


__all__ = [
    "BASE",
    "BASE_ARN",
    "CORPORA",
    "DECLARED",
    "DISTILLED",
    "PARENT_ARN",
    "REINFORCED",
    "encoded",
    "read",
    "read_import",
]
