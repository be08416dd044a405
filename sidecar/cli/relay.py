"""``admit relay``: follow authorities once, and serve their files to many gates."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.common import CliError, present
from sidecar.cli.daemon_options import CheckOption, LogFormatOption
from sidecar.observe.log_setup import LogFormat, set_up
from sidecar.relay import config as relay_config
from sidecar.relay import run as relay_run
from sidecar.relay.config import RelayConfigError


def relay(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", envvar="ADMIT_RELAY_CONFIG", help="The relay.yaml."),
    ] = Path("relay.yaml"),
    check: CheckOption = False,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Follow authorities once and serve their files to gates, until SIGTERM or SIGINT.

    It holds no key and is trusted with nothing: gates verify what they read from it.

    Examples:
        admit relay --config relay.yaml --check
        admit relay --config relay.yaml
    """
    set_up(logging.INFO, log_format)
    try:
        loaded = relay_config.load(present(config, "--config"))
        if not check:
            relay_run.run(loaded)
    except RelayConfigError as error:
        raise CliError(str(error)) from error
