"""A line of OPA's log is a sentence in the gate's log, not JSON within a line."""

from __future__ import annotations

import pytest

from sidecar.opa.process import log_text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"fields.time":"t","level":"warning","msg":"runs as root","time":"t"}', "runs as root"),
        ('{"level":"error","msg":"no bundle","err":"EOF"}', "no bundle err=EOF"),
        ("panic: out of memory", "panic: out of memory"),
        ('{"level":"error"}', '{"level":"error"}'),
        ("[1", "[1"),
    ],
)
def test_a_line_of_opas_log_is_its_message(line: str, text: str) -> None:
    assert log_text(line) == text
