"""What `admit status` says of an authority whose source hangs: no error comes from it."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.cli import status


def authority(name: str, age: float, **changes: Any) -> dict[str, Any]:
    known = {"error": None, "stale": None, "refreshed": "2026-11-30T12:00:00Z"}
    return {"name": name, "age_seconds": age, **known, **changes}


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        (authority("office", 14.9), []),
        (
            authority("office", 20.4),
            ["office: was last read 20 s ago: a withdrawal since then is not in force"],
        ),
        (
            authority("office", 20.4, refreshed=None, stale="was never verified"),
            [
                "1 of 1 authority cannot be relied on: what needs it is denied (trust_stale)",
                "office: was never verified; was not read for 20 s",
            ],
        ),
    ],
)
def test_an_authority_that_was_not_read_for_longer_than_the_service_level_is_named(
    entry: dict[str, Any], lines: list[str]
) -> None:
    assert list(status._authority_problems([entry])) == lines
