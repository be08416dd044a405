"""Locates the checkout of the repository and the folder of obtained programs."""

from __future__ import annotations

from pathlib import Path

from sidecar.opa import location
from sidecar.opa.errors import ProgramError
from sidecar.resources import source_tree


def repository_root() -> Path:
    """Return the root of the checkout this package is imported from.

    Raises:
        ProgramError: The package is installed without its repository.
    """
    root = source_tree()
    if root is None:
        raise ProgramError("this needs a checkout of the repository; an installed package is not")
    return root


def tools_folder() -> Path:
    """Return the folder that obtained programs are kept in, whether it exists or not.

    Raises:
        ProgramError: The user has no home and names no folder.
    """
    folder = location.tools_folder()
    if folder is None:
        raise ProgramError(
            "this user has no home folder to keep OPA and Envoy in;"
            f" set {location.TOOLS_VARIABLE} to a folder"
        )
    return folder
