"""Runs the gate until a signal (``admit serve``)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.common import missing
from sidecar.observe.log_setup import LogFormat, set_up
from sidecar.service.run import StartError
from sidecar.service.run import serve as run_gate

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="ADMIT_CONFIG", help="The gate's sidecar.yaml.")
]
LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


Format = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="ADMIT_LOG_FORMAT", help="Format of the gate's own log."),
]


Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Processes that answer Envoy, instead of `workers`."),
]


def serve(
    config: Config = Path("sidecar.yaml"),
    log_level: LogLevel = "info",
    log_format: Format = LogFormat.TEXT,
    workers: Workers = None,
) -> None:
    """Run the gate beside Envoy until SIGTERM or SIGINT.

    With several workers, SIGHUP restarts every process, one after the other. Exit status 2, with
    one line that names the cause, if something is missing or wrong.

    Examples:
        admit serve --config sidecar.yaml
        admit serve --config sidecar.yaml --workers 4 --log-format json
    """
    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        raise typer.BadParameter(f"{log_level!r} is not a log level")
    set_up(level, log_format)

    def report(error: StartError) -> None:
        if log_format is LogFormat.JSON:
            logging.getLogger("sidecar.service").critical("%s", error)
        else:
            print(f"admit serve: {error}", file=sys.stderr)

    try:
        if not config.exists():
            raise StartError(missing(config, "--config"))
        status = run_gate(config, workers, report)
    except StartError as error:
        report(error)
        raise typer.Exit(2) from error
    if status:
        raise typer.Exit(status)
