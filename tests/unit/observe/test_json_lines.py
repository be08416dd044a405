"""The gate's own log as JSON: one object a line, whatever a message contains."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from sidecar.observe.json_lines import JsonLines, event


def written(
    message: str, *, failed: bool = False, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A message as it is written."""
    trace = sys.exc_info() if failed else None
    made = logging.LogRecord("sidecar.trust", logging.WARNING, "", 0, "%s", (message,), trace)
    made.created = 1_780_315_200.25
    for name, given in (extra or {}).items():
        setattr(made, name, given)
    text = JsonLines().format(made)
    assert text.isascii()
    assert text.isprintable()
    value: dict[str, Any] = json.loads(text)
    return value


def test_a_line_has_time_level_logger_message_and_the_fields_of_its_event() -> None:
    found = written("a\nb \u202e", extra=event("withdrew", subject="x\ny", count=3, effective=None))
    assert found == {
        "time": "2026-06-01T12:00:00.250+00:00",
        "level": "warning",
        "logger": "sidecar.trust",
        "message": "a\\nb \\u202e",
        "event": "withdrew",
        "subject": "x\\ny",
        "count": 3,
        "effective": None,
    }


def test_a_traceback_is_a_field() -> None:
    try:
        raise ValueError("x\ny")
    except ValueError:
        found = written("failed", failed=True)
    assert found["exception"].endswith("ValueError: x\ny")
