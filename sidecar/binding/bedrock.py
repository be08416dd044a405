"""Binds models that Amazon Bedrock customized or imported. Pure.

Theory of operation. Two records are read: of the job, which states what was trained, and of the
model, which states what is called. They must agree in everything that both state. The artifact is
``{"job": …, "model": …}`` as RFC 8785 canonical JSON, both as the API returned them; a model that
was made without a job of Bedrock has ``{"model": …}``. The model's name is its ARN. Its base is
named as calls name it: by the id of a foundation model, by the ARN of a custom one.

A model that Bedrock did not train itself (``IMPORTED``) has a base and corpora that only its
producer knows, who declares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.binding import bedrock_arns, bedrock_runs, records
from sidecar.binding.bedrock_arns import Arn, parse_arn
from sidecar.binding.bedrock_records import (
    Customization,
    CustomizationJob,
    CustomModel,
    ImportedModel,
    ImportJob,
)
from sidecar.binding.errors import BindingError
from sidecar.binding.job import AdaptedModel
from sidecar.core.predicates import Corpus, EvaluationOutput, Manifest, Run
from sidecar.providers import ADAPTED_NAMES

PROVIDER = "bedrock"
SPECIFICATION_TAG = "admissibility_specification"
"""Key of a job's tag whose value is the digest of its environment specification."""

JOB, IMPORT_JOB = "model-customization-job", "model-import-job"
CUSTOM_MODEL, IMPORTED_MODEL = "custom-model", "imported-model"
IMPORTED = "IMPORTED"


@dataclass(frozen=True, slots=True)
class BedrockModel:
    """A model as its records describe it.

    Attributes:
        records: What the artifact is made of.
        name: The model's ARN.
        base: Its base, as calls name it; ``None`` where no record states it.
        run: The run, as the manifest states it.
        training: S3 URIs of the training data, of objects or of prefixes; empty if none is known.
        logs: The one of them below which Bedrock writes invocation logs, at any time.
        validation: S3 URIs of the validation data.
        weights: S3 URI of imported weights; ``None`` if it was trained here.
        output: The metrics in the job's record.
        specification: Digest of the specification that the job names; ``None`` without one.
    """

    records: Mapping[str, Any]
    name: str
    base: str | None
    run: Run
    training: tuple[str, ...] = ()
    logs: str | None = None
    validation: tuple[str, ...] = ()
    weights: str | None = None
    output: EvaluationOutput | None = None
    specification: str | None = None


def read_customization(
    job: bytes, model: bytes, *, provider: str = PROVIDER, specification: str | None = None
) -> BedrockModel:
    """Read a customization job and the model that it made.

    Args:
        job: Body of the answer to ``GetModelCustomizationJob``.
        model: Body of the answer to ``GetCustomModel`` for the job's output model.
        provider: The provider's name in manifests.
        specification: Value of the job's tag ``SPECIFICATION_TAG``.

    Raises:
        BindingError: Not such records; the job did not succeed; or they do not agree.
    """
    job_value = records.parse_object(job, "job")
    model_value = records.parse_object(model, "custom model")
    done = records.validate(CustomizationJob, job_value, "job")
    made = records.validate(CustomModel, model_value, "custom model")
    arn = parse_arn(done.job_arn, JOB)
    _check_completed(arn, done.status)
    name = _made(arn, done.output_model_arn, made.model_arn, made.job_arn, CUSTOM_MODEL)
    _check_active(made)
    _check_repeated(job_value, model_value, arn.text)
    base = _base(done, made, name)
    method = done.customization_type or made.customization_type or "FINE_TUNING"
    config = done.customization_config or Customization()
    models = bedrock_runs.teachers(method, config)
    run = Run(
        id=arn.text,
        method=method,
        hyperparameters=bedrock_runs.hyperparameters(done, made, config),
        started=done.creation_time,
        finished=_ended(arn, done),
        graders=bedrock_runs.graders(method, config) or None,
        models=tuple(f"{provider}/{each}" for each in models) or None,
    )
    data, checks = done.training_data_config, done.validation_data_config
    config_of_logs = data.invocation_logs_config
    logs = None if config_of_logs is None else config_of_logs.invocation_log_source.s3_uri
    return BedrockModel(
        records={"job": job_value, "model": model_value},
        name=name.text,
        base=base,
        run=run,
        training=tuple(uri for uri in (data.s3_uri, logs) if uri is not None),
        logs=logs,
        validation=tuple(each.s3_uri for each in checks.validators if each.s3_uri is not None)
        if checks
        else (),
        output=bedrock_runs.metrics(job_value, done),
        specification=specification,
    )


def read_import(job: bytes, model: bytes, *, specification: str | None = None) -> BedrockModel:
    """Read a model import job and the model that it made.

    Args:
        job: Body of the answer to ``GetModelImportJob``.
        model: Body of the answer to ``GetImportedModel``.
        specification: Value of the job's tag ``SPECIFICATION_TAG``.

    Raises:
        BindingError: As ``read_customization``.
    """
    job_value = records.parse_object(job, "job")
    model_value = records.parse_object(model, "imported model")
    done = records.validate(ImportJob, job_value, "job")
    made = records.validate(ImportedModel, model_value, "imported model")
    arn = parse_arn(done.job_arn, IMPORT_JOB)
    _check_completed(arn, done.status)
    name = _made(arn, done.imported_model_arn, made.model_arn, made.job_arn, IMPORTED_MODEL)
    _check_repeated(job_value, model_value, arn.text)
    known = {} if made.model_architecture is None else {"architecture": made.model_architecture}
    return BedrockModel(
        records={"job": job_value, "model": model_value},
        name=name.text,
        base=None,
        run=Run(
            id=arn.text,
            method=IMPORTED,
            hyperparameters=known,
            started=done.creation_time,
            finished=_ended(arn, done),
        ),
        weights=_weights(done.model_data_source, arn.text),
        specification=specification,
    )


def read_imported_custom_model(model: bytes, *, specification: str | None = None) -> BedrockModel:
    """Read a custom model that was made of weights trained elsewhere (``CreateCustomModel``).

    Raises:
        BindingError: Not such a record, or the model is not ready.
    """
    value = records.parse_object(model, "custom model")
    made = records.validate(CustomModel, value, "custom model")
    name = parse_arn(made.model_arn, CUSTOM_MODEL)
    if made.job_arn is not None or made.customization_type not in {None, IMPORTED}:
        job = made.job_arn or f"of type {made.customization_type}"
        raise BindingError(f"{name.text}: a customization job made it, {job}: bind that")
    _check_active(made)
    base = None if made.base_model_arn is None else bedrock_arns.model_name(made.base_model_arn)
    return BedrockModel(
        records={"model": value},
        name=name.text,
        base=base,
        run=Run(
            id=name.text,
            method=IMPORTED,
            hyperparameters=dict(made.hyper_parameters or {}),
            started=made.creation_time,
            finished=made.creation_time,
        ),
        specification=specification,
    )


def adapted_model(
    found: BedrockModel, corpora: tuple[Corpus, ...], base: str | None = None
) -> AdaptedModel:
    """Return a model as the neutral core binds it.

    Args:
        found: The model.
        corpora: Its corpora; those that a job names bear the job's S3 URIs as their names.
        base: The base as its producer declares it, where no record states it.

    Raises:
        BindingError: A corpus that the job names is missing, or one is of no job's URI; or the
            base is stated by nobody, or otherwise by the records.
    """
    _check_corpora(found, corpora)
    if found.base is None and base is None:
        raise BindingError(f"{found.name}: no record states its base model: give --base")
    if found.base is not None and base is not None and base != found.base:
        raise BindingError(f"--base is {base!r}, but the records state {found.base!r}")
    named = str(found.base if base is None else base)
    return AdaptedModel(
        id=found.name,
        base=named,
        base_is_adapted=ADAPTED_NAMES.fullmatch(named) is not None,
        run=found.run,
        artifact=records.canonical(found.records, found.run.id),
        output=found.output,
        specification=found.specification,
    )


def differences(manifest: Manifest, found: BedrockModel) -> list[str]:
    """Compare a model's records, fetched again, with the manifest that they were bound into."""
    run, again = manifest.run, found.run
    named = [(each.role, each.name) for each in manifest.corpora]
    uris = [("training", uri) for uri in found.training]
    uris += [("validation", uri) for uri in found.validation]
    pairs: list[tuple[str, object, object]] = [
        ("model", manifest.model.id, found.name),
        ("base", manifest.model.base, found.base or manifest.model.base),
        ("method", run.method, again.method),
        ("hyperparameters", run.hyperparameters, again.hyperparameters),
        ("creationTime", run.started.isoformat(), again.started.isoformat()),
        ("endTime", run.finished.isoformat(), again.finished.isoformat()),
        ("graders", run.graders, again.graders),
        ("teachers", run.models, again.models),
    ]
    changed = [f"{what} is {now!r}, bound was {was!r}" for what, was, now in pairs if was != now]
    lost = [
        f"{role} data {uri} was not bound"
        for role, uri in uris
        if not any(role == of and is_of(name, uri) for of, name in named)
    ]
    return changed + lost


def is_of(name: str, uri: str) -> bool:
    """Return whether a corpus's name is that of an S3 URI, or of an object below that prefix."""
    return name == uri or name.startswith(uri if uri.endswith("/") else f"{uri}/")


def _check_completed(job: Arn, status: str) -> None:
    if status != "Completed":
        raise BindingError(f"job {job.text}: its status is {status!r}, not 'Completed'")


def _check_active(model: CustomModel) -> None:
    """Require a model that is ready; records from before models had a status have none."""
    if model.model_status not in {None, "Active"}:
        raise BindingError(f"{model.model_arn}: its status is {model.model_status!r}, not 'Active'")


def _made(job: Arn, promised: str | None, model: str, by: str | None, kind: str) -> Arn:
    """Return the model's ARN, after comparing the two records' references to each other."""
    if promised is None:
        raise BindingError(f"job {job.text}: it names no model that it made")
    if model != promised:
        raise BindingError(f"the record is of {model}, but job {job.text} made {promised}")
    if by is not None and by != job.text:
        raise BindingError(f"the record of {model} names job {by}, not {job.text}")
    arn = parse_arn(model, kind)
    if arn.owner != job.owner:
        raise BindingError(f"{model} and job {job.text} are of different accounts or regions")
    return arn


_BOTH_STATE = (
    "customizationConfig",
    "customizationType",
    "trainingDataConfig",
    "validationDataConfig",
    "modelDataSource",
)


def _check_repeated(job: Mapping[str, Any], model: Mapping[str, Any], name: str) -> None:
    """Require that the model's record repeats what the job's states, where it has it at all."""
    for key in _BOTH_STATE:
        if job.get(key) is not None and model.get(key) is not None and job[key] != model[key]:
            raise BindingError(f"job {name}: its {key} is not that in its model's record")


def _base(job: CustomizationJob, model: CustomModel, name: Arn) -> str:
    """Return the base model. A job on a custom model may state that one's foundation only."""
    kinds = ("foundation-model", CUSTOM_MODEL, IMPORTED_MODEL)
    stated = parse_arn(job.base_model_arn, *kinds)
    found = stated if model.base_model_arn is None else parse_arn(model.base_model_arn, *kinds)
    if name.text in {stated.text, found.text}:
        raise BindingError(f"job {job.job_arn}: {name.text} is named as the model and as its base")
    adapted = [each for each in (found, stated) if each.kind != "foundation-model"]
    if found.text != stated.text and len(adapted) != 1:
        raise BindingError(
            f"job {job.job_arn}: its base is {stated.text}, but its model's record states "
            f"{found.text}"
        )
    base = adapted[0] if adapted else found
    _check_family(name, base)
    return bedrock_arns.model_name(base.text)


def _check_family(name: Arn, base: Arn) -> None:
    """Require that a custom model's ARN states its own base, which precedes its id."""
    stated = bedrock_arns.base_in(name)
    expected = base.rest.partition(":")[0] if base.kind == "foundation-model" else None
    expected = expected if expected is not None else bedrock_arns.base_in(base)
    if stated is not None and expected is not None and stated != expected:
        raise BindingError(f"{name.text} is a model of {stated}, but its base is {base.text}")


def _ended(job: Arn, record: CustomizationJob | ImportJob) -> datetime:
    ended = record.end_time or record.last_modified_time
    if ended is None:
        raise BindingError(f"job {job.text}: it names no endTime and no lastModifiedTime")
    return ended


def _weights(source: Mapping[str, Any], job: str) -> str:
    found = source.get("s3DataSource")
    uri = found.get("s3Uri") if isinstance(found, dict) else None
    if set(source) != {"s3DataSource"} or not isinstance(uri, str):
        names = ", ".join(sorted(source)) or "nothing"
        raise BindingError(f"job {job}: modelDataSource has {names}, expected one s3DataSource")
    return uri


def _check_corpora(found: BedrockModel, corpora: tuple[Corpus, ...]) -> None:
    """Require exactly the corpora that the job names, or any where no record names one."""
    given = {
        role: [corpus.name for corpus in corpora if corpus.role == role]
        for role in ("training", "validation")
    }
    for role, uris in (("training", found.training), ("validation", found.validation)):
        for uri in uris:
            if not any(is_of(name, uri) for name in given[role]):
                raise BindingError(f"the job names the {role} data {uri}: it is not given")
        for name in given[role] if found.training else ():
            if not any(is_of(name, uri) for uri in uris):
                raise BindingError(f"the job names no {role} data {name}, but it was given")
    if not given["training"]:
        raise BindingError(f"{found.name}: no record names its training data: give --training")
