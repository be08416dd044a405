"""``admit bind-bedrock``: a model that Amazon Bedrock customized or imported."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.binding import bedrock, job
from sidecar.binding.bedrock import BedrockModel
from sidecar.binding.model_files import Progress
from sidecar.cli import bound_manifest, common, run_files
from sidecar.cli.aws_options import AwsOptions, S3EndpointOption, WorkOption
from sidecar.cli.binding_options import DeclaredOptions
from sidecar.cli.common import CliError
from sidecar.cli.hashing_progress import hashing
from sidecar.cli.option_groups import grouped
from sidecar.cli.run_files import ResultFileOption
from sidecar.cli.signing_checks import SigningOptions
from sidecar.core.predicates import Corpus, Document
from sidecar.core.wire import DigestSet

if TYPE_CHECKING:
    from sidecar.binding.bedrock_api import BedrockApi
    from sidecar.binding.bedrock_source import BedrockSource

COMMAND = "admit bind-bedrock"
WEIGHTS = "imported-weights"
"""Kind of the document that is the listing of imported weights."""

NameArgument = Annotated[
    str,
    typer.Argument(
        help="ARN of a customization job, of an import job, or of a custom model that was imported."
    ),
]
FilesOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[S3URI=]FILE",
        help="A copy of the object that the job read at that URI; for an import, a file (JSONL) "
        "that the model was trained on. Repeatable.",
    ),
]
BaseOption = Annotated[
    str | None, typer.Option(help="The base model's id, where no record states it: of an import.")
]
ProviderOption = Annotated[str, typer.Option(help="The provider, as the gate's routes name it.")]


@grouped
def bind_bedrock(
    name: NameArgument,
    signing: SigningOptions,
    declared: DeclaredOptions,
    aws: AwsOptions,
    training: FilesOption = None,
    validation: FilesOption = None,
    result_file: ResultFileOption = None,
    base: BaseOption = None,
    provider: ProviderOption = bedrock.PROVIDER,
    s3_endpoint_url: S3EndpointOption = None,
    work: WorkOption = None,
) -> None:
    """Fetch a finished job of Amazon Bedrock and its corpora, and bind it into a manifest.

    Examples:
        admit bind-bedrock
            arn:aws:bedrock:us-east-1:123456789012:model-customization-job/abc
            --specification specification.dsse.json --home producer --work transit
    """
    at, owner = common.now(), signing.owner()
    api = aws.open(COMMAND, name, s3_endpoint_url)
    found = api.model(name, provider)
    given = (_given(training, "--training"), _given(validation, "--validation"))
    with _folder(work) as transit:
        read, weights = _read(api, found, given, declared.classes, transit, quiet=signing.as_json)
    known = declared.declared(owner, at, provider, read, run_files.outputs(result_file))
    known = replace(known, documents=(*known.documents, *weights))
    bound = job.bind_model(bedrock.adapted_model(found, read, base), known)
    bound_manifest.sign(signing, owner, bound, "job")


Given = list[tuple[str | None, Path]]
"""Files at hand, each with the S3 URI whose object it is a copy of, if any."""


def _given(texts: list[str] | None, option: str) -> Given:
    found: Given = []
    for text in texts or []:
        if not text.startswith("s3://"):
            found.append((None, Path(text)))
            continue
        # No S3 URI of a job has an equals sign in it (botocore, pattern of S3Uri).
        uri, equals, path = text.partition("=")
        if not (equals and path):
            raise CliError(f"{option}: {text!r} is not S3URI=FILE")
        found.append((uri, Path(path)))
    return found


def _read(
    api: BedrockApi,
    found: BedrockModel,
    given: tuple[Given, Given],
    classes: tuple[str, ...],
    transit: Path,
    *,
    quiet: bool,
) -> tuple[tuple[Corpus, ...], tuple[Document, ...]]:
    """Return the corpora, and the listing of imported weights."""
    from sidecar.binding.bedrock_source import BedrockSource, read_object  # noqa: PLC0415 - the extra

    source = BedrockSource(bedrock.PROVIDER, api)
    copies = {uri: path for each in given for uri, path in each if uri is not None}
    unknown = copies.keys() - {*found.training, *found.validation}
    if unknown:
        raise CliError(f"{', '.join(sorted(unknown))}: is no URI that the job names")
    with hashing("corpora", 0, quiet=quiet) as advance:
        readings = [
            (reading.corpus.name, reading)
            for reading in source.corpora(found, transit, classes, advance, copies)
        ]
        readings += [
            (str(path), read_object(path, role, path.name, classes, advance))
            for role, each in zip(("training", "validation"), given, strict=True)
            for uri, path in each
            if uri is None
        ]
        weights = _weights(source, found, advance)
    corpora = tuple(run_files.recorded(Path(name), each) for name, each in readings)
    return corpora, weights


def _weights(source: BedrockSource, found: BedrockModel, advance: Progress) -> tuple[Document, ...]:
    if found.weights is None:
        return ()
    listing = source.weights(found.weights, found.run.started, advance)
    digest = DigestSet(hashlib.sha256(listing).hexdigest())
    return (Document(WEIGHTS, found.weights, digest),)


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="admit-") as folder:
        yield Path(folder)
