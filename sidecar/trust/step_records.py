"""Write the changes of one step as records, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sidecar.core.tables import GONE, PAIRS, Drafts
from sidecar.trust import records
from sidecar.trust.records import Codec

VIEWS = "views"
"""The table of the authorities' views."""
Changes = tuple[str, Iterable[tuple[bytes, bytes | None]]]
"""Table, and its changed records by key; ``None`` for one that goes."""


def changed(drafts: Drafts, views: Mapping[str, bytes | None]) -> Iterable[Changes]:
    """Yield every table that changed, with its changed records."""
    for name in PAIRS:
        changes = getattr(drafts, name).changes
        yield name, _pair_records(name, changes)
    for name, codec in records.CODECS.items():
        yield name, _records(codec, getattr(drafts, name).changes)
    yield VIEWS, ((name.encode(), _view(name, data)) for name, data in views.items())


def _records(codec: Codec, changes: Mapping[Any, Any]) -> Iterable[tuple[bytes, bytes | None]]:
    for key, value in changes.items():
        at = codec.key(key)
        yield at, None if value is GONE else codec.record(at, key, _plain(codec.name, value))


def _pair_records(
    name: str, changes: Mapping[str, Mapping[str, bool]]
) -> Iterable[tuple[bytes, bytes | None]]:
    for left, sides in changes.items():
        for right, keep in sides.items():
            at = records.side(left, right)
            yield at, records.pair_record(name, at) if keep else None


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 - values of any table
    """Return what is written of a value: evidence is written once, elsewhere by its digest."""
    if name == records.SIGNERS.name:
        return value.signers
    if name in records.INDEXES:
        return tuple(item.digest for item in value)
    return None if name in records.SINGLES else value


def _view(name: str, data: bytes | None) -> bytes | None:
    return None if data is None else records.checksum(VIEWS, name.encode(), data) + data
