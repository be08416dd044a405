"""Compares an adapter's folder with the manifest that binds it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.binding import model_files
from sidecar.cli import common
from sidecar.cli.common import CliError
from sidecar.cli.hashing_progress import hashing
from sidecar.cli.manifests import ManifestFile


@dataclass(frozen=True, slots=True)
class FolderComparison:
    """A folder beside the one that a manifest binds.

    Attributes:
        found: The folder's artifact, hex SHA-256.
        expected: The manifest's.
        files: Name → hex SHA-256 of the folder's files.
        differences: ``changed``, ``missing``, ``added`` → names of files; empty if both are the
            same, or if the manifest's list of files is not at hand.
    """

    found: str
    expected: str
    files: Mapping[str, str]
    differences: Mapping[str, list[str]]

    @property
    def same(self) -> bool:
        """Return whether the folder is the one that the manifest binds."""
        return self.found == self.expected

    def shown(self) -> dict[str, str]:
        """Return the differences as rows for people."""
        return {what: ", ".join(names) for what, names in self.differences.items()}


def compare(
    folder: Path, path: Path, manifest: ManifestFile, artifact: Path | None, *, quiet: bool
) -> FolderComparison:
    """Hash a folder and compare it with what a manifest binds.

    Args:
        folder: The adapter's folder, as it is served.
        path: The manifest's envelope, beside which its list of files is looked for.
        manifest: The manifest itself.
        artifact: The manifest's list of files, if it is elsewhere.
        quiet: Show no progress.

    Raises:
        BindingError: The folder cannot be read, or is refused.
        CliError: ``artifact`` is not the manifest's.
    """
    total = model_files.total_bytes(folder)
    with hashing(folder.name, total, quiet=quiet) as advance:
        read = model_files.read_folder(folder, progress=advance)
    found = hashlib.sha256(read.artifact).hexdigest()
    same = found == manifest.artifact
    listed = None if same else _listed(path, artifact, manifest.artifact)
    return FolderComparison(
        found, manifest.artifact, read.digests, _differences(read.digests, listed)
    )


def _listed(manifest: Path, artifact: Path | None, expected: str) -> dict[str, str] | None:
    """Return the digests that the manifest binds, by name; ``None`` if the list is not at hand.

    Raises:
        CliError: The given file is not the manifest's artifact.
    """
    stem = manifest.name.removesuffix(".dsse.json")
    path = artifact or manifest.with_name(f"{stem}.artifact.json")
    if artifact is None and not path.exists():
        return None
    data = common.read(path, max_bytes=model_files.MAX_ARTIFACT_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise CliError(f"{path}: its SHA-256 is {found}, but the manifest binds {expected}")
    return model_files.read_artifact(data, str(path))


def _differences(
    found: Mapping[str, str], expected: Mapping[str, str] | None
) -> dict[str, list[str]]:
    """Return the names that were changed, are missing, or were added; none without a list."""
    if expected is None:
        return {}
    both = found.keys() & expected.keys()
    lists = {
        "changed": sorted(name for name in both if found[name] != expected[name]),
        "missing": sorted(expected.keys() - found.keys()),
        "added": sorted(found.keys() - expected.keys()),
    }
    return {what: names for what, names in lists.items() if names}
