"""A place to publish to that passes everything on; a test overrides what it wants to happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.destinations.destination import Destination


@dataclass
class Passing:
    """Passes everything on to ``place``, which whoever opened it closes."""

    place: Destination

    def read(self, name: str) -> bytes | None:
        return self.place.read(name)

    def write(self, name: str, data: bytes) -> None:
        self.place.write(name, data)

    def replace(self, name: str, data: bytes) -> None:
        self.place.replace(name, data)

    def sizes(self, folder: str) -> Mapping[str, int]:
        return self.place.sizes(folder)

    def names(self, folder: str) -> frozenset[str]:
        return self.place.names(folder)

    def written(self, name: str) -> float:
        return self.place.written(name)

    def remove(self, name: str) -> None:
        self.place.remove(name)

    def close(self) -> None:
        return
