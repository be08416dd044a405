"""Options of the programs beside the gate: ``admit relay`` and ``admit binder serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.observe.log_setup import LogFormat

CheckOption = Annotated[
    bool, typer.Option("--check", help="Read the configuration, and run nothing.")
]
LogFormatOption = Annotated[
    LogFormat, typer.Option("--log-format", envvar="ADMIT_LOG_FORMAT", help="Format of the log.")
]
