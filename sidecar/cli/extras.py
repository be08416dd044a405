"""Reports that a command needs an optional part of the installation."""

from __future__ import annotations

from sidecar.cli.common import CliError

DISTRIBUTION = "admissibility-sidecar"


def missing_extra(command: str, extra: str, error: ModuleNotFoundError) -> CliError:
    """Return the error for a command whose optional dependency is not installed.

    Args:
        command: As the user types it, such as ``admit demo``.
        extra: Name of the extra in ``pyproject.toml`` that installs the dependency.
        error: What Python could not import.
    """
    return CliError(
        f"{command} needs the Python module {error.name}, which is not installed; run"
        f" `python -m pip install '{DISTRIBUTION}[{extra}]'` in this environment"
    )
