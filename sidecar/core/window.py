"""Windows of validity: half-open intervals of aware UTC time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import ConfigDict

from sidecar.core.wire import WIRE

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The interval [``not_before``, ``not_after``)."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        """Refuse naive times and empty intervals: a window that never holds is a mistake."""
        if self.not_before.tzinfo is None or self.not_after.tzinfo is None:
            raise ValueError("a window needs times with an offset")
        if self.not_before >= self.not_after:
            raise ValueError("a window must end after it begins")

    def holds(self, now: datetime) -> bool:
        """Return whether ``now`` lies in the window."""
        return self.not_before <= now < self.not_after


def parse_instant(text: str) -> datetime:
    """Parse a date, which is its midnight in UTC, or a time with its offset.

    Raises:
        ValueError: Neither of them; the text states what was expected.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date such as 2027-01-14") from None
    if found.tzinfo is None:
        if len(text) > len("2027-01-14"):
            raise ValueError("a time needs its offset, such as 2027-01-14T00:00:00Z")
        found = found.replace(tzinfo=UTC)
    return found.astimezone(UTC)


def rfc3339(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, whole seconds unless it has a fraction.

    One that its offset puts outside the years 1 to 9999 becomes the first or the last of them: an
    authority may have signed it, and whatever shows it must not fail.
    """
    try:
        utc = instant.astimezone(UTC)
    except OverflowError:
        utc = _LAST if instant.year > 1 else _FIRST
    return utc.isoformat().replace("+00:00", "Z")
