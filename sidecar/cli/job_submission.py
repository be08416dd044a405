"""``admit job submit``: creates a tuning job under a specification, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.binder.submission import JobRequest, Submission, SubmissionFolder, prepare, submit
from sidecar.binding import bedrock_arns
from sidecar.binding.specified import KnownSpecification
from sidecar.cli import binding_options, common, job_source
from sidecar.cli.binding_options import DataClassOption, ExtendedOption
from sidecar.cli.common import CliError, JsonOption
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.cli.option_groups import grouped
from sidecar.cli.provider_options import BEDROCK, AccountOptions
from sidecar.core import strict_json
from sidecar.formats.amounts import amount

if TYPE_CHECKING:
    from sidecar.binder.submission import JobCreator

METHODS = ("supervised", "dpo", "reinforcement")
TUNING = "FINE_TUNING"

ModelArgument = Annotated[str, typer.Argument(help="The base model to tune, by its id.")]
TrainingOption = Annotated[
    str,
    typer.Option(metavar="FILE|S3URI", help="The training file (JSONL); of Bedrock, an S3 URI."),
]
SpecificationOption = Annotated[
    Path, typer.Option(help="The signed specification (*.dsse.json) that it is tuned under.")
]
ValidationOption = Annotated[
    str | None, typer.Option(metavar="FILE|S3URI", help="The validation file, in the same form.")
]
MethodOption = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join(METHODS)}; of Bedrock its customization type. {METHODS[0]} or {TUNING}, "
        "if not given."
    ),
]
HyperparameterOption = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE, e.g. n_epochs=3; repeatable.")
]
GraderOption = Annotated[Path | None, typer.Option(help="Grader of a reinforcement job (JSON).")]
ResponseFormatOption = Annotated[
    Path | None, typer.Option(help="Response format of a reinforcement job (JSON).")
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the run.")]
SuffixOption = Annotated[str | None, typer.Option(help="Becomes a part of the model's id.")]
MetadataOption = Annotated[
    list[str] | None, typer.Option(help="NAME=TEXT to keep with the job; repeatable.")
]
StateOption = Annotated[
    Path, typer.Option(help="Folder of the records of uploads and created jobs.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check everything; send nothing.")]


@dataclass(frozen=True, slots=True)
class HostedOptions:
    """Options of a job of OpenAI or Azure OpenAI; an option group."""

    grader: GraderOption = None
    response_format: ResponseFormatOption = None
    seed: SeedOption = None
    suffix: SuffixOption = None


@dataclass(frozen=True, slots=True)
class BedrockJobOptions:
    """Options of a job of Bedrock; an option group."""

    role_arn: Annotated[
        str | None, typer.Option(help="Bedrock: the IAM role with which it reads the corpora.")
    ] = None
    output: Annotated[
        str | None,
        typer.Option(metavar="S3URI", help="Bedrock: the prefix that it writes metrics to."),
    ] = None
    model_name: Annotated[
        str | None, typer.Option(help="Bedrock: name of the model that is to be made.")
    ] = None
    job_name: Annotated[
        str | None, typer.Option(help="Bedrock: name of the job, if not one derived from it.")
    ] = None
    customization_config: Annotated[
        Path | None, typer.Option(help="Bedrock: customizationConfig (JSON), teacher or grader.")
    ] = None


@grouped
def submit_job(
    model: ModelArgument,
    training: TrainingOption,
    specification: SpecificationOption,
    account: AccountOptions,
    hosted: HostedOptions,
    bedrock: BedrockJobOptions,
    extended: ExtendedOption = None,
    validation: ValidationOption = None,
    method: MethodOption = None,
    hyperparameter: HyperparameterOption = None,
    data_class: DataClassOption = None,
    metadata: MetadataOption = None,
    state: StateOption = Path("submissions"),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check corpora and specification, upload the corpora, and create the job, once.

    The same command again goes on where an earlier one stopped, and shows the job once it exists.
    Corpora of Bedrock are read from S3 to be checked, and stay there.

    Examples:
        admit job submit gpt-4o-2024-08-06 --training training.jsonl
            --specification specification.dsse.json --dry-run
        admit job submit gpt-4o-2024-08-06 --training training.jsonl
            --specification specification.dsse.json --suffix support-v3
            --base-url https://models.acme.example/v1 --credential-file jwt-svid
    """
    known = binding_options.specified(specification, extended or [])
    assert known is not None
    request = JobRequest(
        provider=account.name,
        endpoint=account.base_url or account.endpoint_url or account.api,
        model=model,
        method=method or METHODS[0],
        metadata=common.pairs(metadata, "--metadata"),
    )
    places = {"training": training} | ({} if validation is None else {"validation": validation})
    classes, folder = tuple(data_class or ()), SubmissionFolder(state)
    creator: JobCreator | None
    if account.api == BEDROCK:
        _refuse(hosted, account.api)
        values = common.pairs(hyperparameter, "--hyperparameter")
        asked = _of_bedrock(replace(request, method=method or TUNING), bedrock, values)
        stored = job_source.open_bedrock_creator(account, state / "transit")
        with hashing("corpora", 0, quiet=as_json, verb="Fetching") as advance:
            copies = {role: stored.fetch(uri, advance) for role, uri in places.items()}
        prepared = _prepared(asked, copies, known, classes, places=places, quiet=as_json)
        creator = stored
    else:
        _refuse(bedrock, account.api)
        asked = _of_hosted(request, hosted, _values(hyperparameter))
        files = {role: Path(name) for role, name in places.items()}
        prepared = _prepared(asked, files, known, classes, places={}, quiet=as_json)
        creator = None if dry_run else job_source.open_creator(account)
    if dry_run or creator is None:
        _show_dry_run(prepared, folder, account.api, as_json=as_json)
    else:
        _create(prepared, folder, creator, as_json=as_json)


def _of_hosted(
    request: JobRequest, options: HostedOptions, hyperparameters: dict[str, Any]
) -> JobRequest:
    grader, form = options.grader, options.response_format
    return replace(
        request,
        method=_method(request.method, grader),
        hyperparameters=hyperparameters,
        grader=None if grader is None else _json(grader),
        response_format=None if form is None else _json(form),
        seed=options.seed,
        suffix=options.suffix,
    )


def _of_bedrock(
    request: JobRequest, options: BedrockJobOptions, hyperparameters: dict[str, str]
) -> JobRequest:
    role, output, name = options.role_arn, options.output, options.model_name
    if role is None or output is None or name is None:
        raise CliError("--api bedrock: needs --role-arn, --output and --model-name")
    config = options.customization_config
    given = None if config is None else _json(config)
    module = job_source.bedrock_module()
    asked = replace(
        request,
        model=bedrock_arns.model_name(request.model),
        hyperparameters=hyperparameters,
        settings=module.settings(role, output, name, options.job_name, given),
    )
    module.check_request(asked)
    return asked


def _refuse(options: HostedOptions | BedrockJobOptions, api: str) -> None:
    for name in options.__slots__:
        if getattr(options, name) is not None:
            raise CliError(f"--{name.replace('_', '-')}: is not an option of --api {api}")


def _prepared(
    request: JobRequest,
    files: dict[str, Path],
    known: KnownSpecification,
    classes: tuple[str, ...],
    *,
    places: Mapping[str, str],
    quiet: bool,
) -> Submission:
    with hashing("corpora", sizes(list(files.values())), quiet=quiet) as advance:
        return prepare(
            request, files, known, common.now(), places=places, classes=classes, progress=advance
        )


def _create(
    prepared: Submission, folder: SubmissionFolder, creator: JobCreator, *, as_json: bool
) -> None:
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
        size = f"{amount(upload.corpus.records, 'record')}, sha256 {upload.corpus.digest.sha256}"
        stored = "://" in upload.path
        name = upload.path if stored else upload.file or upload.path
        facts[upload.corpus.role] = f"{name}: {size}"
    return {"job": submission.job, **facts} if submission.job else facts


def _show_dry_run(
    prepared: Submission, folder: SubmissionFolder, api: str, *, as_json: bool
) -> None:
    known = folder.read(prepared.key)
    if known is not None:
        prepared = replace(known, request=prepared.request)
    body = job_source.request_body(prepared, api)
    if as_json:
        print(json.dumps({"job": prepared.job, "body": body}, indent=2, ensure_ascii=False))
        return
    title = f"It exists as {prepared.job}" if prepared.job else "Nothing was sent"
    common.report(f"{title}. This is what would be sent:", _facts(prepared), as_json=False)
    print(json.dumps(body, indent=2, ensure_ascii=False))
