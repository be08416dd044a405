"""The directory source: a repository in a folder, followed by file notification.

Theory of operation of ``FolderChanges``. The watch is set up *before* an item is yielded and
collects changes while the caller works, so the last change of a series always leads to one more
item, and a half-written publication that failed is read again as soon as it is complete.

A folder that does not exist is awaited by watching the nearest existing one above it. A folder that
was replaced is noticed by its identity, at a change or at the poll, and watched anew. What
notification cannot report (network file systems, a full inotify table) the poll finds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from watchfiles import _rust_notify

from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular
from sidecar.trust.source import SourceError, SourceMissingError, Trigger, check_name

_LOG = logging.getLogger("sidecar.trust")


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How file notification is collected, in milliseconds.

    Attributes:
        debounce_ms: Changes within this time are one.
        step_ms: How often the watch is looked at meanwhile, and ``stop`` with it. Each look takes
            the interpreter's lock, once per folder: at 10 ms most of what an idle gate used.
    """

    debounce_ms: int = 60
    step_ms: int = 30


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """Announces changes below one folder, which need not exist; see ``source.Changes``."""

    folder: Path
    limits: WatchLimits = WatchLimits()
    note: Callable[[Iterable[str]], None] = lambda _: None
    """Called with the paths that changed, before the item that announces them."""

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at the start, at every change and at every poll; see ``source.Changes``."""
        folder, poll_ms = self.folder.absolute(), max(1, round(poll_seconds * 1000))
        trigger: Trigger | None = Trigger.START
        while trigger is not None:
            identity = _identity(folder)
            with self._watching(folder) as watch:
                yield trigger
                trigger = self._wait(watch, poll_ms, stop)
                while trigger is not None and watch and _identity(folder) == identity:
                    yield trigger
                    trigger = self._wait(watch, poll_ms, stop)

    def _watching(self, folder: Path) -> _rust_notify.RustNotify | nullcontext[None]:
        nearest = _nearest(folder)
        try:
            return _rust_notify.RustNotify(
                [str(nearest)],
                False,  # noqa: FBT003 - debug
                False,  # noqa: FBT003 - force polling
                0,
                nearest == folder,
                True,  # noqa: FBT003 - ignore permission errors
            )
        except (OSError, _rust_notify.WatchfilesRustInternalError) as error:
            _LOG.warning("following %s: no notification, only polling: %s", folder.name, error)
            return nullcontext()

    def _wait(
        self, watch: _rust_notify.RustNotify | None, poll_ms: int, stop: threading.Event
    ) -> Trigger | None:
        """Wait for a change or the poll; returns None when ``stop`` is set."""
        if watch is None:
            return None if stop.wait(poll_ms / 1000) else Trigger.POLL
        outcome = watch.watch(self.limits.debounce_ms, self.limits.step_ms, poll_ms, stop)
        if outcome == "stop" or stop.is_set():
            return None
        if isinstance(outcome, str):
            return Trigger.POLL
        self.note(path for _, path in outcome)
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
            raise SourceMissingError(f"{name} is not there") from error
        except (NotRegularError, TooLargeError) as error:
            raise SourceError(f"{name} is {error}") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or "a loop of links"
            raise SourceError(f"{name} cannot be read: {reason}") from error

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at every change below the folder; see ``source.Changes``."""
        return FolderChanges(self.root).changes(poll_seconds, stop)


def _nearest(folder: Path) -> Path:
    """Return the folder itself or, where it does not exist, the nearest one above it."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _identity(folder: Path) -> tuple[Path, int, int]:
    nearest = _nearest(folder)
    status = nearest.stat()
    return nearest, status.st_dev, status.st_ino
