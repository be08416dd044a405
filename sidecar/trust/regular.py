"""Reading a regular file, and nothing but a regular file, up to a cap."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotRegularError(Exception):
    """It is a pipe, a device, a folder: reading it may never end."""


class TooLargeError(Exception):
    """There is more than was asked for."""


def read_regular(path: Path | str, max_bytes: int) -> bytes:
    """Return the bytes of a file.

    Args:
        path: Its last part is not followed if it is a link.
        max_bytes: The most that is read.

    Raises:
        NotRegularError: It is something else.
        TooLargeError: It has more than ``max_bytes``.
        OSError: It cannot be opened or read.
    """
    data, _ = read_with_status(path, max_bytes)
    return data


def read_with_status(path: Path | str, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Like ``read_regular``; also return the file's status from before its bytes were read."""
    # O_NONBLOCK: opening a pipe would otherwise wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularError("not a regular file")
        # Unbuffered: making a buffered reader takes longer than reading a small file.
        data = os.read(descriptor, min(status.st_size, max_bytes) + 1)
        if len(data) != status.st_size:  # changed meanwhile, or larger than one read
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data += file.read(max(0, max_bytes + 1 - len(data)))
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise TooLargeError(f"larger than {max_bytes} bytes")
    return data, status
