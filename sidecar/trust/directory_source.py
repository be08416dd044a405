"""The directory source: a repository in a folder, followed by file notification.

Theory of operation of ``FolderChanges``. The watch is set up *before* an item is yielded and
collects changes while the caller works, so the last change of a series always leads to one more
item, and a half-written publication that failed is read again as soon as it is complete.

A folder that does not exist is awaited by watching the nearest existing one above it. A folder that
was replaced is noticed by its identity, at a change or at the poll, and watched again. What
notification cannot report (network file systems, a full inotify table) the poll finds.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from sidecar.trust.folder_watch import FolderWatch
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular
from sidecar.trust.source import SourceError, SourceMissingError, Trigger, check_name

_LOG = logging.getLogger("sidecar.trust")

_NUMBERED = re.compile(
    r"/(?:[0-9]+\.(?!root\.)[^/]+\.json|targets/[0-9a-f]{64,}\.[^/]+|\.(?!\.)[^/]+)\Z"
)


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """Announces changes below one folder, which need not exist; see ``source.Changes``."""

    folder: Path
    note: Callable[[Iterable[str]], None] = lambda _: None
    """Called with the paths that changed, before the item that announces them."""
    partial: Callable[[str], bool] = lambda _: False
    """As of ``FolderWatch``."""

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at the start, at every change and at every poll; see ``source.Changes``."""
        folder = self.folder.absolute()
        trigger: Trigger | None = Trigger.START
        while trigger is not None:
            identity = _identity(folder)
            with self._watching(folder) as watch:
                yield trigger
                trigger = self._wait(watch, poll_seconds, stop)
                while trigger is not None and watch and _identity(folder) == identity:
                    yield trigger
                    trigger = self._wait(watch, poll_seconds, stop)

    def _watching(self, folder: Path) -> FolderWatch | nullcontext[None]:
        nearest = _nearest(folder)
        try:
            return FolderWatch(nearest, recursive=nearest == folder, partial=self.partial)
        except OSError as error:
            _LOG.warning("following %s: no notification, only polling: %s", folder.name, error)
            return nullcontext()

    def _wait(
        self, watch: FolderWatch | None, poll_seconds: float, stop: threading.Event
    ) -> Trigger | None:
        """Wait for a change or the poll; returns None when ``stop`` is set."""
        if watch is None:
            return None if stop.wait(poll_seconds) else Trigger.POLL
        changed = watch.wait(poll_seconds, stop)
        if changed is None:
            return None
        if not changed:
            return Trigger.POLL
        self.note(changed)
        return Trigger.CHANGE


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """A folder, e.g. a checkout, a mounted volume or the target of a file transfer."""

    root: Path

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Read a file below the folder; see ``source.Source``.

        Links are followed as long as they stay below the folder (mounted volumes consist of links);
        everything that is no regular file is refused, since reading one may never end.
        """
        check_name(name)
        try:
            root = self.root.resolve(strict=True)
            path = (root / name).resolve(strict=True)
            if not path.is_relative_to(root):
                raise SourceError(f"{name} leads out of the repository")
            return read_regular(path, max_bytes)
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.isdir(self.root):  # noqa: PTH112 - Path's raises what this answers
                raise SourceMissingError(f"{name} is not there") from error
            raise SourceMissingError(f"there is no folder {self.root}") from error
        except (NotRegularError, TooLargeError) as error:
            raise SourceError(f"{name} is {error}") from error
        except (OSError, RuntimeError) as error:
            # A loop of links is a RuntimeError before Python 3.13.
            reason = getattr(error, "strerror", None) or os.strerror(errno.ELOOP)
            raise SourceError(f"{name} cannot be read: {reason}") from error

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at every change below the folder; see ``source.Changes``."""
        return FolderChanges(self.root, partial=waits_for_timestamp).changes(poll_seconds, stop)


def waits_for_timestamp(path: str) -> bool:
    """Return whether a file is one that readers look for only once a new timestamp lists it.

    Its name carries its version or digest (TUF specification §6.2), or it is not complete yet. A
    publication writes several, and ``timestamp.json`` last.
    """
    return _NUMBERED.search(path) is not None


def _nearest(folder: Path) -> Path:
    """Return the folder itself or, where it does not exist, the nearest one above it."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _identity(folder: Path) -> tuple[Path, int, int]:
    nearest = _nearest(folder)
    status = nearest.stat()
    return nearest, status.st_dev, status.st_ino
