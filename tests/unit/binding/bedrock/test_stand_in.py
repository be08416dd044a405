"""The stand-in for Bedrock's control plane answers as the service model states."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.bedrock import BASE_ARN, GRADER_ARN, SAMPLES
from tests.unit.binding.bedrock.shapes import faults

VARIANTS: dict[str, dict[str, Any]] = {
    "a reinforcement": {
        "customizationType": "REINFORCEMENT_FINE_TUNING",
        "customizationConfig": {
            "rftConfig": {
                "graderConfig": {"lambdaGrader": {"lambdaArn": GRADER_ARN}},
                "hyperParameters": {"epochCount": 3, "reasoningEffort": "low"},
            }
        },
    },
    "a distillation": {
        "customizationType": "DISTILLATION",
        "customizationConfig": {
            "distillationConfig": {"teacherModelConfig": {"teacherModelIdentifier": BASE_ARN}}
        },
    },
}


@pytest.mark.parametrize("operation", SAMPLES)
def test_an_answer_is_what_the_service_model_states(operation: str) -> None:
    assert faults(operation, SAMPLES[operation]) == []


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_of_a_job_is_what_the_service_model_states(changes: dict[str, Any]) -> None:
    assert (
        faults("GetModelCustomizationJob", {**SAMPLES["GetModelCustomizationJob"], **changes}) == []
    )


def test_a_response_unlike_the_service_model_is_named_field_by_field() -> None:
    wrong = {**SAMPLES["GetCustomModel"], "modelStatus": "Ready", "base": "x", "jobArn": "job-1"}
    del wrong["modelName"]
    assert faults("GetCustomModel", wrong) == [
        "GetCustomModel: lacks ['modelName'], has ['base']",
        "GetCustomModel.jobArn: 'job-1' does not match",
        "GetCustomModel.modelStatus: 'Ready' is none of ['Active', 'Creating', 'Failed']",
    ]
