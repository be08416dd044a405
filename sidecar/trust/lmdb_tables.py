"""Reads the trust state's tables from LMDB: one epoch whole, each value when it is asked for.

Theory of operation. An ``Epoch`` is one read transaction. LMDB keeps the pages that it sees for as
long as it is open, so a holder of an epoch's tables sees that epoch, whatever is committed
meanwhile, and never waits for the writer. It ends when its tables are no longer referenced.

Values are parsed once and kept in a bounded cache, by record: what did not change between two
epochs is the same object in both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import lmdb

from sidecar.core.evidence import Evidence
from sidecar.core.tables import EMPTY, PAIRS, Tables
from sidecar.trust import records
from sidecar.trust.records import CHECKSUM_BYTES, Codec, DamagedError

Databases = Mapping[str, Any]
"""Table → LMDB's handle."""
_MISSING: Final = object()
_ABSENT: Final = object()
_MOST_FOUND = 1024
"""Keys that each table of an epoch keeps at hand."""
_BATCH = 1024


class RecordCache:
    """Parsed values by table and key, each for one record; the least recently used leave.

    Args:
        most: How many values are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, bytes], tuple[bytes, Any]] = OrderedDict()

    def get(self, name: str, at: bytes, stamp: bytes) -> Any:  # noqa: ANN401 - of any table
        """Return the value kept for a record, or ``MISSING``."""
        with self._lock:
            found = self._held.get((name, at))
            if found is None or found[0] != stamp:
                return _MISSING
            self._held.move_to_end((name, at))
            return found[1]

    def put(self, name: str, at: bytes, stamp: bytes, value: Any) -> None:  # noqa: ANN401
        """Keep a value for a record."""
        with self._lock:
            self._held[name, at] = (stamp, value)
            self._held.move_to_end((name, at))
            if len(self._held) > self._most:
                self._held.popitem(last=False)


class Epoch:
    """One read transaction over all tables. Threads may share it.

    Args:
        environment: The LMDB environment.
        databases: Its tables.
        cache: Shared by all epochs of a process.
    """

    def __init__(
        self, environment: lmdb.Environment, databases: Databases, cache: RecordCache
    ) -> None:
        self._databases = databases
        self._lock = threading.Lock()
        self._transaction = environment.begin(buffers=False)
        self._empty: dict[str, bool] = {}
        self.cache = cache

    def get(self, name: str, at: bytes) -> bytes | None:
        """Return the record under a key."""
        with self._lock:
            found: bytes | None = self._transaction.get(at, db=self._databases[name])
            return found

    def empty(self, name: str) -> bool:
        """Return whether a table has no record, as those of successions mostly have not."""
        found = self._empty.get(name)
        if found is None:
            found = self._empty[name] = self.count(name) == 0
        return found

    def count(self, name: str) -> int:
        """Return how many records a table has."""
        with self._lock:
            return int(self._transaction.stat(self._databases[name])["entries"])

    def items(self, name: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and records from ``prefix`` on, in the order of the keys, in batches."""
        at, more = prefix, True
        while more:
            with self._lock, self._transaction.cursor(db=self._databases[name]) as cursor:
                found: list[tuple[bytes, bytes]] = []
                more = cursor.set_range(at)
                while more and len(found) < _BATCH and cursor.key().startswith(prefix):
                    found.append(cursor.item())
                    more = cursor.next()
                more = more and cursor.key().startswith(prefix)
                at = cursor.key() if more else at
            yield from found

    def tables(self) -> Tables:
        """Return every table at this epoch."""
        made: dict[str, Any] = {name: LmdbPairs(self, name) for name in PAIRS}
        made |= {name: LmdbTable(self, codec) for name, codec in records.VALUES.items()}
        evidence = made["evidence"] = EvidenceTable(self)
        made["signed"] = evidence.signed
        made |= {name: IndexTable(self, codec, evidence) for name, codec in records.INDEXES.items()}
        made |= {
            name: SingleTable(self, codec, evidence) for name, codec in records.SINGLES.items()
        }
        return Tables(**made)


class LmdbTable(Mapping[Any, Any]):
    """A table of plain values; an epoch does not change, so what was found is found again."""

    def __init__(self, epoch: Epoch, codec: Codec) -> None:
        self._epoch, self._codec = epoch, codec
        self._found: dict[Any, Any] = {}

    def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 - of any table
        """Return the value of a key; raises ``DamagedError`` where its record is damaged."""
        value = self._found.get(key, _MISSING)
        if value is _MISSING:
            value = self._look_up(key)
            if len(self._found) >= _MOST_FOUND:
                self._found = {}
            self._found[key] = value
        return default if value is _ABSENT else value

    def _look_up(self, key: Any) -> Any:  # noqa: ANN401 - of any table
        if self._epoch.empty(self._codec.name):
            return _ABSENT
        at = self._codec.key(key)
        record = self._epoch.get(self._codec.name, at)
        return _ABSENT if record is None else self._value(at, record)

    def _value(self, at: bytes, record: bytes) -> Any:  # noqa: ANN401 - of any table
        cache, name, stamp = self._epoch.cache, self._codec.name, record[:CHECKSUM_BYTES]
        value = cache.get(name, at, stamp)
        if value is _MISSING:
            value = self._codec.value(at, record)
            cache.put(name, at, stamp, value)
        return value

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - of any table
        """Return the value of a key; ``KeyError`` where it has none."""
        value = self.get(key, _ABSENT)
        if value is _ABSENT:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        """Return whether a key has a value."""
        if key in self._found:
            return self._found[key] is not _ABSENT
        if self._epoch.empty(self._codec.name):
            return False
        return self._epoch.get(self._codec.name, self._codec.key(key)) is not None

    def __iter__(self) -> Iterator[Any]:
        """Yield every key."""
        for at, record in self._epoch.items(self._codec.name):
            yield self._codec.key_of(at, record)

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._epoch.count(self._codec.name)


class EvidenceTable(LmdbTable):
    """Evidence by payload digest: the signers of one record, the statement of another."""

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(epoch, records.SIGNERS)
        self.signed = LmdbTable(epoch, records.SIGNED)

    def _value(self, at: bytes, record: bytes) -> Any:  # noqa: ANN401 - evidence of any kind
        cache, stamp = self._epoch.cache, record[:CHECKSUM_BYTES]
        value = cache.get("evidence", at, stamp)
        if value is _MISSING:
            signers = self._codec.value(at, record)
            digest = self._codec.key_of(at, record)
            if digest not in self.signed:
                raise DamagedError(f"evidence {digest}: what was signed is missing")
            value = Evidence(digest, self.signed[digest].statement, signers)
            cache.put("evidence", at, stamp, value)
        return value


class IndexTable(LmdbTable):
    """Evidence by an index key."""

    def __init__(self, epoch: Epoch, codec: Codec, evidence: EvidenceTable) -> None:
        super().__init__(epoch, codec)
        self._evidence = evidence

    def _value(self, at: bytes, record: bytes) -> Any:  # noqa: ANN401 - evidence of any kind
        digests = super()._value(at, record)
        found = tuple(self._evidence[digest] for digest in digests)
        name = f"{self._codec.name} items"
        known = self._epoch.cache.get(name, at, b"")
        same = known is not _MISSING and len(known) == len(found)
        if same and all(one is other for one, other in zip(known, found, strict=True)):
            return known
        self._epoch.cache.put(name, at, b"", found)
        return found


class SingleTable(LmdbTable):
    """Evidence of one kind by its own digest."""

    def __init__(self, epoch: Epoch, codec: Codec, evidence: EvidenceTable) -> None:
        super().__init__(epoch, codec)
        self._evidence = evidence

    def _look_up(self, key: Any) -> Any:  # noqa: ANN401 - evidence of any kind
        return self._evidence[key] if key in self else _ABSENT


class LmdbPairs(Mapping[str, Mapping[str, None]]):
    """A relation between texts and payload digests; one record for each pair."""

    def __init__(self, epoch: Epoch, name: str) -> None:
        self._epoch, self._name = epoch, name

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401, ARG002 - of a Mapping
        """Return what a left side is related to; nothing for an unknown one."""
        if self._epoch.empty(self._name):
            return EMPTY
        return LmdbSide(self._epoch, self._name, records.side(key))

    def __getitem__(self, key: str) -> Mapping[str, None]:
        """Return what a left side is related to."""
        found: Mapping[str, None] = self.get(key)
        return found

    def __iter__(self) -> Iterator[str]:
        """Raise: left sides are stored as digests."""
        raise NotImplementedError("a relation is looked up by its left side")

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return self._epoch.count(self._name)


class LmdbSide(Mapping[str, None]):
    """What one left side is related to."""

    def __init__(self, epoch: Epoch, name: str, left: bytes) -> None:
        self._epoch, self._name, self._left = epoch, name, left

    def __contains__(self, key: object) -> bool:
        """Return whether the left side is related to a digest."""
        return self._epoch.get(self._name, self._left + bytes.fromhex(str(key))) is not None

    def __getitem__(self, key: str) -> None:
        """Return ``None``; ``KeyError`` where the two are not related."""
        if key not in self:
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        """Yield every digest."""
        for at, _ in self._epoch.items(self._name, self._left):
            yield at[records.SIDE_BYTES :].hex()

    def __len__(self) -> int:
        """Return how many digests there are, by counting them."""
        return sum(1 for _ in self)
