from __future__ import annotations

from typing import Any

import pytest

from sidecar.binding import bedrock_deployments as deployments
from sidecar.binding.errors import BindingError
from tests.support.bedrock import (
    BASE,
    BASE_ARN,
    DEPLOYMENT,
    DEPLOYMENT_ARN,
    MODEL_ARN,
    PROVISIONED,
    PROVISIONED_ARN,
)
from tests.unit.binding.bedrock.samples import PARENT_ARN, encoded


def test_a_deployment_runs_the_model_that_it_was_last_updated_to() -> None:
    found = deployments.read_deployment(encoded(DEPLOYMENT))
    assert (found.name, found.model) == (DEPLOYMENT_ARN, MODEL_ARN)
    first = deployments.read_deployment(encoded(DEPLOYMENT, updateDetails=None))
    assert (first.name, first.model) == (DEPLOYMENT_ARN, MODEL_ARN)


def test_a_provisioned_throughput_may_run_a_base_model() -> None:
    found = deployments.read_provisioned(encoded(PROVISIONED))
    assert (found.name, found.model) == (PROVISIONED_ARN, MODEL_ARN)
    base = {"modelArn": BASE_ARN, "desiredModelArn": BASE_ARN}
    assert deployments.read_provisioned(encoded(PROVISIONED, **base)).model == BASE


@pytest.mark.parametrize(
    "changes",
    [
        {"modelArn": PARENT_ARN, "updateDetails": None},
        {"lastUpdatedAt": "2026-02-01T00:00:00Z"},
        {"updateDetails": None},
    ],
)
def test_a_repointed_or_updated_deployment_has_another_projection(changes: dict[str, Any]) -> None:
    before = deployments.read_deployment(encoded(DEPLOYMENT)).projection
    after = deployments.read_deployment(encoded(DEPLOYMENT, **changes)).projection
    assert before != after
    described = deployments.read_deployment(encoded(DEPLOYMENT, description="x")).projection
    assert described == before


UPDATE = {"modelArn": PARENT_ARN, "updateStatus": "Updating"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "Creating"}, f"{DEPLOYMENT_ARN}: its status is 'Creating', not 'Active'"),
        ({"status": "Failed"}, f"{DEPLOYMENT_ARN}: its status is 'Failed', not 'Active'"),
        (
            {"updateDetails": UPDATE},
            f"{DEPLOYMENT_ARN}: an update to {PARENT_ARN} is 'Updating', not 'UpdateCompleted', and"
            f" it runs {MODEL_ARN}; bind it when an update completed",
        ),
        (
            {"updateDetails": {**UPDATE, "updateStatus": "UpdateFailed"}},
            f"{DEPLOYMENT_ARN}: an update to {PARENT_ARN} is 'UpdateFailed', not 'UpdateCompleted',"
            f" and it runs {MODEL_ARN}; bind it when an update completed",
        ),
        (
            {"updateDetails": {**UPDATE, "updateStatus": "UpdateCompleted"}},
            f"{DEPLOYMENT_ARN}: it was updated to {PARENT_ARN}, but states that it runs "
            f"{MODEL_ARN}",
        ),
        (
            {"modelArn": "support", "updateDetails": None},
            "'support' is not the ARN of a custom-model or imported-model or foundation-model of"
            " Bedrock",
        ),
    ],
)
def test_a_deployment_that_may_run_something_else_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        deployments.read_deployment(encoded(DEPLOYMENT, **changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "Updating"}, f"{PROVISIONED_ARN}: its status is 'Updating', not 'InService'"),
        (
            {"desiredModelArn": PARENT_ARN},
            f"{PROVISIONED_ARN}: it runs {MODEL_ARN}, and is being pointed at {PARENT_ARN}; bind it"
            " when it is in service again",
        ),
    ],
)
def test_a_provisioned_throughput_that_is_being_repointed_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        deployments.read_provisioned(encoded(PROVISIONED, **changes))
    assert str(caught.value) == message
