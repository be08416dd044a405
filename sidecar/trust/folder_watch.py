"""Watches everything below one folder by inotify, without a look at it while nothing happens.

Theory of operation. Each folder has a watch of its own (inotify is not recursive). One that comes
later is watched first and then named as changed, so that its reader finds what was put there before
the watch. A thread waits for the kernel alone: an idle watch costs nothing, and a change is
announced as soon as a few milliseconds pass without another one: each file of a publication is a
change of its own.

Links to folders are not followed: what a link leads to lies below the folder, or is not read.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from inotify_simple import Event, INotify, flags

_CHANGED = (
    flags.CLOSE_WRITE
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.ATTRIB
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
"""No ``MODIFY``: a file is read once it is written, or at the poll."""
_LOOK_SECONDS = 0.1
"""How often a stop that cannot be waited for is looked at."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """How long changes are gathered before they are announced, in milliseconds.

    Attributes:
        quiet_ms: Until this long passed without another one.
        most_ms: Or until this long passed since the first of them.
    """

    quiet_ms: int = 8
    most_ms: int = 60


_PROMPT = Gathering()
_PATIENT = Gathering(quiet_ms=60, most_ms=500)
"""For changes that mean nothing without a further one, which is awaited longer."""


class StopEvent(threading.Event):
    """An event that ``select.poll`` can wait for, beside a file descriptor."""

    def __init__(self) -> None:
        super().__init__()
        self._descriptor = -1
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Return a descriptor that is readable once the event is set."""
        return self._descriptor

    def set(self) -> None:
        """Set the event, for good."""
        super().set()
        os.eventfd_write(self._descriptor, 1)

    def __del__(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


class FolderWatch:
    """Watches a folder and what is below it; a context manager.

    Args:
        folder: Exists.
        recursive: Whether folders below it are watched too.
        partial: Returns whether a changed path means nothing until another one changes, too.

    Raises:
        OSError: There are no more watches to be had (``fs.inotify.max_user_watches``).
    """

    def __init__(
        self,
        folder: Path,
        *,
        recursive: bool = True,
        partial: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._top, self._recursive, self._partial = str(folder), recursive, partial
        self._paths: dict[int, str] = {}
        self._inotify = INotify()
        try:
            self._add(self._top)
        except OSError:
            self._inotify.close()
            raise

    def __enter__(self) -> Self:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch."""
        self._inotify.close()

    def wait(self, seconds: float, stop: threading.Event) -> set[str] | None:
        """Wait for changes.

        Args:
            seconds: The longest time to wait.
            stop: Ends the wait; at once if it is a ``StopEvent``.

        Returns:
            The paths that changed; an empty set when the time passed; ``None`` when ``stop`` is
            set.

        Raises:
            OSError: A folder that is new cannot be watched; the watch must be made again.
        """
        end = time.monotonic() + seconds
        while not stop.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return set()
            if self._readable(left, stop) and (paths := self._gathered()):
                return paths
        return None

    def _gathered(self) -> set[str]:
        """Return every change until some time passes without one."""
        paths: set[str] = set()
        limits, began = _PATIENT, time.monotonic()
        while True:
            for event in self._inotify.read(timeout=0):
                for path in self._changed(event):
                    paths.add(path)
                    limits = limits if self._partial(path) else _PROMPT
            end = began + limits.most_ms / 1e3
            left = min(limits.quiet_ms / 1e3, end - time.monotonic())
            if left <= 0 or not self._readable(left):
                return paths

    def _readable(self, seconds: float, stop: threading.Event | None = None) -> bool:
        poller = select.poll()
        poller.register(self._inotify.fileno(), select.POLLIN)
        if isinstance(stop, StopEvent):
            poller.register(stop.fileno(), select.POLLIN)
        elif stop is not None:
            seconds = min(seconds, _LOOK_SECONDS)
        # Rounded up: a poll of 0 ms would not wait.
        ready = {descriptor for descriptor, _ in poller.poll(int(seconds * 1e3) + 1)}
        return self._inotify.fileno() in ready

    def _changed(self, event: Event) -> Iterator[str]:
        """Yield the paths that an event is about; watch a folder that is new."""
        if event.mask & flags.Q_OVERFLOW:
            yield self._top  # anything may have changed
            return
        if event.mask & flags.IGNORED:
            self._paths.pop(event.wd, None)
            return
        folder = self._paths.get(event.wd)
        if folder is None:
            return
        path = f"{folder}/{event.name}" if event.name else folder
        arrived = event.mask & flags.ISDIR and event.mask & (flags.CREATE | flags.MOVED_TO)
        if arrived and self._recursive:
            self._add(path)
        yield path

    def _add(self, path: str) -> None:
        """Watch a folder, then those in it; one that is gone or closed to us is left out."""
        waiting = [path]
        while waiting:
            folder = waiting.pop()
            try:
                self._paths[self._inotify.add_watch(folder, _CHANGED)] = folder
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            if self._recursive:
                with suppress(OSError), os.scandir(folder) as found:
                    waiting.extend(e.path for e in found if e.is_dir(follow_symlinks=False))
