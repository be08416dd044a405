"""Claims what one process may work on at a time; a claim ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.binder.errors import BinderError


class ClaimedError(BinderError):
    """Another process works on it now."""


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, which is created if needed.

    A lock of the kernel (flock(2)) is released however the process ends, so no claim is left over.

    Args:
        path: The lock file; its folder is created if needed.
        wait: Wait for another holder, instead of raising.

    Raises:
        ClaimedError: Another process holds it.
        BinderError: It cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise BinderError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise ClaimedError(f"{path}: another process works on it now") from error
    try:
        yield
    finally:
        os.close(descriptor)
