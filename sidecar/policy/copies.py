"""Copies a folder of policies for an operator to run and to change."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sidecar.opa.errors import PolicyError


def copy(source: Path, target: Path) -> None:
    """Copy every file of ``source`` into the new folder ``target``, all of them or none.

    Raises:
        PolicyError: ``target`` exists, or cannot be written.
    """
    if target.exists() or target.is_symlink():
        raise PolicyError(f"{target} exists; name a folder that does not, nothing is overwritten")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            # Contents without their modes: a package may be installed read-only.
            made = shutil.copytree(source, Path(scratch) / "made", copy_function=shutil.copyfile)
            for folder in (made, *(path for path in made.rglob("*") if path.is_dir())):
                folder.chmod(0o755)
            made.rename(target)
    except (OSError, shutil.Error) as error:
        raise PolicyError(f"cannot copy the policies to {target}: {error}") from error
