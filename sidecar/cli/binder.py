"""``admit binder``: bind jobs as they finish, and show the state of each."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binder import config as binder_config
from sidecar.binder import run as binder_run
from sidecar.binder.job_records import AT_ONCE, JobRecord, JobRecords, Progress
from sidecar.binder.service import describe
from sidecar.cli import tables
from sidecar.cli.common import JsonOption, command_group, present
from sidecar.cli.daemon_options import CheckOption, LogFormatOption
from sidecar.observe.log_setup import LogFormat, set_up

app = command_group("Bind jobs as they finish, and show the state of each.")

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="ADMIT_BINDER_CONFIG", help="The binder.yaml.")
]


@app.callback()
def _group() -> None:
    """Bind jobs as they finish, and show the state of each."""


@app.command()
def serve(
    config: ConfigOption = Path("binder.yaml"),
    check: CheckOption = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Bind every job of some accounts when it has finished, until SIGTERM or SIGINT.

    Jobs are found by webhooks and by polling; each is fetched, and each of its models gets one
    manifest, whoever else binds with the same home. Nothing but those manifests is signed.

    Examples:
        admit binder serve --config binder.yaml --check
        admit binder serve --config binder.yaml --log-format json
    """
    set_up(logging.INFO, log_format)
    loaded = binder_config.load(present(config, "--config"))
    if check:
        return
    binder_run.run(loaded)


@app.command()
def jobs(config: ConfigOption = Path("binder.yaml"), as_json: JsonOption = False) -> None:
    """List the jobs on record: the progress of each, and why it is not bound.

    Examples:
        admit binder jobs --config binder.yaml
    """
    found = list(JobRecords(binder_config.load(present(config, "--config")).state).all())
    if as_json:
        print(json.dumps({"jobs": [describe(each) for each in found]}, indent=2))
        return
    headings = ("job", "provider", "progress", "tried again", "models and reason")
    rows = [
        (
            each.job,
            each.provider,
            each.progress.value,
            _due(each),
            each.reason or ", ".join(each.manifests),
        )
        for each in found
    ]
    tables.show_table(tables.stdout(), headings, rows)


def _due(record: JobRecord) -> str:
    """Return when a job is tried again, to the minute, and after how many attempts."""
    if record.progress is Progress.BOUND:
        return ""
    if record.due == AT_ONCE:
        return "at once"
    due = datetime.fromisoformat(record.due).astimezone(UTC)
    return f"{due:%Y-%m-%d %H:%MZ}, attempt {record.attempts + 1}"
