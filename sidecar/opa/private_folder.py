"""Makes private folders that are gone with their process, also one that was killed.

Theory of operation. A process that is killed removes nothing. So each folder is locked (``flock``
on the folder itself) for as long as its process lives: the kernel releases the lock with the last
process that holds it. Making a folder first removes those of the same place, user and prefix that
no process has locked. systemd-tmpfiles spares a locked folder too, so that a gate that runs for
weeks keeps its bundle in ``/tmp``.

A new folder is not lost to a race. Between its creation and its lock another process may lock and
remove it, so a process that has locked its folder checks that it still exists, or makes another.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sidecar.opa.errors import PolicyError

log = logging.getLogger("sidecar.opa.client")

PREFIX = "admit-opa."
"""Prefix of locked folders; earlier releases made ``admit-opa-…`` without a lock."""

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """A folder with mode 0700 that is locked by this process; ``remove`` it at the end."""

    path: Path
    _lock: int

    def remove(self) -> None:
        """Remove the folder with all that is in it, then unlock it; call it once."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def private_folder(parent: Path | None, prefix: str = PREFIX) -> PrivateFolder:
    """Create a private folder below ``parent``, or in the system's temporary folder.

    Args:
        parent: Made if needed, with mode 0700; ``None`` for the system's temporary folder.
        prefix: Of its name. Folders of this prefix that no process has locked are removed, so no
            name without a lock may ever begin with it.

    Raises:
        PolicyError: ``parent`` cannot be created or used, or other users can access it.
    """
    try:
        if parent is not None:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = parent.stat()
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PolicyError(f"{parent}: must be this user's alone (chmod 0700)")
        place = Path(tempfile.gettempdir()) if parent is None else parent
        _remove_abandoned(place, prefix)
        while True:
            path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            lock = _lock(path, wait=True)
            if lock is not None:
                return PrivateFolder(path, lock)
    except OSError as error:
        raise PolicyError(f"{error.filename or parent}: {error.strerror}") from error


def _lock(path: Path, *, wait: bool) -> int | None:
    """Lock a folder; ``None`` if it is gone, or without ``wait``, if its process lives.

    Raises:
        OSError: It cannot be opened; without ``wait``, its file system has no locks.
    """
    try:
        lock = os.open(path, _OPEN)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:
        if not wait:
            os.close(lock)
            raise
        # This file system has no locks, so no process takes the folder for abandoned.
    if _is_at(lock, path):
        return lock
    os.close(lock)
    return None


def _is_at(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.lstat())
    except FileNotFoundError:
        return False


def _remove_abandoned(place: Path, prefix: str) -> None:
    """Remove this user's folders that no process has locked; what cannot be removed stays."""
    for path in place.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid != os.geteuid():
                continue
            lock = _lock(path, wait=False)
            if lock is not None:
                log.info("%s: its process was killed; the folder is removed", path)
                PrivateFolder(path, lock).remove()
