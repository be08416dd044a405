"""Publishes to a folder, such as the document root of a web server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.destinations.destination import ChangedError
from sidecar.durable.files import write_atomically


@dataclass(frozen=True, slots=True)
class DirectoryDestination:
    """A folder; created if needed. See ``destination.Destination``."""

    folder: Path
    _read: dict[str, bytes | None] = field(default_factory=dict, compare=False)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        try:
            data: bytes | None = (self.folder / name).read_bytes()
        except FileNotFoundError:
            data = None
        self._read[name] = data
        return data

    def write(self, name: str, data: bytes) -> None:
        """Replace a file by a rename."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, mode=0o644, served=True)

    def replace(self, name: str, data: bytes) -> None:
        """Replace a file that is still the one that was read; between the two is a moment."""
        if name in self._read:
            before = self._read[name]
            if self.read(name) != before:
                raise ChangedError(str(self.folder / name), "was changed by someone else")
        self.write(name, data)

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the names and sizes of the files in a folder."""
        place = self.folder / folder
        found = place.iterdir() if place.is_dir() else ()
        return {path.name: path.stat().st_size for path in found if path.is_file()}

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files in a folder."""
        try:
            with os.scandir(self.folder / folder) as found:
                return frozenset(each.name for each in found if each.is_file())
        except FileNotFoundError:
            return frozenset()

    def written(self, name: str) -> float:
        """Return when a file was put in place: its date may be that of a coming second."""
        return (self.folder / name).stat().st_ctime

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing; a folder has no connection."""
