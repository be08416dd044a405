"""Defines the records of Amazon Bedrock that are read (botocore, ``bedrock/2023-04-20``)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from sidecar.binding.records import Identifier, Record, Time

CustomizationType = Literal[
    "FINE_TUNING",
    "CONTINUED_PRE_TRAINING",
    "DISTILLATION",
    "REINFORCEMENT_FINE_TUNING",
    "IMPORTED",
]


class _Record(Record):
    """A record of rest-json, whose fields are in camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)


class S3Source(_Record):
    """Where an object, or everything below a prefix, is."""

    s3_uri: Identifier | None = None


class Logs(_Record):
    """Invocation logs that a distillation trains on."""

    invocation_log_source: S3Source


class TrainingData(S3Source):
    """``TrainingDataConfig``."""

    invocation_logs_config: Logs | None = None


class ValidationData(_Record):
    """``ValidationDataConfig``."""

    validators: tuple[S3Source, ...] = Field(default=(), strict=False)


class TrainingMetrics(_Record):
    """``TrainingMetrics``."""

    training_loss: float | None = None


class ValidatorMetric(_Record):
    """``ValidatorMetric``: one for each validator, in their order."""

    validation_loss: float | None = None


class Teacher(_Record):
    """``TeacherModelConfig``."""

    teacher_model_identifier: Identifier
    max_response_length_for_inference: int | None = None


class Distillation(_Record):
    """``DistillationConfig``."""

    teacher_model_config: Teacher


class Reinforcement(_Record):
    """``RFTConfig``; the union of graders is read apart, so that an unknown one is noticed."""

    grader_config: dict[str, Any] | None = None
    hyper_parameters: dict[str, Any] | None = None


class Customization(_Record):
    """``CustomizationConfig``: a union."""

    distillation_config: Distillation | None = None
    rft_config: Reinforcement | None = None


class CustomizationJob(_Record):
    """``GetModelCustomizationJobResponse``."""

    job_arn: Identifier
    status: str
    creation_time: Time
    end_time: Time | None = None
    last_modified_time: Time | None = None
    base_model_arn: Identifier
    output_model_arn: Identifier | None = None
    customization_type: CustomizationType | None = None
    hyper_parameters: dict[str, str] | None = None
    training_data_config: TrainingData
    validation_data_config: ValidationData | None = None
    training_metrics: TrainingMetrics | None = None
    validation_metrics: list[ValidatorMetric] | None = None
    customization_config: Customization | None = None


class CustomModel(_Record):
    """``GetCustomModelResponse``."""

    model_arn: Identifier
    model_status: str | None = None
    job_arn: Identifier | None = None
    base_model_arn: Identifier | None = None
    creation_time: Time
    customization_type: CustomizationType | None = None
    hyper_parameters: dict[str, str] | None = None


class ImportJob(_Record):
    """``GetModelImportJobResponse``."""

    job_arn: Identifier
    status: str
    creation_time: Time
    end_time: Time | None = None
    last_modified_time: Time | None = None
    imported_model_arn: Identifier | None = None
    model_data_source: dict[str, Any]


class ImportedModel(_Record):
    """``GetImportedModelResponse``."""

    model_arn: Identifier
    job_arn: Identifier | None = None
    model_data_source: dict[str, Any] | None = None
    model_architecture: str | None = None


class DeploymentUpdate(_Record):
    """``CustomModelDeploymentUpdateDetails``."""

    model_arn: Identifier
    update_status: str


class CustomModelDeployment(_Record):
    """``GetCustomModelDeploymentResponse``."""

    custom_model_deployment_arn: Identifier
    model_arn: Identifier
    status: str
    created_at: Time
    last_updated_at: Time | None = None
    update_details: DeploymentUpdate | None = None


class ProvisionedThroughput(_Record):
    """``GetProvisionedModelThroughputResponse``."""

    provisioned_model_arn: Identifier
    model_arn: Identifier
    desired_model_arn: Identifier
    foundation_model_arn: Identifier
    status: str
    creation_time: Time
    last_modified_time: Time
