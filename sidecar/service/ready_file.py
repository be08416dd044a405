"""The file that states, while a gate is ready, its process id and where it listens."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

log = logging.getLogger("sidecar.service")


def write(path: Path | None, listen: str, metrics: str) -> None:
    """Write the file atomically, if there is to be one; a failure is logged."""
    if path is None:
        return
    value = {"pid": os.getpid(), "listen": listen, "metrics": metrics}
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(json.dumps(value) + "\n")
        beside.replace(path)
    except OSError as error:
        log.error("ready_file %s cannot be written: %s", path, error.strerror)  # noqa: TRY400


def remove(path: Path | None) -> None:
    """Remove the file, if there is one."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
