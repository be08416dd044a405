"""Bounds what gRPC's binding logs about metadata that is not UTF-8.

The binding decodes the metadata of every call, and logs an error with a traceback for each value
that it cannot decode. A direct peer may send hundreds of them in one call, so it could fill a disk
with a log, or hide in it. The values are read as Latin-1 and go on, so nothing is lost: what the
gate reads of metadata are plain words.

Source: src/python/grpcio/grpc/_cython/_cygrpc/grpc_string.pyx.pxi of gRPC.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LOGGER = "grpc._cython.cygrpc"
_MESSAGE = "Invalid encoding on"
_PAUSE_SECONDS = 60.0


class UndecodableMetadata(logging.Filter):
    """Passes one line a minute, with a count, in place of a traceback for each value.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._count = 0
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged; that of a value is replaced by a line without it."""
        if not str(record.msg).startswith(_MESSAGE):
            return True
        self._count += 1
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + _PAUSE_SECONDS
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg = (
            "a peer sent gRPC metadata that is not UTF-8: %d values since the start; this is logged"
            " once a minute. Envoy sends none: look for who else reaches this port"
        )
        record.args = (self._count,)
        record.exc_info = record.exc_text = None
        return True


_FILTER = UndecodableMetadata()


def bound() -> None:
    """Bound what this process logs; a second time changes nothing."""
    logging.getLogger(LOGGER).addFilter(_FILTER)
