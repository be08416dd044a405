"""Reads from a customization job's record how it trained: settings, graders, teacher, losses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sidecar.binding import bedrock_arns, records
from sidecar.binding.bedrock_records import Customization, CustomizationJob, CustomModel
from sidecar.binding.errors import BindingError
from sidecar.core import wire
from sidecar.core.predicates import EvaluationOutput, Grader
from sidecar.core.wire import DigestSet


def hyperparameters(
    job: CustomizationJob, model: CustomModel, config: Customization
) -> dict[str, Any]:
    """Return the hyperparameters as finally used: the model's record is written last."""
    tuned = (config.rft_config and config.rft_config.hyper_parameters) or {}
    teacher = config.distillation_config and config.distillation_config.teacher_model_config
    length = teacher.max_response_length_for_inference if teacher else None
    limited = {} if length is None else {"maxResponseLengthForInference": length}
    return {**limited, **tuned, **(job.hyper_parameters or {}), **(model.hyper_parameters or {})}


def graders(method: str, config: Customization) -> tuple[Grader, ...]:
    """Return what graded a reinforcement's samples.

    Raises:
        BindingError: The record names no grader, or one of a kind that is not known here: its
            withdrawal would not reach the model.
    """
    graded = None if config.rft_config is None else config.rft_config.grader_config
    if method != "REINFORCEMENT_FINE_TUNING":
        if graded is not None:
            raise BindingError(f"a job of type {method} has a grader; only a reinforcement has")
        return ()
    named = (graded or {}).get("lambdaGrader")
    arn = named.get("lambdaArn") if isinstance(named, dict) else None
    if graded is None or set(graded) != {"lambdaGrader"} or not isinstance(arn, str):
        found = ", ".join(sorted(graded or ())) or "nothing"
        raise BindingError(f"graderConfig: has {found}, expected one lambdaGrader with lambdaArn")
    digest = hashlib.sha256(wire.canonical(graded)).hexdigest()
    return (Grader(arn, DigestSet(digest)),)


def teachers(method: str, config: Customization) -> tuple[str, ...]:
    """Return the names of the model whose answers a distillation trained on.

    Raises:
        BindingError: A distillation names none, or a job of another type names one.
    """
    distilled = config.distillation_config
    if (method == "DISTILLATION") != (distilled is not None):
        has = "no" if distilled is None else "a"
        raise BindingError(f"a job of type {method} has {has} teacher model")
    if distilled is None:
        return ()
    return bedrock_arns.asked_models(distilled.teacher_model_config.teacher_model_identifier)


def metrics(value: Mapping[str, Any], job: CustomizationJob) -> EvaluationOutput | None:
    """Return the last losses that the job's record has; the digest is of these two fields."""
    losses = [each.validation_loss for each in job.validation_metrics or ()]
    named = {f"validationLoss.{number}": loss for number, loss in enumerate(losses)}
    trained = None if job.training_metrics is None else job.training_metrics.training_loss
    found = {"trainingLoss": trained, **named}
    known = {name: loss for name, loss in found.items() if loss is not None}
    if not known:
        return None
    both = {key: value.get(key) for key in ("trainingMetrics", "validationMetrics")}
    digest = hashlib.sha256(records.canonical(both, job.job_arn)).hexdigest()
    return EvaluationOutput("metrics of the job's record", DigestSet(digest), known)
