"""Reports that a command needs an optional part of the installation."""

from __future__ import annotations

from sidecar.cli.common import CliError

DISTRIBUTION = "admissibility-sidecar"
DEVTOOLS = "admissibility_devtools"


def missing_extra(command: str, extra: str, error: ModuleNotFoundError) -> CliError:
    """Return the error for a command whose optional dependency is not installed.

    Args:
        command: As the user types it, such as ``admit demo``.
        extra: Name of the extra in ``pyproject.toml`` that installs the dependency.
        error: What Python could not import.
    """
    if (error.name or "").startswith(DEVTOOLS):
        # The container image is built without it, and no extra brings it back.
        return CliError(
            f"{command} is not part of this installation, which has no {DEVTOOLS};"
            " install the sidecar's wheel"
        )
    return CliError(
        f"{command} needs the Python module {error.name}, which is not installed; run"
        f" `python -m pip install '{DISTRIBUTION}[{extra}]'` in this environment"
    )
