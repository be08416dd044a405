"""Persists the latest time relied on, so that a clock set back is detected after a restart."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.durable.files import overwrite, write_atomically

NAME = "latest-time.json"
_MAX_BYTES = 1024


class LatestTimeError(Exception):
    """The file cannot be used; the message states what to do."""


def load(folder: Path) -> float:
    """Read the latest time, in seconds since the epoch; 0 if there is no file.

    Raises:
        LatestTimeError: It cannot be read, or is no time.
    """
    path = folder / NAME
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_MAX_BYTES))["latest"]
    except FileNotFoundError:
        return 0.0
    except OSError as error:
        raise LatestTimeError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise LatestTimeError(
            f"{path}: contains no time; make sure that the clock is right, then remove the file"
        ) from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise LatestTimeError(
            f"{path}: contains no time; make sure that the clock is right, then remove the file"
        )
    return float(value)


def keep(folder: Path, latest: float) -> None:
    """Write the latest time durably and atomically; in place where the disk is full.

    Raises:
        OSError: It cannot be written.
    """
    path, data = folder / NAME, json.dumps({"latest": round(latest)}).encode()
    try:
        write_atomically(path, data, mode=0o644)
    except OSError:
        if path.stat().st_size != len(data):
            raise
        overwrite(path, data)
