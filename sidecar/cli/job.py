"""``admit job``: submits a tuning job under a specification, binds it, and compares it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.binder.endpoint import Endpoint
from sidecar.binder.submission import JobRequest, Submission, SubmissionFolder, prepare, submit
from sidecar.binding import openai_listing
from sidecar.binding.source import JobState
from sidecar.binding.specified import KnownSpecification
from sidecar.cli import binding_options, common, job_source, manifests, provider_options
from sidecar.cli.binding_options import DataClassOption, ExtendedOption
from sidecar.cli.common import CliError, JsonOption
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.cli.job_binding import bind_job
from sidecar.cli.provider_options import (
    ApiOption,
    ApiVersionOption,
    BaseUrlOption,
    CredentialFileOption,
    KeyFileOption,
    ProviderOption,
)
from sidecar.core import strict_json

DIFFERS = 1
"""Exit status where a job differs from its manifest, or has no model."""

METHODS = ("supervised", "dpo", "reinforcement")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Submit a tuning job under a specification, bind it, and compare it with its manifest.",
)


@app.callback()
def _group() -> None:
    """Submit a tuning job under a specification, bind it, and compare it with its manifest."""


ModelArgument = Annotated[str, typer.Argument(help="The base model to tune, by its id.")]
TrainingOption = Annotated[Path, typer.Option(help="The training file (JSONL).")]
SpecificationOption = Annotated[
    Path, typer.Option(help="The signed specification (*.dsse.json) that it is tuned under.")
]
ValidationOption = Annotated[Path | None, typer.Option(help="The validation file (JSONL).")]
MethodOption = Annotated[str, typer.Option(help=", ".join(METHODS))]
HyperparameterOption = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE, e.g. n_epochs=3; repeatable.")
]
GraderOption = Annotated[
    Path | None, typer.Option(help="Of a reinforcement job: the grader (JSON).")
]
ResponseFormatOption = Annotated[
    Path | None, typer.Option(help="Of a reinforcement job: the response format (JSON).")
]
SeedOption = Annotated[int | None, typer.Option(help="Of the run.")]
SuffixOption = Annotated[str | None, typer.Option(help="Becomes a part of the model's id.")]
MetadataOption = Annotated[
    list[str] | None, typer.Option(help="NAME=TEXT to keep with the job; repeatable.")
]
StateOption = Annotated[
    Path, typer.Option(help="Folder that remembers what was uploaded and created.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check everything; send nothing.")]


app.command("bind")(bind_job)


@app.command("submit")
def submit_job(
    model: ModelArgument,
    training: TrainingOption,
    specification: SpecificationOption,
    extended: ExtendedOption = None,
    validation: ValidationOption = None,
    method: MethodOption = METHODS[0],
    hyperparameter: HyperparameterOption = None,
    grader: GraderOption = None,
    response_format: ResponseFormatOption = None,
    seed: SeedOption = None,
    suffix: SuffixOption = None,
    data_class: DataClassOption = None,
    metadata: MetadataOption = None,
    api: ApiOption = "openai",
    provider: ProviderOption = None,
    base_url: BaseUrlOption = None,
    api_version: ApiVersionOption = None,
    key_file: KeyFileOption = None,
    credential_file: CredentialFileOption = None,
    state: StateOption = Path("submissions"),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check corpora and specification, upload the corpora, and create the job, once.

    The same command again goes on where an earlier one stopped, and shows the job once it exists.
    """
    request = JobRequest(
        provider=provider or api,
        endpoint=base_url or api,
        model=model,
        method=_method(method, grader),
        hyperparameters=_values(hyperparameter),
        grader=None if grader is None else _json(grader),
        response_format=None if response_format is None else _json(response_format),
        seed=seed,
        suffix=suffix,
        metadata=common.pairs(metadata, "--metadata"),
    )
    known = binding_options.specified(specification, extended or [])
    assert known is not None
    files = {"training": training} | ({} if validation is None else {"validation": validation})
    prepared = _prepared(request, files, known, data_class, quiet=as_json)
    folder = SubmissionFolder(state)
    if dry_run:
        _show_dry_run(prepared, folder, as_json=as_json)
        return
    reached = provider_options.endpoint(api, base_url, api_version, key_file, credential_file)
    _create(prepared, folder, reached, as_json=as_json)


def _prepared(
    request: JobRequest,
    files: dict[str, Path],
    known: KnownSpecification,
    data_class: list[str] | None,
    *,
    quiet: bool,
) -> Submission:
    with hashing("corpora", sizes(list(files.values())), quiet=quiet) as advance:
        classes = tuple(data_class or ())
        return prepare(request, files, known, common.now(), classes=classes, progress=advance)


def _create(
    prepared: Submission, folder: SubmissionFolder, reached: Endpoint, *, as_json: bool
) -> None:
    creator = job_source.creator_module().OpenAiCreator(prepared.request.provider, reached)
    total = sum(upload.corpus.bytes for upload in prepared.uploads)
    with hashing("corpora", total, quiet=as_json, verb="Uploading") as advance:
        done, created = submit(prepared, folder, creator, common.now, advance)
    record = folder.path(done.key)
    if created and creator.forgotten:
        common.warn(
            "the provider keeps no metadata with the job: the binder learns its specification "
            f"from {record} alone"
        )
    title = "Created job" if created else "The job exists already:"
    common.report(
        f"{title} {done.job}.",
        {**_facts(done), "record": str(record)},
        as_json=as_json,
        created=created,
    )


@app.command()
def show(
    job: Annotated[str, typer.Argument(help="The provider's id of the job.")],
    api: ApiOption = "openai",
    provider: ProviderOption = None,
    base_url: BaseUrlOption = None,
    api_version: ApiVersionOption = None,
    key_file: KeyFileOption = None,
    credential_file: CredentialFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a job as the provider has it now; exit status 1 if it ended without a model."""
    source = job_source.open_ai(api, provider, base_url, api_version, key_file, credential_file)
    value = strict_json.loads_object(source.record(job), max_bytes=common.MAX_INPUT_BYTES)
    listed = openai_listing.listed_job(value)
    facts = {
        "status": str(value.get("status")),
        "base": str(value.get("model")),
        "model": str(value.get("fine_tuned_model")),
        "created": listed.created.isoformat(),
        "specification": str(listed.specification),
    }
    error = value.get("error")
    if isinstance(error, dict) and error.get("message"):
        facts["error"] = str(error["message"])
    common.report(f"Job {listed.id}.", facts, as_json=as_json)
    if listed.state is JobState.ENDED:
        raise typer.Exit(DIFFERS)


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest's envelope (*.dsse.json).")],
    record: Annotated[
        Path | None,
        typer.Option(help="The job's record, fetched again; without it, it is fetched now."),
    ] = None,
    api: ApiOption = "openai",
    base_url: BaseUrlOption = None,
    api_version: ApiVersionOption = None,
    key_file: KeyFileOption = None,
    credential_file: CredentialFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a job, as the provider has it now, with the manifest that it was bound into.

    Compared are ids, model, base, files, method, seed, times and status; a provider adds other
    fields to its records at any time. Exit status 1 if one of them differs.
    """
    bound = manifests.read(manifest).manifest
    checkpoints: tuple[Any, ...] = ()
    if record is None:
        source = job_source.open_ai(api, None, base_url, api_version, key_file, credential_file)
        data, checkpoints = source.record(bound.run.id), source.checkpoints(bound.run.id)
    else:
        data = common.read(record)
    found = openai_listing.differences(bound, data, checkpoints)
    title = "differs from" if found else "is as bound in"
    if as_json:
        print(json.dumps({"job": bound.run.id, "differences": found}, indent=2))
    else:
        facts = {f"{number}": text for number, text in enumerate(found, 1)}
        common.report(f"Job {bound.run.id} {title} {manifest}.", facts, as_json=False)
    if found:
        raise typer.Exit(DIFFERS)


def _method(method: str, grader: Path | None) -> str:
    if method not in METHODS:
        raise CliError(f"--method: {method!r} is not one of {', '.join(METHODS)}")
    if (method == "reinforcement") != (grader is not None):
        raise CliError("--grader: a reinforcement job needs one, and no other has one")
    return method


def _values(texts: list[str] | None) -> dict[str, Any]:
    """Parse ``NAME=VALUE``, where a value is a JSON number or boolean, else text."""
    found: dict[str, Any] = {}
    for name, text in common.pairs(texts, "--hyperparameter").items():
        try:
            found[name] = strict_json.loads(text.encode(), max_bytes=1024)
        except strict_json.StrictJsonError:
            found[name] = text
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        return strict_json.loads_object(common.read(path), max_bytes=common.MAX_INPUT_BYTES)
    except strict_json.StrictJsonError as error:
        raise CliError(f"{path}: {error}") from error


def _facts(submission: Submission) -> dict[str, str]:
    facts = {"specification": submission.specification}
    for upload in submission.uploads:
        size = f"{upload.corpus.records} records, sha256 {upload.corpus.digest.sha256}"
        facts[upload.corpus.role] = f"{upload.file or upload.path}: {size}"
    return {"job": submission.job, **facts} if submission.job else facts


def _show_dry_run(prepared: Submission, folder: SubmissionFolder, *, as_json: bool) -> None:
    known = folder.read(prepared.key)
    if known is not None:
        prepared = replace(known, request=prepared.request)
    body = job_source.creator_module().request_body(prepared)
    if as_json:
        print(json.dumps({"job": prepared.job, "body": body}, indent=2, ensure_ascii=False))
        return
    title = f"It exists as {prepared.job}" if prepared.job else "Nothing was sent"
    common.report(f"{title}. This is what would be sent:", _facts(prepared), as_json=False)
    print(json.dumps(body, indent=2, ensure_ascii=False))
