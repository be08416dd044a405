"""The port to an authority's published files: capped bytes out, changes announced.

A source moves bytes and judges nothing: whatever it returns is worthless until TUF has verified it,
so a source may lie, stall or vanish, and the most it can do is let things expire. It knows names
such as ``metadata/timestamp.json`` and nothing of their content.

One implementation is one file (``directory_source``), entered in ``sources``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from enum import Enum
from typing import Protocol

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SourceError(Exception):
    """The source did not return the bytes; the text is one line and names the file."""


class SourceMissingError(SourceError):
    """The source has no file of that name."""


class Trigger(Enum):
    """Why a source is read again.

    ``START``: nothing was read yet, or the subscription was made again. ``CHANGE``: a change was
    announced. ``POLL``: nothing was announced for the whole polling interval.
    """

    START = "start"
    CHANGE = "change"
    POLL = "poll"


class Changes(Protocol):
    """Anything that can be followed: a source, or a folder."""

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield whenever the content may have changed, until ``stop`` is set.

        The first item comes at once. Changes that happen while the caller works on one item lead to
        another one, so no change is lost. Without announcements an item comes every
        ``poll_seconds``.

        Args:
            poll_seconds: The longest time between two items.
            stop: Ends the iteration within a few milliseconds; the iterator blocks otherwise.

        Raises:
            Exception: The subscription failed; the caller logs it and subscribes again.
        """
        ...


class Source(Changes, Protocol):
    """Where the files of one authority's TUF repository are read from."""

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes of ``name``, a path relative to the repository.

        Args:
            name: Segments joined by ``/``, e.g. ``targets/authority.json``; see ``check_name``.
            max_bytes: The most that is read.

        Raises:
            SourceMissingError: There is no such file.
            SourceError: Any other failure, more than ``max_bytes`` included.
        """
        ...


def check_name(name: str) -> None:
    """Reject a name that is not a plain relative path; every implementation calls this first.

    Raises:
        SourceError: A segment is empty, hidden, ``..`` or has other characters than the names of
            TUF metadata and targets.
    """
    if not all(_SEGMENT.fullmatch(segment) for segment in name.split("/")):
        raise SourceError(f"{name!r} is not a name in a repository")
