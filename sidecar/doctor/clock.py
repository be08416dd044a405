"""Checks this machine's clock, by which validity windows and freshness are decided.

Other clocks are read from the ``Date`` header of responses (RFC 9110 §6.6.1); times that the gate
has recorded must not be in the future.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import HttpAddress, NoAnswerError, ask
from sidecar.doctor.installation import Installation

SKEW = timedelta(seconds=30)
_SECOND = timedelta(seconds=1)
_REMEDY = "Let NTP set this machine's clock; the gate relies on it again by itself."


def clock(installation: Installation) -> tuple[Diagnosis, ...]:
    """Compare this machine's clock with every other that answers."""
    compared = list(_compared(installation))
    if not compared:
        return (warn("clock", "no other clock answered", "Name one with --time-source URL."),)
    who, off = max(compared, key=lambda pair: abs(pair[1]))
    if abs(off) > SKEW:
        way = "behind" if off > timedelta(0) else "ahead of"
        return (fail("clock", f"{abs(off).total_seconds():.0f} s {way} {who}", _REMEDY),)
    names = ", ".join(name for name, _ in compared)
    return (ok("clock", f"within {SKEW.total_seconds():.0f} s of {names}"),)


def _compared(installation: Installation) -> Iterator[tuple[str, timedelta]]:
    """Yield the owner of each clock, and how far that clock is ahead of this machine's."""
    places: list[tuple[str, HttpAddress | None, str]] = [
        ("Envoy", installation.admin, "/ready"),
        ("the time source", installation.time_source, "/"),
    ]
    for name, place, path in places:
        if place is not None:
            with suppress(NoAnswerError):
                off = _date(place, path)
                if off is not None:
                    yield name, off
    with suppress(NoAnswerError, KeyError, TypeError, ValueError):
        entries = ask(installation.status, "/status").json()["authorities"]
        seen = [datetime.fromisoformat(each["refreshed"]) for each in entries if each["refreshed"]]
        if seen:
            yield "the gate", max(max(seen) - datetime.now(UTC), timedelta(0))


def _date(place: HttpAddress, path: str) -> timedelta | None:
    """Compare with the middle of the exchange; the header has whole seconds, rounded down."""
    began = datetime.now(UTC)
    text = ask(place, path).headers.get("date")
    ended = datetime.now(UTC)
    if text is None:
        return None
    try:
        sent = parsedate_to_datetime(text)
    except ValueError:
        return None
    return sent + _SECOND / 2 - (began + (ended - began) / 2)
