"""Keeps the version of an authority's newest set, also on a full disk.

Theory of operation. The file is made while there is room, and from then on overwritten in place,
which takes no room. It has two records, written in turn, so that a torn write leaves the other one.
Where a set cannot be kept, its version is synced. Otherwise it is the version of the set that was
kept, and not waited for: so a set that is put back by itself, from a backup, is older than it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sidecar.durable.files import (
    CHECKSUM_CHARACTERS,
    overwrite,
    text_checksum,
    write_atomically,
)

_SLOT = 512
_BLANK = b" " * _SLOT


class DamagedVersionError(Exception):
    """The file is not what was written, or cannot be read; the text names it."""


@dataclass(frozen=True, slots=True)
class SetVersion:
    """What orders the complete sets of one authority.

    Attributes:
        root: Version of the root under which it verified.
        online: ``roots.online_digest`` of that root: a key's replacement begins new versions.
        timestamp: Version of its timestamp.
    """

    root: int
    online: str
    timestamp: int

    def is_above(self, other: SetVersion) -> bool:
        """Return whether a set of this version is newer than one of the other."""
        if self.online == other.online:
            return self.timestamp > other.timestamp
        return self.root > other.root


class ReservedVersion:
    """One file of fixed size, in the folder of an authority, which the caller has locked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Return whether there is room reserved: there is, once a set was kept."""
        return self.path.exists()

    def read(self) -> SetVersion | None:
        """Return the newest version that was written; None at first.

        Raises:
            DamagedVersionError: It is damaged; what was written is not guessed.
        """
        newest = max(self._records(), default=None, key=lambda each: each[0])
        return None if newest is None else newest[2]

    def follow(self, kept: SetVersion) -> None:
        """Write the version of the set that was kept just now; make the file where it is none.

        Raises:
            OSError: There is no room.
        """
        try:
            before = self.read()
        except DamagedVersionError:
            before = None
        if before is None:
            write_atomically(self.path, _record(1, kept) + _BLANK, mode=0o600)
        elif before != kept:
            self._write(kept, sync=False)

    def raise_to(self, version: SetVersion) -> None:
        """Write a version that is above the one before; raises as ``write``."""
        before = self.read()
        if before is None or version.is_above(before):
            self.write(version)

    def write(self, version: SetVersion) -> None:
        """Write a version, durably, in the place of the older record.

        Raises:
            OSError: It cannot be written; the other record is as it was.
            DamagedVersionError: As ``read``.
        """
        self._write(version, sync=True)

    def _write(self, version: SetVersion, *, sync: bool) -> None:
        newest = max(self._records(), default=(0, 1, None), key=lambda each: each[0])
        record = _record(newest[0] + 1, version)
        overwrite(self.path, record, _SLOT * (1 - newest[1]), sync=sync)

    def _records(self) -> list[tuple[int, int, SetVersion]]:
        """Return the records that hold: number, place, version."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DamagedVersionError(f"{self.path}: {error.strerror}") from error
        slots = data[:_SLOT], data[_SLOT:]
        found = [
            (number, place, version)
            for place, slot in enumerate(slots)
            for number, version in _read(slot)
        ]
        if not found and any(slot != _BLANK for slot in slots):
            raise DamagedVersionError(f"{self.path} is damaged")
        return found


def _record(number: int, version: SetVersion) -> bytes:
    text = json.dumps({"number": number, **asdict(version)}).encode()
    return (text_checksum(text) + text).ljust(_SLOT)


def _read(slot: bytes) -> list[tuple[int, SetVersion]]:
    text = slot[CHECKSUM_CHARACTERS:].rstrip()
    if text_checksum(text) != slot[:CHECKSUM_CHARACTERS]:
        return []
    value = json.loads(text)
    return [(value.pop("number"), SetVersion(**value))]
