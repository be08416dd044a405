"""Locates the checkout of the repository and the folder of obtained programs."""

from __future__ import annotations

from pathlib import Path

from sidecar.resources import source_tree
from sidecar.toolchain import places
from sidecar.toolchain.errors import ToolchainError


def repository_root() -> Path:
    """Return the root of the checkout this package is imported from.

    Raises:
        ToolchainError: The package is installed without its repository.
    """
    root = source_tree()
    if root is None:
        raise ToolchainError("this needs a checkout of the repository; an installed package is not")
    return root


def tools_folder() -> Path:
    """Return the folder that obtained programs are kept in, whether it exists or not.

    Raises:
        ToolchainError: The user has no home and names no folder.
    """
    folder = places.tools_folder()
    if folder is None:
        raise ToolchainError(
            "this user has no home folder to keep OPA and Envoy in;"
            f" set {places.TOOLS_VARIABLE} to a folder"
        )
    return folder
