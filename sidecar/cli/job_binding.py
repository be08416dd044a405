"""``admit job bind``: fetches a finished job with its files, and signs its manifests."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.binder.binder import Binder, BindingSettings
from sidecar.binder.job_records import JobRecords, Progress
from sidecar.cli import common, job_source
from sidecar.cli.binding_options import DataClassOption, RequireRoleOption
from sidecar.cli.common import BlobsOption, DeclarationOption, HomeOption, JsonOption, OutOption
from sidecar.cli.hashing_progress import hashing
from sidecar.cli.option_groups import grouped
from sidecar.cli.provider_options import AccountOptions

NOT_BOUND = 1
"""Exit status where the job is not bound."""

EvidenceOption = Annotated[
    list[Path],
    typer.Option(help="Folder with the specification, and with manifests of parents; repeatable."),
]


@grouped
def bind_job(
    job: Annotated[str, typer.Argument(help="The provider's id of the job; of Bedrock its ARN.")],
    evidence: EvidenceOption,
    home: HomeOption,
    account: AccountOptions,
    submissions: Annotated[
        Path | None, typer.Option(help="Folder that admit job submit wrote its records to.")
    ] = None,
    state: Annotated[
        Path, typer.Option(help="Folder of the binder's job records and of files in transit.")
    ] = Path("binder"),
    require_role: RequireRoleOption = None,
    data_class: DataClassOption = None,
    declaration: DeclarationOption = None,
    days: Annotated[float, typer.Option(help="Days that the manifests are valid.")] = 180,
    out: OutOption = Path(),
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a finished job with checkpoints and files, and sign a manifest of each model, once.

    Environments and envelope are those of the specification that the job was submitted under. The
    same command again signs nothing twice. Exit status 1 if the job is not bound.

    Examples:
        admit job bind ftjob-Qm7Zk2bA41 --home producer --evidence evidence
            --out evidence
    """
    source = job_source.open_source(job_source.for_job(account, job), job)
    settings = BindingSettings(
        home=authority.load(home),
        out=out,
        blobs=blobs or out,
        evidence=tuple(evidence),
        submissions=submissions,
        validity=timedelta(days=days),
        roles=tuple(require_role or ()),
        classes=tuple(data_class or ()),
        declarations=common.pairs(declaration, "--declaration"),
    )
    binder = Binder(settings, JobRecords(state), common.now)
    with hashing("files", 0, quiet=as_json, verb="Fetching") as advance:
        record = binder.attempt(source, job, advance)
    if record is None:
        raise common.CliError(f"job {job}: another process is binding it now")
    bound = record.progress is Progress.BOUND
    title = f"Bound job {job}." if bound else f"Job {job} is not bound: {record.reason}"
    common.report(
        title, record.manifests, as_json=as_json, job=job, bound=bound, reason=record.reason
    )
    if not bound:
        raise typer.Exit(NOT_BOUND)
