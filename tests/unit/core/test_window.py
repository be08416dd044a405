"""A window holds from its beginning to just before its end, and cannot be empty."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidecar.core.documents import read_withdrawals
from sidecar.core.window import Window, parse_instant, rfc3339

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=1)
TICK = timedelta(microseconds=1)


def test_the_beginning_is_inside_and_the_end_is_not() -> None:
    window = Window(BEGIN, END)
    times = (BEGIN - TICK, BEGIN, END - TICK, END)
    assert [window.holds(at) for at in times] == [False, True, True, False]


@pytest.mark.parametrize(
    ("begin", "end", "why"),
    [
        (BEGIN, BEGIN, "a window must end after it begins"),
        (END, BEGIN, "a window must end after it begins"),
        (BEGIN.replace(tzinfo=None), END, "a window needs times with an offset"),
        (BEGIN, END.replace(tzinfo=None), "a window needs times with an offset"),
    ],
)
def test_a_window_that_never_holds_or_has_no_offset_is_refused(
    begin: datetime, end: datetime, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Window(begin, end)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (BEGIN, "2026-11-01T00:00:00Z"),
        (BEGIN + TICK, "2026-11-01T00:00:00.000001Z"),
        (
            datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-01T00:00:00Z",
        ),
    ],
)
def test_an_instant_is_written_in_utc(instant: datetime, text: str) -> None:
    assert rfc3339(instant) == text


@pytest.mark.parametrize(
    "text", ["2026-11-01", "2026-11-01T00:00:00Z", "2026-11-01T02:00:00+02:00"]
)
def test_a_date_is_its_midnight_in_utc_and_a_time_keeps_its_offset(text: str) -> None:
    assert parse_instant(text) == BEGIN
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", "'soon' is not a date such as 2027-01-14"),
        ("2026-11-01T00:00:00", "a time needs its offset, such as 2027-01-14T00:00:00Z"),
    ],
)
def test_an_instant_that_is_no_date_or_has_no_offset_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_instant(text)


@pytest.mark.parametrize(
    ("signed", "shown"),
    [
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"),
        ("2027-01-14T01:00:00.5+01:00", "2027-01-14T00:00:00.500000Z"),
    ],
)
def test_an_instant_that_was_signed_can_be_shown(signed: str, shown: str) -> None:
    """One that does not exist in UTC made every step of the trust state fail in the log."""
    entry = {"kind": "corpus", "subject": "a" * 64, "reason": "test", "effective": signed}
    document = {"type": "urn:admissibility:withdrawals:v1", "entries": [entry]}
    effective = read_withdrawals(json.dumps(document).encode()).entries[0].effective
    assert effective is not None
    assert rfc3339(effective) == shown
