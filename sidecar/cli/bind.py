"""Binds a finished job and its files into a signed manifest (``admit bind``)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.home import Home
from sidecar.binding import declared, files, openai
from sidecar.binding.job import Binding, Declared, KnownManifest
from sidecar.binding.openai import Checkpoint, Job
from sidecar.binding.specified import KnownSpecification
from sidecar.cli import common, manifests, signing_checks
from sidecar.cli.common import (
    BlobsOption,
    CliError,
    DeclarationOption,
    HomeOption,
    JsonOption,
    OutOption,
)
from sidecar.cli.signing_checks import Against, ForceOption, PoliciesOption, TrustOption
from sidecar.core.evidence import (
    Corpus,
    Document,
    EnvironmentSpec,
    EvaluationEnvelope,
    EvaluationOutput,
    Manifest,
    write_statement,
)
from sidecar.core.grants import ALWAYS_REQUIRED
from sidecar.core.wire import DigestSet

DataClassOption = Annotated[
    list[str] | None,
    typer.Option(help="A kind of data the files hold, e.g. personal-data; repeatable."),
]
DocumentOption = Annotated[
    list[str] | None,
    typer.Option(help="KIND=FILE, e.g. technical-documentation=td.pdf; repeatable."),
]

ValidationOption = Annotated[
    list[Path] | None, typer.Option(help="The validation file, if the job names one.")
]
ResultFileOption = Annotated[
    list[Path] | None, typer.Option(help="A metrics file (CSV) of the run; repeatable.")
]
SupersedesOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIGEST|FILE",
        help="The manifest of the same model that this one replaces: its digest, or its envelope "
        "(*.dsse.json).",
    ),
]
RequireRoleOption = Annotated[
    list[str] | None, typer.Option(help="A role that must approve as well; repeatable.")
]
CheckpointOption = Annotated[
    Path | None, typer.Option(help="A checkpoint's record, to bind the checkpoint instead.")
]
EnvelopeOption = Annotated[
    Path | None, typer.Option(help="The declared evaluation envelope (YAML, JSON).")
]
EnvironmentsOption = Annotated[
    Path | None, typer.Option(help="Where the model may run (YAML, JSON).")
]
SpecificationOption = Annotated[
    Path | None,
    typer.Option(
        help="The specification (*.dsse.json) the job was submitted under, or an extension of it; "
        "says both."
    ),
]
ExtendedOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A specification that --specification extends, down to the job's own; repeatable."
    ),
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
    specified = _specified(specification, extended or [])
    known = Declared(
        corpora=_corpora(record, training, validation or [], tuple(data_class or ())),
        outputs=_outputs(record, result_file or []),
        envelope=_envelope(envelope, specified),
        environments=_environments(environments, specified),
        required_roles=tuple(dict.fromkeys((*ALWAYS_REQUIRED, *(require_role or [])))),
        window=common.window(at, days),
        provider=provider,
        parent=_known(parent),
        supersedes=_superseded(owner, supersedes),
        specification=specified,
        shutdown=common.instant(shutdown, "--shutdown"),
        documents=_documents(document),
        declarations=common.pairs(declaration, "--declaration"),
    )
    bound = openai.bind(record, known, point)
    written = signing_checks.sign_and_write(
        owner, bound.statement, out, Against(trust, policies, force)
    )
    _report(bound, written, blobs or out, point, as_json=as_json)


def _report(
    bound: Binding,
    written: common.Written,
    blobs: Path,
    checkpoint: Checkpoint | None,
    *,
    as_json: bool,
) -> None:
    """Write the two files that other tools verify against, and report the manifest."""
    payload = write_statement(bound.statement)
    manifest = bound.statement.predicate
    facts = {
        **written.facts(),
        "until": common.until(manifest.window),
        "artifact": written.beside(blobs, ".artifact.json", bound.artifact),
        "statement": written.beside(blobs, ".statement.json", payload),
    }
    what = "checkpoint" if checkpoint else "job"
    common.report(
        f"Bound {what} {manifest.run.id} as {manifest.model.provider}/{manifest.model.id}.",
        facts,
        as_json=as_json,
        model=manifest.model.id,
        base=manifest.model.base,
        provider=manifest.model.provider,
        **written.more(),
    )


def _documents(texts: list[str] | None) -> tuple[Document, ...]:
    named = common.pairs(texts, "--document")
    return tuple(files.document(Path(path), kind=kind) for kind, path in named.items())


def _corpora(
    job: Job, training: list[Path], validation: list[Path], classes: tuple[str, ...]
) -> tuple[Corpus, ...]:
    given = (
        ("training", training, job.training_file),
        ("validation", validation, job.validation_file),
    )
    return tuple(
        files.corpus(
            path,
            role=role,
            # Several files were concatenated before the upload: none of them is the upload.
            name=openai.file_name(known if len(paths) == 1 else None, path.name),
            classes=classes,
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


def _envelope(path: Path | None, known: KnownSpecification | None) -> EvaluationEnvelope:
    if path is not None:
        return declared.envelope(path)
    if known is None:
        raise CliError(
            "the manifest needs an evaluation envelope: give --envelope or --specification"
        )
    return known.specification.envelope


def _environments(
    path: Path | None, known: KnownSpecification | None
) -> tuple[EnvironmentSpec, ...]:
    if path is not None:
        return declared.environments(path)
    if known is None:
        raise CliError(
            "the manifest needs its environments: give --environments or --specification"
        )
    return known.specification.environments


def _specified(path: Path | None, extended: list[Path]) -> KnownSpecification | None:
    if path is None:
        if extended:
            raise CliError("--extended: give the extension itself, --specification")
        return None
    known, *others = (
        KnownSpecification(handed.digest, handed.specification)
        for handed in map(manifests.read_specification, (path, *extended))
    )
    return replace(known, others=tuple(others))


def _known(path: Path | None) -> KnownManifest | None:
    if path is None:
        return None
    handed = manifests.read(path)
    return KnownManifest(handed.digest, handed.manifest)


def _superseded(home: Home, text: str | None) -> KnownManifest | DigestSet | None:
    """Find a manifest by its file, or by its digest in what the home itself signed.

    Raises:
        CliError: Neither a digest nor a file, or evidence of another kind.
    """
    if text is None:
        return None
    digest = text.removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        if not Path(text).exists():
            raise CliError(
                f"--supersedes {text}: no such file, and no digest (64 hex digits, lower case)"
            )
        return _known(Path(text))
    recorded = records.find(home.path, digest)
    if recorded is None:
        common.warn(
            f"{digest} is not in this home, so its model was not compared: only a manifest of the "
            "same model is superseded; give its file to compare it now"
        )
        return DigestSet(digest)
    predicate = recorded.statement.predicate
    if not isinstance(predicate, Manifest):
        raise CliError(f"--supersedes {text}: is evidence, but not a manifest")
    return KnownManifest(digest, predicate)
