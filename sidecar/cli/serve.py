"""Runs the gate until a signal (``admit serve``)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from sidecar.observe import plain_lines
from sidecar.service.run import StartError
from sidecar.service.run import serve as run_gate

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="ADMIT_CONFIG", help="The gate's sidecar.yaml.")
]
LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def serve(config: Config = Path("sidecar.yaml"), log_level: LogLevel = "info") -> None:
    """Run the gate beside Envoy until SIGTERM or SIGINT.

    Exit status 2, with one line that names the cause, if something is missing or wrong.
    """
    level = logging.getLevelNamesMapping().get(log_level.upper())
    if level is None:
        raise typer.BadParameter(f"{log_level!r} is no log level")
    plain_lines.set_up(level)
    # The TUF library logs every refresh; the gate logs what an operator needs of that itself.
    logging.getLogger("tuf").setLevel(max(level, logging.WARNING))
    try:
        run_gate(config)
    except StartError as error:
        print(f"admit serve: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
