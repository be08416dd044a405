"""Reads which model a deployment or a provisioned throughput of Amazon Bedrock runs. Pure.

Both keep their ARN while they are pointed at another model, so what is read here holds only for as
long as the evidence that is made of it, and is read again before that ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.binding import bedrock_arns, records
from sidecar.binding.bedrock_arns import parse_arn
from sidecar.binding.bedrock_records import CustomModelDeployment, ProvisionedThroughput
from sidecar.binding.errors import BindingError

DEPLOYMENT, PROVISIONED = "custom-model-deployment", "provisioned-model"
_MODELS = ("custom-model", "imported-model", "foundation-model")


@dataclass(frozen=True, slots=True)
class BedrockDeployment:
    """What a name that can be repointed runs now.

    Attributes:
        name: Its ARN, as calls name it.
        model: The model that it runs, as calls name that.
        projection: Fields of the record that change when it is repointed or updated.
    """

    name: str
    model: str
    projection: Mapping[str, Any]


def read_deployment(data: bytes) -> BedrockDeployment:
    """Read a custom model deployment (``GetCustomModelDeployment``).

    Raises:
        BindingError: Not such a record; it is not active; or an update of it has not completed, so
            that what it runs may change, or may have changed.
    """
    value = records.parse_object(data, "deployment")
    found = records.validate(CustomModelDeployment, value, "deployment")
    arn = parse_arn(found.custom_model_deployment_arn, DEPLOYMENT)
    if found.status != "Active":
        raise BindingError(f"{arn.text}: its status is {found.status!r}, not 'Active'")
    update = found.update_details
    if update is not None and update.update_status != "UpdateCompleted":
        raise BindingError(
            f"{arn.text}: an update to {update.model_arn} is {update.update_status!r}, not "
            f"'UpdateCompleted', and it runs {found.model_arn}; bind it when an update completed"
        )
    if update is not None and update.model_arn != found.model_arn:
        raise BindingError(
            f"{arn.text}: it was updated to {update.model_arn}, but states that it runs "
            f"{found.model_arn}"
        )
    keys = ("customModelDeploymentArn", "modelArn", "status", "updateDetails", "lastUpdatedAt")
    return _of(arn.text, found.model_arn, {key: value.get(key) for key in keys})


def read_provisioned(data: bytes) -> BedrockDeployment:
    """Read a provisioned throughput (``GetProvisionedModelThroughput``).

    Raises:
        BindingError: Not such a record; it is not in service; or it is being pointed at another
            model than it runs.
    """
    value = records.parse_object(data, "provisioned throughput")
    found = records.validate(ProvisionedThroughput, value, "provisioned throughput")
    arn = parse_arn(found.provisioned_model_arn, PROVISIONED)
    if found.model_arn != found.desired_model_arn:
        raise BindingError(
            f"{arn.text}: it runs {found.model_arn}, and is being pointed at "
            f"{found.desired_model_arn}; bind it when it is in service again"
        )
    if found.status != "InService":
        raise BindingError(f"{arn.text}: its status is {found.status!r}, not 'InService'")
    keys = ("provisionedModelArn", "modelArn", "desiredModelArn", "status", "foundationModelArn")
    return _of(arn.text, found.model_arn, {key: value.get(key) for key in keys})


def _of(name: str, model: str, projection: Mapping[str, Any]) -> BedrockDeployment:
    parse_arn(model, *_MODELS)
    return BedrockDeployment(name, bedrock_arns.model_name(model), projection)
