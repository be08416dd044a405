"""``admit bind-adapter`` and ``admit verify-adapter``: open weights as a LoRA adapter's folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.binding import corpora, files, job, lora, model_files
from sidecar.binding.job import Declared
from sidecar.binding.lora import TrainingRun
from sidecar.cli import adapter_folder, binding_options, common, manifests, signing_checks
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
from sidecar.cli.common import (
    BlobsOption,
    DeclarationOption,
    HomeOption,
    JsonOption,
    OutOption,
    SignedByOption,
)
from sidecar.cli.hashing_progress import hashing, sizes
from sidecar.cli.signing_checks import Against, ForceOption, PoliciesOption, TrustOption
from sidecar.core.evidence import Corpus, EvaluationOutput
from sidecar.core.grants import ALWAYS_REQUIRED

DIFFERENT = 1
"""Exit status where a folder is not the one that the manifest binds."""

FolderArgument = Annotated[
    Path, typer.Argument(help="The adapter's folder: adapter_config.json and its weights.")
]
NameOption = Annotated[
    str, typer.Option(help="The model id: the name under which servers load the adapter.")
]
TrainingOption = Annotated[
    list[Path], typer.Option(help="A file that it was trained on (JSONL); repeatable.")
]
RunOption = Annotated[
    str, typer.Option(help="The training run's id, by which it can be withdrawn.")
]
StartedOption = Annotated[str, typer.Option(help="When the run began (2027-01-14T08:00:00Z).")]
FinishedOption = Annotated[str, typer.Option(help="When it ended.")]
ProviderOption = Annotated[str, typer.Option(help="As the gate's routes name it.")]
BaseOption = Annotated[
    str | None, typer.Option(help="The base model's id, if the adapter names only a folder.")
]
BaseRevisionOption = Annotated[
    str | None,
    typer.Option(help="The base's commit, or the SHA-256 of its weights, if not named either."),
]
QuantisationOption = Annotated[
    str | None,
    typer.Option(help="Of the base in training, e.g. bnb-4bit (QLoRA), or none."),
]
SeedOption = Annotated[int | None, typer.Option(help="The run's seed.")]
ValidationOption = Annotated[
    list[Path] | None, typer.Option(help="A validation file (JSONL); repeatable.")
]
ResultFileOption = Annotated[
    list[Path] | None, typer.Option(help="A metrics file (CSV) of the run; repeatable.")
]
ParentOption = Annotated[
    Path | None, typer.Option(help="The base model's manifest, if it is itself adapted.")
]
DaysOption = Annotated[float, typer.Option(help="Days that the manifest is valid.")]


def bind_adapter(
    folder: FolderArgument,
    name: NameOption,
    training: TrainingOption,
    run: RunOption,
    started: StartedOption,
    finished: FinishedOption,
    provider: ProviderOption,
    home: HomeOption,
    base: BaseOption = None,
    base_revision: BaseRevisionOption = None,
    quantisation: QuantisationOption = None,
    seed: SeedOption = None,
    envelope: EnvelopeOption = None,
    environments: EnvironmentsOption = None,
    specification: SpecificationOption = None,
    extended: ExtendedOption = None,
    validation: ValidationOption = None,
    result_file: ResultFileOption = None,
    parent: ParentOption = None,
    supersedes: SupersedesOption = None,
    require_role: RequireRoleOption = None,
    data_class: DataClassOption = None,
    document: DocumentOption = None,
    declaration: DeclarationOption = None,
    days: DaysOption = 180,
    trust: TrustOption = None,
    policies: PoliciesOption = None,
    force: ForceOption = False,
    out: OutOption = Path(),
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bind a LoRA or QLoRA adapter's folder, as PEFT saves it, into a signed manifest."""
    at, owner = common.now(), authority.load(home)
    began, ended = _instant(started, "--started"), _instant(finished, "--finished")
    stated = TrainingRun(run, began, ended, base, base_revision, quantisation, seed)
    specified = binding_options.specified(specification, extended or [])
    known = Declared(
        corpora=_corpora(training, validation or [], tuple(data_class or ()), quiet=as_json),
        outputs=_outputs(result_file or []),
        envelope=binding_options.envelope(envelope, specified),
        environments=binding_options.environments(environments, specified),
        required_roles=tuple(dict.fromkeys((*ALWAYS_REQUIRED, *(require_role or [])))),
        window=common.window(at, days),
        provider=provider,
        parent=binding_options.known_manifest(parent),
        supersedes=binding_options.superseded(owner, supersedes),
        specification=specified,
        documents=binding_options.documents(document),
        declarations=common.pairs(declaration, "--declaration"),
    )
    with hashing(folder.name, model_files.total_bytes(folder), quiet=as_json) as advance:
        adapter = lora.read_adapter(folder, advance)
    bound = job.bind_model(lora.adapted_model(name, adapter, stated), known)
    written = signing_checks.sign_and_write(
        owner, bound.statement, out, Against(trust, policies, force)
    )
    binding_options.report(bound, written, blobs or out, "run", as_json=as_json)


def verify_adapter(
    folder: FolderArgument,
    manifest: Annotated[Path, typer.Option(help="The manifest's envelope (*.dsse.json).")],
    signed_by: SignedByOption = None,
    artifact: Annotated[
        Path | None,
        typer.Option(
            help="The manifest's *.artifact.json, to name the files that differ; beside the "
            "manifest, if not given."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify that a folder, as it is served, is the one that a manifest binds.

    Exit status 0 if it is, 1 if it is not, 2 if that cannot be verified.
    """
    known = manifests.read(manifest, signed_by)
    if signed_by is None:
        common.warn("the manifest's signature was not verified: give --signed-by")
    if known.manifest.window.not_after <= common.now():
        common.warn(f"the manifest ended at {common.until(known.manifest.window)}")
    compared = adapter_folder.compare(folder, manifest, known, artifact, quiet=as_json)
    claim = known.manifest.model
    facts = {
        "model": f"{claim.provider}/{claim.id}",
        "folder": str(folder),
        "found": compared.found,
        "expected": compared.expected,
        **({} if as_json else compared.shown()),
    }
    differs = "" if compared.same else "NOT "
    common.report(
        f"The folder is {differs}the one that manifest {known.digest} binds.",
        facts,
        as_json=as_json,
        same=compared.same,
        differences=compared.differences,
    )
    raise typer.Exit(0 if compared.same else DIFFERENT)


def _instant(text: str, what: str) -> datetime:
    found = common.instant(text, what)
    assert found is not None  # only of no text
    return found


def _corpora(
    training: list[Path], validation: list[Path], classes: tuple[str, ...], *, quiet: bool
) -> tuple[Corpus, ...]:
    with hashing("corpora", sizes([*training, *validation]), quiet=quiet) as advance:
        return tuple(
            binding_options.recorded(
                path,
                corpora.read_corpus(
                    path, role=role, name=path.name, classes=classes, progress=advance
                ),
            )
            for role, paths in (("training", training), ("validation", validation))
            for path in paths
        )


def _outputs(paths: list[Path]) -> tuple[EvaluationOutput, ...]:
    return tuple(files.run_output(path, name=path.name) for path in paths)
