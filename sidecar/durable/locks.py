"""Takes lock files: a lock of the kernel (flock(2)) ends with the process that holds it.

The folder of a lock file exists; the file is created with mode 0600, and not followed if it is a
link. Closing the descriptor releases the lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(path: Path) -> int | None:
    """Lock a file and return its descriptor; ``None`` if another process holds the lock.

    Raises:
        OSError: The file cannot be created or locked.
    """
    try:
        return _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def wait_for(path: Path) -> int:
    """Wait for a file's lock, take it, and return its descriptor.

    Raises:
        OSError: The file cannot be created or locked.
    """
    return _locked(path, fcntl.LOCK_EX)


def _locked(path: Path, operation: int) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
