"""The file that states, while a gate is ready, its process id and where it listens."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

log = logging.getLogger("sidecar.service")


class ReadyFile:
    """The file of one process; what cannot be written while a disk is full is written later.

    Args:
        path: Where it is; ``None`` if there is to be none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = self._reported = False

    def write(self, listen: str, metrics: str) -> None:
        """Write it atomically unless it was written before; a failure is logged once."""
        if self._path is None or self._written:
            return
        value = {"pid": os.getpid(), "listen": listen, "metrics": metrics}
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps(value) + "\n")
            beside.replace(self._path)
        except OSError as error:
            if not self._reported:
                log.error(  # noqa: TRY400
                    "ready_file %s cannot be written, and is tried again: %s",
                    self._path,
                    error.strerror,
                )
            self._reported = True
            return
        self._written = True


def remove(path: Path | None) -> None:
    """Remove the file, if there is one."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
