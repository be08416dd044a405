"""Sources: they move capped bytes and judge nothing.

Whatever a source says is worthless until it is verified, so a source may lie, stall or vanish; the
most it can do is let things expire. A ``Source`` knows names such as ``metadata/timestamp.json``
and nothing of what they hold.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from sidecar.trust.config import DirectorySourceConfig
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SourceError(Exception):
    """The source did not give the bytes."""


class SourceMissingError(SourceError):
    """The source says that it has no such name."""


class Source(Protocol):
    """Where an authority's published files can be had."""

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of ``name``, a path relative to the repository.

        Args:
            name: Segments joined by ``/``, e.g. ``targets/authority.json``.
            max_bytes: The most that is read.

        Raises:
            SourceMissingError: There is no such name.
            SourceError: Anything else, more than ``max_bytes`` included.
        """
        ...


class DirectorySource:
    """A folder, e.g. a checkout, a mounted volume or what a file transfer keeps in step."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Read a file below the folder; see ``Source.fetch``.

        Links are followed as long as they stay below the folder (mounted volumes are made of
        links); everything that is no regular file is refused, since reading one may never end.
        """
        if not all(_PART.fullmatch(part) for part in name.split("/")):
            raise SourceError(f"{name!r} is not a name in a repository")
        try:
            root = self._root.resolve(strict=True)
            path = (root / name).resolve(strict=True)
            if not path.is_relative_to(root):
                raise SourceError(f"{name} leads out of the repository")
            return read_regular(path, max_bytes)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceMissingError(f"{name} is not there") from error
        except (NotRegularError, TooLargeError) as error:
            raise SourceError(f"{name} is {error}") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or "a loop of links"
            raise SourceError(f"{name} cannot be read: {reason}") from error


def open_source(config: DirectorySourceConfig) -> Source:
    """Return the source that the operator configured; does not touch it yet."""
    return DirectorySource(config.path)
