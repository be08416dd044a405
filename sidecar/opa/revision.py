"""Reads a tree of policies by name: a folder, or a Git commit of one."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import IO

from sidecar.opa import tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.tree import Tree

_GIT_SECONDS = 60.0


def resolve(name: str, beside: Path) -> Tree:
    """Read a tree.

    Args:
        name: A folder, or a Git commit (``HEAD``, ``main~3``, a tag).
        beside: A folder in the Git repository of the commit.

    Raises:
        PolicyError: It is neither, or it has no policies.
    """
    if Path(name).is_dir():
        return tree.read(Path(name))
    with tarfile.open(fileobj=io.BytesIO(_archived(name, beside))) as archive:
        files = {
            member.name: file.read()
            for member in archive
            if tree.is_served(member.name) and (file := _content(archive, member)) is not None
        }
    return tree.of(files, Path(name))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
    return archive.extractfile(member) if member.isfile() else None


def _archived(commit: str, beside: Path) -> bytes:
    """Return the folder at a commit, as a tar archive."""
    # `--` would name paths; `--end-of-options` keeps a commit from being read as an option.
    words = ["git", "-C", str(beside), "archive", "--format=tar", "--end-of-options", commit]
    try:
        ran = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyError(f"{commit}: no folder, and Git cannot be asked: {error}") from error
    if ran.returncode != 0:
        output = " ".join(ran.stderr.decode(errors="replace").split())
        raise PolicyError(f"{commit}: neither a folder nor a commit: {output[:300]}")
    return ran.stdout
