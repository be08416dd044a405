"""Locates the folder in which programs are kept that were obtained for this project."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.resources import source_tree

TOOLS_VARIABLE = "ADMIT_TOOLS"
_IN_CHECKOUT = ".tools"
_IN_CACHE = "admissibility"


def tools_folder() -> Path | None:
    """Return the folder of the obtained programs, whether it exists or not.

    It is what ``ADMIT_TOOLS`` names, else ``.tools`` of the checkout, else ``admissibility`` in the
    user's cache (``XDG_CACHE_HOME`` or ``~/.cache``): never the working directory, whose content
    somebody else may have written, and never the folder the package is installed in.

    Returns:
        An absolute path; None for a user without a home.
    """
    named = os.environ.get(TOOLS_VARIABLE)
    if named:
        return Path(named).absolute()
    root = source_tree()
    if root is not None:
        return root / _IN_CHECKOUT
    # XDG Base Directory Specification 0.8: a relative path there is invalid and is ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if cache and Path(cache).is_absolute():
        return Path(cache) / _IN_CACHE
    try:
        return Path.home() / ".cache" / _IN_CACHE
    except RuntimeError:
        return None


def remedy() -> str:
    """Return the command that obtains the programs, as it is called in this installation."""
    return "admit tools" if source_tree() is None else "make setup"
