"""Claims what one process may work on at a time; a claim ends with the process that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.binder.errors import BinderError
from sidecar.durable import locks


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
        descriptor = locks.wait_for(path) if wait else locks.take(path)
    except OSError as error:
        raise BinderError(f"{path}: {error.strerror}") from error
    if descriptor is None:
        raise ClaimedError(f"{path}: another process works on it now")
    try:
        yield
    finally:
        os.close(descriptor)
