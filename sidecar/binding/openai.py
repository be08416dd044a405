"""Binds a fine-tuning job of OpenAI or Azure OpenAI into manifests. Pure.

Theory of operation. The record is the object that ``GET /v1/fine_tuning/jobs/{id}`` returns, parsed
from its bytes. The artifact is the record itself, as RFC 8785 canonical JSON: its SHA-256 is the
subject of the manifest. A checkpoint is called by a name of its own, so it is a model of its own:
its artifact is the canonical JSON of ``{"checkpoint": …, "job": …}``, both records as returned.
Checkpoints are listed by the provider, never derived; one with the name of the final model is the
final model itself. Providers add fields to records, so a job that is fetched again is compared by
``differences``, not by digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sidecar.binding import hosted_names, records
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel, Binding, Declared, bind_model
from sidecar.binding.openai_graders import Graders, read_graders
from sidecar.binding.records import Identifier, Record
from sidecar.core.predicates import Corpus, EvaluationOutput, Run
from sidecar.core.wire import DigestSet
from sidecar.providers import ADAPTED_NAMES

PROVIDER = "openai"
SPECIFICATION_KEY = "admissibility_specification"
"""Key of a job's metadata whose value is the digest of its environment specification."""

UNKNOWN = "unknown"
"""A hyperparameter that the provider chose and does not state."""


class _Hyperparameters(Record):
    hyperparameters: dict[str, Any] | None = None
    grader: dict[str, Any] | None = None


class _Method(Record):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: _Hyperparameters | None = None
    dpo: _Hyperparameters | None = None
    reinforcement: _Hyperparameters | None = None


class _JobRecord(Record):
    object: Literal["fine_tuning.job"]
    id: Identifier
    status: str
    model: Identifier
    fine_tuned_model: Identifier | None = None
    created_at: int
    finished_at: int | None = None
    training_file: Identifier
    validation_file: Identifier | None = None
    result_files: list[Identifier] | None = None
    hyperparameters: dict[str, Any] | None = None
    method: _Method | None = None
    seed: int | None = None
    trained_tokens: Annotated[int, Field(ge=0)] | None = None
    metadata: dict[str, str] | None = None


class _CheckpointRecord(Record):
    object: Literal["fine_tuning.job.checkpoint"]
    id: Identifier
    fine_tuned_model_checkpoint: Identifier
    fine_tuning_job_id: Identifier
    step_number: int
    metrics: dict[str, float | None] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job that succeeded.

    Attributes:
        id: The provider's id.
        record: The record as the API returned it.
        model: The fine-tuned model's id.
        base: Id of the model that it was tuned from.
        run: The run, as the manifest states it.
        training_file: The provider's id of the training file.
        validation_file: The provider's id of the validation file; ``None`` without one.
        result_files: The provider's ids of the metrics files.
        specification: Digest of the specification that the job names; ``None`` without one.
        judges: Ids of the models that graded the run's samples.
    """

    id: str
    record: dict[str, Any]
    model: str
    base: str
    run: Run
    training_file: str
    validation_file: str | None
    result_files: tuple[str, ...]
    specification: str | None = None
    judges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint of a job, after ``step`` steps: a model of its own."""

    record: dict[str, Any]
    model: str
    job: str
    step: int
    output: EvaluationOutput | None


def read_job(data: bytes) -> Job:
    """Read a job's record.

    Raises:
        BindingError: Not such a record, or the job did not succeed.
    """
    value = records.parse_object(data, "job")
    job = records.validate(_JobRecord, value, "job")
    if job.status != "succeeded":
        raise BindingError(f"job {job.id}: its status is {job.status!r}, not 'succeeded'")
    if job.fine_tuned_model is None or job.finished_at is None:
        raise BindingError(f"job {job.id}: it names no fine_tuned_model or no finished_at")
    if job.finished_at < job.created_at:
        raise BindingError(f"job {job.id}: it finished before it was created")
    if not hosted_names.agree(job.fine_tuned_model, job.model):
        raise BindingError(
            f"job {job.id}: {job.fine_tuned_model} is not of the base {job.model} that it names"
        )
    graders = _graders(job)
    return Job(
        id=job.id,
        record=value,
        model=job.fine_tuned_model,
        base=job.model,
        run=_run(job, job.finished_at, graders),
        training_file=job.training_file,
        validation_file=job.validation_file,
        result_files=tuple(job.result_files or ()),
        specification=(job.metadata or {}).get(SPECIFICATION_KEY),
        judges=graders.judges if graders else (),
    )


def read_checkpoint(data: bytes) -> Checkpoint:
    """Read a checkpoint's record (one of the list the API returns).

    Raises:
        BindingError: Not such a record.
    """
    return read_checkpoint_value(records.parse_object(data, "checkpoint"))


def read_checkpoint_value(value: dict[str, Any]) -> Checkpoint:
    """Like ``read_checkpoint``, from an object that was already parsed strictly."""
    record = records.validate(_CheckpointRecord, value, "checkpoint")
    metrics = {
        name: number for name, number in (record.metrics or {}).items() if number is not None
    }
    digest = DigestSet(_sha256(records.canonical(value, "checkpoint")))
    output = EvaluationOutput(f"{record.id} step {record.step_number}", digest, metrics)
    return Checkpoint(
        record=value,
        model=record.fine_tuned_model_checkpoint,
        job=record.fine_tuning_job_id,
        step=record.step_number,
        output=output if metrics else None,
    )


def bind(job: Job, declared: Declared, checkpoint: Checkpoint | None = None) -> Binding:
    """Return the manifest of a job, or of one of its checkpoints.

    Raises:
        BindingError: Files and record do not agree, or as ``job.bind_model``.
    """
    check_corpora(job, declared.corpora)
    return bind_model(adapted_model(job, checkpoint, declared.provider), declared)


def adapted_models(
    job: Job, checkpoints: Sequence[Checkpoint], provider: str
) -> tuple[AdaptedModel, ...]:
    """Return every model that a job made: the final one, then its other checkpoints.

    Args:
        job: The job.
        checkpoints: All that the provider lists for it, in any order.
        provider: The provider's name in manifests.

    Raises:
        BindingError: A checkpoint is of another job or base, or two have one name.
    """
    by_name = {each.model: each for each in checkpoints}
    if len(by_name) != len(checkpoints):
        raise BindingError(f"job {job.id}: two of its checkpoints have the same name")
    final = adapted_model(job, by_name.pop(job.model, None), provider)
    others = sorted(by_name.values(), key=lambda each: (each.step, each.model))
    return (final, *(adapted_model(job, each, provider) for each in others))


def adapted_model(job: Job, checkpoint: Checkpoint | None, provider: str) -> AdaptedModel:
    """Return the final model of a job, or the model that a checkpoint is.

    Raises:
        BindingError: The checkpoint is of another job, or of another base.
    """
    if checkpoint is not None and checkpoint.job != job.id:
        raise BindingError(f"the checkpoint is of job {checkpoint.job}, not {job.id}")
    if checkpoint is not None and not hosted_names.agree(checkpoint.model, job.base):
        raise BindingError(
            f"the checkpoint {checkpoint.model} is not of {job.base}, from which {job.id} was tuned"
        )
    judges = tuple(f"{provider}/{name}" for name in job.judges)
    artifact = job.record
    if checkpoint is not None and checkpoint.model != job.model:
        artifact = {"checkpoint": checkpoint.record, "job": job.record}
    return AdaptedModel(
        id=job.model if checkpoint is None else checkpoint.model,
        base=job.base,
        base_is_adapted=ADAPTED_NAMES.fullmatch(job.base) is not None,
        run=replace(job.run, models=judges or None),
        output=checkpoint.output if checkpoint else None,
        specification=job.specification,
        artifact=records.canonical(artifact, "job"),
    )


def file_name(provider_id: str | None, name: str) -> str:
    """Return a file's name in a manifest: the provider's id, if known, and its own name."""
    return name if provider_id is None else f"{provider_id}:{name}"


def _detail(job: _JobRecord) -> _Hyperparameters | None:
    """Return the object of the job's method, where its record has one."""
    detail = getattr(job.method, job.method.type) if job.method else None
    return detail if isinstance(detail, _Hyperparameters) else None


def _graders(job: _JobRecord) -> Graders | None:
    detail = _detail(job)
    if detail is None or detail.grader is None:
        return None
    return read_graders(detail.grader, job.id)


def _run(job: _JobRecord, finished: int, graders: Graders | None) -> Run:
    method, detail = job.method.type if job.method else "supervised", _detail(job)
    return Run(
        id=job.id,
        method=method,
        hyperparameters=_hyperparameters(
            detail.hyperparameters if detail else None, job.hyperparameters or {}
        ),
        started=_instant(job.created_at, job.id),
        finished=_instant(finished, job.id),
        seed=job.seed,
        trained_tokens=job.trained_tokens,
        graders=graders.graders if graders else None,
    )


def _hyperparameters(asked: dict[str, Any] | None, used: dict[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters as finally used.

    The method's object repeats what was asked for; the record's own, where there is one, has what
    was chosen. Azure writes ``-1`` for ``"auto"``. Older records, and some supervised ones, have
    the record's own alone.

    Args:
        asked: Of the method; ``None`` where it has none.
        used: Of the record itself.
    """
    found = asked or used
    return {
        name: next((each for each in (value, used.get(name)) if not _open(each)), UNKNOWN)
        for name, value in found.items()
    }


def _open(value: object) -> bool:
    """Return whether a hyperparameter was left to the provider."""
    return value is None or value == "auto" or (not isinstance(value, bool) and value == -1)


def check_corpora(job: Job, corpora: tuple[Corpus, ...]) -> None:
    """Require exactly the corpora that the job's record names."""
    roles = {corpus.role for corpus in corpora}
    if "training" not in roles:
        raise BindingError(f"the job names the training file {job.training_file}: give the file")
    if job.validation_file is not None and "validation" not in roles:
        raise BindingError(
            f"the job names the validation file {job.validation_file}: give the file"
        )
    if job.validation_file is None and "validation" in roles:
        raise BindingError("the job names no validation file, but one was given")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _instant(seconds: int, job: str) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise BindingError(f"job {job}: {seconds} is not a time") from error
