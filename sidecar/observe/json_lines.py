"""Formats the gate's own log as one JSON object per line, for collectors of logs.

Every line is ASCII and has ``time`` (RFC 3339, UTC), ``level``, ``logger`` and ``message``; a line
about an event also has ``event`` and its fields, and one about an exception has ``exception``.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from sidecar.observe.plain_lines import plain

FIELDS = "fields"
"""Name of the attribute of a record that holds an event's fields, given as ``extra``."""


class JsonLines(logging.Formatter):
    """Writes a record as JSON; texts are shortened like those of ``PlainLines``.

    Args:
        process: Name of this process, where there are several.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        value: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": plain(record.getMessage()),
        }
        if self._process:
            value["process"] = self._process
        fields = getattr(record, FIELDS, None)
        if isinstance(fields, dict):
            value |= {
                name: plain(each) if isinstance(each, str) else each
                for name, each in fields.items()
            }
        if record.exc_info:
            value["exception"] = self.formatException(record.exc_info)
        return json.dumps(value)


def event(name: str, **fields: object) -> dict[str, dict[str, object]]:
    """Return ``extra`` for a line about an event, such as ``log.warning(…, extra=event(…))``."""
    return {FIELDS: {"event": name, **fields}}
