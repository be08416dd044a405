"""Sets up the gate's own log, so that every line of its standard error has one format."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum

from sidecar.observe.json_lines import JsonLines
from sidecar.observe.plain_lines import PlainLines

OWN = "sidecar"


class LogFormat(StrEnum):
    """Formats of the gate's own log."""

    TEXT = "text"
    JSON = "json"


def name_process(name: str) -> None:
    """Name this process in each line of its log, where several write to one stream."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLines):
            handler.setFormatter(JsonLines(name))
        elif isinstance(handler.formatter, PlainLines):
            handler.setFormatter(PlainLines(name))


def set_up(level: int, log_format: LogFormat) -> None:
    """Log to standard error, from ``level`` on.

    Libraries log warnings and errors alone: the gate logs what an operator needs of their work
    itself.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format is LogFormat.JSON else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(OWN).setLevel(level)
    logging.captureWarnings(capture=True)
