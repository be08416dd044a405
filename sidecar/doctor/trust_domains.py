"""Checks in ``/status`` that the bundles of the trust domains keep up with their keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.formats.amounts import amount

_LATELY = timedelta(minutes=15)
"""How long after its last use an unknown key is reported."""
_MAX_SHOWN = 6


def trust_domains(entries: list[dict[str, Any]], now: datetime) -> Iterator[Diagnosis]:
    """Check that the authorities' bundles keep up with the rotation of their keys."""
    problems = [found for entry in entries if (found := _behind(entry, now)) is not None]
    yield from problems[:_MAX_SHOWN]
    if not problems:
        keys = sum(entry["jwt_keys"] + entry["x509_roots"] for entry in entries)
        yield ok("trust domains", f"{len(entries)} with {amount(keys, 'key')}, none behind")


def _behind(entry: dict[str, Any], now: datetime) -> Diagnosis | None:
    name, authority = f"trust domain {entry['name']}", entry["authority"]
    remedy = f"Have {authority} run admit authority follow-bundle {entry['name']}."
    if not entry["jwt_keys"] and not entry["x509_roots"]:
        return fail(name, f"{authority} publishes no usable key for it", remedy)
    last = entry["unknown_key_last"]
    if last is not None and now - instant(last) < _LATELY:
        return fail(
            name,
            f"{entry['unknown_keys']} credentials, the last at {last}, were signed with keys that"
            f" {authority} has not published: it is behind, or they are forged",
            remedy,
        )
    if entry["roots_until"] is None:
        return None
    begin, end = instant(entry["roots_from"]), instant(entry["roots_until"])
    if end <= now:
        return fail(name, f"its last X.509 root expired at {entry['roots_until']}", remedy)
    if end - now < (end - begin) / 5:
        return warn(
            name,
            f"its last X.509 root expires in {span(end - now)}, and {authority} has published no"
            " newer one",
            remedy,
        )
    return None


def instant(text: str) -> datetime:
    """Parse a time of ``/status``."""
    return datetime.fromisoformat(text)


def span(length: timedelta) -> str:
    """Return a length of time in its largest unit, of which there are two at least."""
    seconds = int(length.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
