"""Creates a Unix socket that only its owner can connect to.

A process that can connect to the gate can claim any client certificate, and with registration on it
receives tickets meant for Envoy alone. On loopback that is every process of the machine, the
application among them.
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
    """Make a socket that is bound to ``path`` in the context accessible to its owner alone.

    Raises:
        OSError: Others may write to its folder, ``path`` is no socket, or a process listens there.
    """
    folder = path.parent.stat()
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise OSError(
            f"{path.parent} has mode {stat.S_IMODE(folder.st_mode):04o}: other users may write to"
            " it, and could replace the gate's socket; remove that permission"
        )
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(f"{path} exists and is not a socket; remove it or choose another path")
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise OSError(f"another process listens on {path}; end it or choose another path")
        path.unlink()
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
