"""``admit bind-adapter`` and ``admit verify-adapter``: open weights as a LoRA adapter's folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import job, lora, model_files
from sidecar.binding.lora import TrainingRun
from sidecar.binding.slsa import Provenance
from sidecar.cli import adapter_folder, bound_manifest, common, manifests
from sidecar.cli.binding_options import DeclaredOptions
from sidecar.cli.common import CliError, JsonOption, SignedByOption
from sidecar.cli.hashing_progress import hashing
from sidecar.cli.option_groups import grouped
from sidecar.cli.run_files import RunFileOptions
from sidecar.cli.served_options import ServedOptions
from sidecar.cli.signing_checks import SigningOptions

DIFFERENT = 1
"""Exit status where a folder is not the one that the manifest binds."""

FolderArgument = Annotated[
    Path, typer.Argument(help="The adapter's folder: adapter_config.json and its weights.")
]
NameOption = Annotated[
    str, typer.Option(help="The model id: the name under which servers load the adapter.")
]
RunOption = Annotated[
    str | None, typer.Option(help="The training run's id, by which it can be withdrawn.")
]
StartedOption = Annotated[
    str | None, typer.Option(help="When the run began (2027-01-14T08:00:00Z).")
]
FinishedOption = Annotated[str | None, typer.Option(help="When the run ended.")]
ProviderOption = Annotated[str, typer.Option(help="The provider, as the gate's routes name it.")]
BaseOption = Annotated[
    str | None, typer.Option(help="The base model's id, if the adapter names only a folder.")
]
BaseRevisionOption = Annotated[
    str | None,
    typer.Option(help="The base's commit, or the SHA-256 of its weights, if not named either."),
]
QuantisationOption = Annotated[
    str | None,
    typer.Option(help="Quantisation of the base in training, e.g. bnb-4bit (QLoRA), or none."),
]
SeedOption = Annotated[int | None, typer.Option(help="The run's seed.")]


@grouped
def bind_adapter(
    folder: FolderArgument,
    name: NameOption,
    run_files: RunFileOptions,
    provider: ProviderOption,
    signing: SigningOptions,
    declared: DeclaredOptions,
    run: RunOption = None,
    started: StartedOption = None,
    finished: FinishedOption = None,
    base: BaseOption = None,
    base_revision: BaseRevisionOption = None,
    quantisation: QuantisationOption = None,
    seed: SeedOption = None,
) -> None:
    """Bind a LoRA or QLoRA adapter's folder, as PEFT saves it, into a signed manifest.

    Examples:
        admit bind-adapter support-v3 --name support-v3 --provider vllm
            --training training.jsonl --run train-2026-11-28
            --started 2026-11-28T08:00:00Z --finished 2026-11-28T09:30:00Z
            --envelope envelope.yaml --environments environments.yaml
            --home producer --out evidence
    """
    at, owner = common.now(), signing.owner()
    found = run_files.provenance(declared.classes)
    name_of_run, began, ended = _run(run, started, finished, found)
    stated = TrainingRun(name_of_run, began, ended, base, base_revision, quantisation, seed)
    read = run_files.corpora_of(found, declared.classes, quiet=signing.as_json)
    known = declared.declared(owner, at, provider, read, run_files.outputs())
    total = model_files.total_bytes(folder)
    with hashing(folder.name, total, quiet=signing.as_json) as advance:
        adapter = lora.read_adapter(folder, advance)
    model = lora.adapted_model(name, adapter, stated)
    if found is not None:
        known = bound_manifest.with_provenance(found, model, known, adapter.files.digests)
    bound_manifest.sign(signing, owner, job.bind_model(model, known), bound_manifest.TRAINING_RUN)


def _run(
    run: str | None, started: str | None, finished: str | None, found: Provenance | None
) -> tuple[str, datetime, datetime]:
    """Return the run's id and times, by options or by its provenance.

    Raises:
        CliError: Neither states one of them.
    """
    began, ended = common.instant(started, "--started"), common.instant(finished, "--finished")
    if found is not None:
        run, began, ended = run or found.run, began or found.started, ended or found.finished
    if run is None or began is None or ended is None:
        raise CliError("give --run, --started and --finished, or --from-slsa, which states them")
    return run, began, ended


@grouped
def verify_adapter(
    folder: FolderArgument,
    manifest: Annotated[Path, typer.Option(help="The manifest's envelope (*.dsse.json).")],
    server: ServedOptions,
    served_name: Annotated[
        str | None,
        typer.Option(help="The name that server serves it under, if not the manifest's model."),
    ] = None,
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

    With --served, also what a running server states that it serves. Of Ollama the digest of the
    adapter's file is compared, of vLLM and SGLang only the folder's path: what they loaded from
    there is not proven, and is reported as such.
    Exit status 0 if it is, 1 if it is not, 2 if that cannot be verified.

    Examples:
        admit verify-adapter /models/support-v3 --manifest manifest.dsse.json
            --signed-by producer.pem --served http://127.0.0.1:8000
    """
    known = manifests.read(manifest, signed_by)
    if signed_by is None:
        common.warn("the manifest's signature was not verified: give --signed-by")
    if known.manifest.window.not_after <= common.now():
        common.warn(f"the manifest ended at {common.until(known.manifest.window)}")
    compared = adapter_folder.compare(folder, manifest, known, artifact, quiet=as_json)
    claim = known.manifest.model
    served = server.check(served_name or claim.id, folder, known.manifest, compared)
    facts = {
        "model": f"{claim.provider}/{claim.id}",
        "folder": str(folder),
        "found": compared.found,
        "expected": compared.expected,
        **({} if as_json else compared.shown()),
        **({} if as_json or served is None else served.shown()),
    }
    same = compared.same and (served is None or served.same)
    what = "The folder" if served is None else "What is served"
    title = f"{what} is {'' if same else 'NOT '}the one that manifest {known.digest} binds."
    more = {} if served is None else {"served": served.plain()}
    common.report(
        title, facts, as_json=as_json, same=same, differences=compared.differences, **more
    )
    if served is not None:
        common.warn(*served.compared.differences, *served.compared.unproven)
    raise typer.Exit(0 if same else DIFFERENT)
