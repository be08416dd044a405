"""Where the repository and its tools are on this machine."""

from __future__ import annotations

from pathlib import Path

from sidecar.toolchain.errors import ToolchainError

TOOLS = ".tools"


def repository_root() -> Path:
    """The checkout this package runs from: the folder that holds `proto/` and `envoy/`.

    Raises:
        ToolchainError: The package is installed without its repository.
    """
    root = Path(__file__).resolve().parents[2]
    if not ((root / "proto").is_dir() and (root / "envoy").is_dir()):
        raise ToolchainError("this needs a checkout of the repository; an installed package is not")
    return root


def tools_folder() -> Path:
    """`.tools` of the checkout, or of the working directory where there is no checkout."""
    try:
        return repository_root() / TOOLS
    except ToolchainError:
        return Path.cwd() / TOOLS
