"""Binds a finished job and its files into a signed manifest (``admit bind``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import files, openai
from sidecar.binding.openai import Job
from sidecar.binding.slsa import Provenance
from sidecar.cli import bound_manifest, common
from sidecar.cli.binding_options import DeclaredOptions
from sidecar.cli.option_groups import grouped
from sidecar.cli.run_files import RunFileOptions
from sidecar.cli.signing_checks import SigningOptions
from sidecar.core.predicates import Corpus, EvaluationOutput

CheckpointOption = Annotated[
    Path | None, typer.Option(help="A checkpoint's record, to bind the checkpoint instead.")
]


@grouped
def bind(
    job: Annotated[Path, typer.Argument(help="The job's record, as the API returned it.")],
    run_files: RunFileOptions,
    signing: SigningOptions,
    declared: DeclaredOptions,
    checkpoint: CheckpointOption = None,
    provider: Annotated[
        str, typer.Option(help="The provider, as the gate's routes name it.")
    ] = openai.PROVIDER,
    shutdown: Annotated[
        str | None, typer.Option(help="When the provider shuts the model down, if announced.")
    ] = None,
) -> None:
    """Bind a finished fine-tuning job into a signed manifest.

    Examples:
        admit bind job.json --home producer --training training.jsonl
            --specification specification.dsse.json --out evidence
        admit bind job.json --home producer --training training.jsonl
            --envelope envelope.yaml --environments environments.yaml
            --out evidence --blobs blobs
    """
    at, record = common.now(), openai.read_job(common.read(job))
    owner = signing.owner()
    point = None if checkpoint is None else openai.read_checkpoint(common.read(checkpoint))
    found = run_files.provenance(declared.classes)
    read = _corpora(record, run_files, found, declared.classes, quiet=signing.as_json)
    known = declared.declared(owner, at, provider, read, _outputs(record, run_files))
    known = replace(known, shutdown=common.instant(shutdown, "--shutdown"))
    if found is not None:
        model = openai.adapted_model(record, point, provider)
        known = bound_manifest.with_provenance(found, model, known)
    bound = openai.bind(record, known, point)
    bound_manifest.sign(signing, owner, bound, "job" if point is None else "checkpoint")


def _corpora(
    job: Job,
    given: RunFileOptions,
    found: Provenance | None,
    classes: tuple[str, ...],
    *,
    quiet: bool,
) -> tuple[Corpus, ...]:
    ids = {"training": job.training_file, "validation": job.validation_file}

    def name_of(role: str, paths: list[Path], path: Path) -> str:
        # Several files were concatenated before the upload: none of them is the uploaded one.
        return openai.file_name(ids[role] if len(paths) == 1 else None, path.name)

    return given.corpora_of(found, classes, quiet=quiet, name_of=name_of)


def _outputs(job: Job, given: RunFileOptions) -> tuple[EvaluationOutput, ...]:
    paths = given.result_file or []
    ids = job.result_files if len(job.result_files) == len(paths) else (None,) * len(paths)
    return tuple(
        files.run_output(path, name=openai.file_name(known, path.name))
        for path, known in zip(paths, ids, strict=True)
    )
