"""``admit job``: submits a tuning job under a specification, binds it, and compares it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import openai_listing
from sidecar.binding.source import JobPage, JobState, ListedJob
from sidecar.cli import common, job_source, manifests
from sidecar.cli.common import CliError, JsonOption, command_group
from sidecar.cli.job_binding import bind_job
from sidecar.cli.job_submission import submit_job
from sidecar.cli.option_groups import grouped
from sidecar.cli.provider_options import BEDROCK, AccountOptions
from sidecar.cli.tables import show_table, stdout
from sidecar.core.window import rfc3339

DIFFERS = 1
"""Exit status where a job differs from its manifest, or has no model."""

app = command_group(
    "Submit a tuning job under a specification, bind it, and compare it with its manifest."
)


@app.callback()
def _group() -> None:
    """Submit a tuning job under a specification, bind it, and compare it with its manifest."""


app.command("submit")(submit_job)
app.command("bind")(bind_job)


@app.command("list")
@grouped
def list_jobs(
    account: AccountOptions,
    days: Annotated[
        float, typer.Option(help="List jobs that were created in so many last days.")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """List an account's tuning jobs with the specification that each was submitted under.

    Examples:
        admit job list --key-file secrets/openai
        admit job list --api bedrock --json
    """
    since = common.now() - timedelta(days=days)
    found = _jobs(job_source.open_source(account).pages(since))
    if as_json:
        print(json.dumps([_listed(each) for each in found], indent=2))
        return
    rows = [list(_listed(each).values()) for each in found]
    show_table(stdout(), ("job", "state", "created", "specification"), rows)


def _jobs(pages: Iterator[JobPage]) -> list[ListedJob]:
    """Return the jobs of all pages.

    Raises:
        BindingError: An entry is no job.
    """
    found: list[ListedJob] = []
    for page in pages:
        if page.fault is not None:
            raise page.fault
        found += page.jobs
    return found


def _listed(job: ListedJob) -> dict[str, str]:
    return {
        "job": job.id,
        "state": job.state.value,
        "created": rfc3339(job.created),
        "specification": job.specification or "",
    }


@app.command()
@grouped
def show(
    job: Annotated[str, typer.Argument(help="The provider's id of the job; of Bedrock its ARN.")],
    account: AccountOptions,
    as_json: JsonOption = False,
) -> None:
    """Show a job as the provider has it now; exit status 1 if it ended without a model.

    Examples:
        admit job show ftjob-Qm7Zk2bA41 --key-file secrets/openai
    """
    found = job_source.open_source(job_source.for_job(account, job), job).show(job)
    facts = {
        "status": found.status,
        "base": found.base,
        "model": str(found.model),
        "created": found.listed.created.isoformat(),
        "specification": str(found.listed.specification),
    }
    if found.error is not None:
        facts["error"] = found.error
    common.report(f"Job {found.listed.id}.", facts, as_json=as_json)
    if found.listed.state is JobState.ENDED:
        raise typer.Exit(DIFFERS)


@app.command()
@grouped
def check(
    manifest: Annotated[Path, typer.Argument(help="The manifest's envelope (*.dsse.json).")],
    account: AccountOptions,
    record: Annotated[
        Path | None,
        typer.Option(
            help="The job's record, fetched again; without it, it is fetched now. Of OpenAI and "
            "Azure only."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a job, as the provider has it now, with the manifest that it was bound into.

    Compared are ids, model, base, files, method, seed, times and status; a provider adds other
    fields to its records at any time. Exit status 1 if one of them differs.

    Examples:
        admit job check manifest.dsse.json --key-file secrets/openai
    """
    bound = manifests.read(manifest).manifest
    job = bound.run.id
    reached = job_source.for_job(account, job)
    if record is None:
        found = job_source.open_source(reached, job).differences(bound)
    elif reached.api == BEDROCK:
        raise CliError(f"--record: {job} has two records; leave this out, to fetch them")
    else:
        found = openai_listing.differences(bound, common.read(record), ())
    title = "differs from" if found else "is as bound in"
    if as_json:
        print(json.dumps({"job": job, "differences": found}, indent=2))
    else:
        facts = {f"{number}": text for number, text in enumerate(found, 1)}
        common.report(f"Job {job} {title} {manifest}.", facts, as_json=False)
    if found:
        raise typer.Exit(DIFFERS)
