"""Names one whole publication of an authority, to see without reading it that nothing is new."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.trust.fetcher import METADATA
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source, SourceError, SourceMissingError


@dataclass(frozen=True, slots=True)
class Edition:
    """What names one whole publication of an authority.

    Attributes:
        timestamp: The bytes of ``timestamp.json``; through its snapshot they fix everything else.
        root: Version of the newest root, which a timestamp does not name.
    """

    timestamp: bytes
    root: int

    def is_newest(self, source: Source) -> bool:
        """Return whether a source has the same timestamp, and no newer root."""
        try:
            if source.fetch(f"{METADATA}timestamp.json", REPOSITORY.timestamp) != self.timestamp:
                return False
        except SourceError:
            return False
        try:
            source.fetch(f"{METADATA}{self.root + 1}.root.json", REPOSITORY.root)
        except SourceMissingError:
            return True
        except SourceError:
            pass
        return False
