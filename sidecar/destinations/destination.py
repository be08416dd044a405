"""The port to a place that files are published to.

All files but two never change once they are written. The two (``timestamp.json``, ``index.json``)
are *replaced*, and only while the place still holds what was read there: of two publishers, the one
with the older state must not write last.

One implementation is one file, entered in ``places``.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Protocol

METADATA, TARGETS, EVIDENCE = "metadata", "targets", "evidence"
TIMESTAMP = f"{METADATA}/timestamp.json"

MAX_BYTES = 1 << 25
"""The most that is read of one published file."""


class PlaceError(OSError):
    """The place did not do what was asked.

    Args:
        name: Of the file, or of the place.
        reason: One line.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(errno.EIO, reason, name)


class ChangedError(PlaceError):
    """The file is another one than was read: someone else publishes there."""


class Destination(Protocol):
    """Where files are published; each is replaced whole or not at all."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none.

        Raises:
            OSError: It cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file that others can read, whatever was there.

        Raises:
            OSError: It cannot be written; what was there is still there.
        """
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, if the place still holds what ``read`` last returned of it.

        Raises:
            ChangedError: It holds something else, where the place can tell.
            OSError: As ``write``.
        """
        ...

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return name → size in bytes of the files that are directly in a folder.

        Raises:
            OSError: The folder cannot be listed; one that is not there is empty.
        """
        ...

    def names(self, folder: str) -> frozenset[str]:
        """Return the names of the files that are directly in a folder of a repository.

        Raises:
            OSError: As ``sizes``.
        """
        ...

    def written(self, name: str) -> float:
        """Return when a file was last written, in seconds by a clock of the place's own.

        Raises:
            OSError: It is not there, or the place cannot be read.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error.

        Raises:
            OSError: The place does not let it.
        """
        ...

    def close(self) -> None:
        """Close connections; the next call makes others."""
        ...
