"""Formats the gate's own log with one line per message, whatever text a message contains.

Messages contain names of files that others wrote, and text of untrusted evidence. A line end in one
of them would forge a line of the log.
"""

from __future__ import annotations

import logging

MAX_CHARS = 2000
_REST = "%(name)s: %(message)s"
_FORMAT = f"%(asctime)s %(levelname)s {_REST}"


class PlainLines(logging.Formatter):
    """Escapes unprintable characters, truncates long messages, and indents tracebacks.

    Args:
        process: Name of this process, where there are several.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process} {_REST}" if process else _FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See ``logging.Formatter``."""
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802
        """See ``logging.Formatter``."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {plain(line)}" for line in lines)


def plain(text: str) -> str:
    """Return ``text`` as one printable line, cut in the middle beyond ``MAX_CHARS``."""
    if len(text) > MAX_CHARS:
        half = MAX_CHARS // 2
        text = f"{text[:half]}…{text[-half + 1 :]}"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
