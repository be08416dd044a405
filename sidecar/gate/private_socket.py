"""A Unix socket that only its owner can speak to.

Who can ask the gate can name any client certificate, and with registration on is told what only
Envoy should carry. On loopback that is every process of the machine, the application among them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def private_socket(path: Path) -> Iterator[None]:
    """What is bound to ``path`` meanwhile is for its owner alone.

    Raises:
        OSError: Others may write to its folder, something else than a socket is there, or a gate
            that runs.
    """
    folder = path.parent.stat()
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise OSError(f"others may write to {path.parent}")
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(f"{path} is no socket")
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise OSError(f"somebody listens on {path}")
        path.unlink()
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
