"""Writes the changes of one step as records, table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
    plain = _PLAIN.get(codec.name)
    for key, value in changes.items():
        at = codec.key(key)
        if value is GONE:
            yield at, None
        else:
            yield at, codec.record(at, key, value if plain is None else plain(value))


def _pair_records(
    name: str, changes: Mapping[str, Mapping[str, bool]]
) -> Iterable[tuple[bytes, bytes | None]]:
    for left, sides in changes.items():
        for right, keep in sides.items():
            at = records.side(left, right)
            yield at, records.pair_record(name, at) if keep else None


_PLAIN: dict[str, Callable[[Any], Any]] = {
    records.SIGNERS.name: lambda item: item.signers,
    **dict.fromkeys(records.INDEXES, lambda items: tuple([item.digest for item in items])),
    **dict.fromkeys(records.SINGLES, lambda _: None),
}
"""What is written of a value: evidence is written once, elsewhere by its digest."""


def _view(name: str, data: bytes | None) -> bytes | None:
    return None if data is None else records.checksum(VIEWS, name.encode(), data) + data
