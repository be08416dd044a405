"""Binds a finished job and its files into a signed manifest (``admit bind``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.binding import corpora, files, openai
from sidecar.binding.job import Declared
from sidecar.binding.openai import Job
from sidecar.cli import binding_options, common, signing_checks
from sidecar.cli.binding_options import (
    DataClassOption,
    DocumentOption,
    EnvelopeOption,
    EnvironmentsOption,
    ExtendedOption,
    RequireRoleOption,
    SpecificationOption,
    SupersedesOption,
)
from sidecar.cli.common import BlobsOption, DeclarationOption, HomeOption, JsonOption, OutOption
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.cli.signing_checks import Against, ForceOption, PoliciesOption, TrustOption
from sidecar.core.evidence import Corpus, EvaluationOutput
from sidecar.core.grants import ALWAYS_REQUIRED

ValidationOption = Annotated[
    list[Path] | None, typer.Option(help="The validation file, if the job names one.")
]
ResultFileOption = Annotated[
    list[Path] | None, typer.Option(help="A metrics file (CSV) of the run; repeatable.")
]
CheckpointOption = Annotated[
    Path | None, typer.Option(help="A checkpoint's record, to bind the checkpoint instead.")
]


def bind(
    job: Annotated[Path, typer.Argument(help="The job's record, as the API returned it.")],
    training: Annotated[list[Path], typer.Option(help="The training file (JSONL); repeatable.")],
    home: HomeOption,
    envelope: EnvelopeOption = None,
    environments: EnvironmentsOption = None,
    specification: SpecificationOption = None,
    extended: ExtendedOption = None,
    validation: ValidationOption = None,
    result_file: ResultFileOption = None,
    checkpoint: CheckpointOption = None,
    parent: Annotated[
        Path | None, typer.Option(help="Manifest of the adapted model this one was tuned from.")
    ] = None,
    supersedes: SupersedesOption = None,
    require_role: RequireRoleOption = None,
    provider: Annotated[str, typer.Option(help="As the gate's routes name it.")] = openai.PROVIDER,
    shutdown: Annotated[
        str | None, typer.Option(help="When the provider shuts the model down, if announced.")
    ] = None,
    data_class: DataClassOption = None,
    document: DocumentOption = None,
    declaration: DeclarationOption = None,
    days: Annotated[float, typer.Option(help="Days that the manifest is valid.")] = 180,
    trust: TrustOption = None,
    policies: PoliciesOption = None,
    force: ForceOption = False,
    out: OutOption = Path(),
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bind a finished fine-tuning job into a signed manifest."""
    at = common.now()
    record, owner = openai.read_job(common.read(job)), authority.load(home)
    point = None if checkpoint is None else openai.read_checkpoint(common.read(checkpoint))
    specified = binding_options.specified(specification, extended or [])
    known = Declared(
        corpora=_corpora(
            record, training, validation or [], tuple(data_class or ()), quiet=as_json
        ),
        outputs=_outputs(record, result_file or []),
        envelope=binding_options.envelope(envelope, specified),
        environments=binding_options.environments(environments, specified),
        required_roles=tuple(dict.fromkeys((*ALWAYS_REQUIRED, *(require_role or [])))),
        window=common.window(at, days),
        provider=provider,
        parent=binding_options.known_manifest(parent),
        supersedes=binding_options.superseded(owner, supersedes),
        specification=specified,
        shutdown=common.instant(shutdown, "--shutdown"),
        documents=binding_options.documents(document),
        declarations=common.pairs(declaration, "--declaration"),
    )
    bound = openai.bind(record, known, point)
    written = signing_checks.sign_and_write(
        owner, bound.statement, out, Against(trust, policies, force)
    )
    what = "job" if point is None else "checkpoint"
    binding_options.report(bound, written, blobs or out, what, as_json=as_json)


def _corpora(
    job: Job,
    training: list[Path],
    validation: list[Path],
    classes: tuple[str, ...],
    *,
    quiet: bool,
) -> tuple[Corpus, ...]:
    given = (
        ("training", training, job.training_file),
        ("validation", validation, job.validation_file),
    )
    with hashing("corpora", sizes([*training, *validation]), quiet=quiet) as advance:
        return tuple(
            binding_options.recorded(
                path,
                corpora.read_corpus(
                    path,
                    role=role,
                    # Several files were concatenated before the upload: none of them is it.
                    name=openai.file_name(known if len(paths) == 1 else None, path.name),
                    classes=classes,
                    progress=advance,
                ),
            )
            for role, paths, known in given
            for path in paths
        )


def _outputs(job: Job, paths: list[Path]) -> tuple[EvaluationOutput, ...]:
    ids = job.result_files if len(job.result_files) == len(paths) else (None,) * len(paths)
    return tuple(
        files.run_output(path, name=openai.file_name(known, path.name))
        for path, known in zip(paths, ids, strict=True)
    )
