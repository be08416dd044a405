"""The gate's own log: one line for one message, whatever words of others are in it.

Names of files in a folder that others may write to, and what untrusted evidence says, end up in
messages. A line end in one of them would be a line that the gate never wrote.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

MAX_CHARS = 2000
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class PlainLines(logging.Formatter):
    """Escapes what cannot be printed, cuts what is long, and indents tracebacks."""

    def __init__(self) -> None:
        super().__init__(_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See ``logging.Formatter``."""
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802
        """See ``logging.Formatter``."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {plain(line)}" for line in lines)


def plain(text: str) -> str:
    """One printable line of at most ``MAX_CHARS`` characters; of a longer one, both its ends."""
    if len(text) > MAX_CHARS:
        half = MAX_CHARS // 2
        text = f"{text[:half]}…{text[-half + 1 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def set_up(level: int, stream: TextIO | None = None) -> None:
    """Log to ``stream``, standard error if none is given, from ``level`` on."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(PlainLines())
    logging.basicConfig(level=level, handlers=[handler])
