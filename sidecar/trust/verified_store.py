"""Persists what is verified in one LMDB environment of the state folder.

Theory of operation. Each step of the trust state is one transaction: the changed records of every
table, the views from which they follow, and the epoch. LMDB is copy-on-write with two meta pages,
so that a crash leaves the last transaction that was committed (synced) or the one before.

``open_store`` relies on a store only if its format is this one and the sum over the checksums of
all its records is the one that was committed with them: a record that was lost, torn or flipped
changes the sum. Otherwise the store is removed, and filled again from the sources. What it holds is
a cache, except for what is remembered (``core.memory``), which has a file of its own.

Whoever can write to the state folder can make the gate believe anything, as with the metadata that
TUF keeps there; the checksums find accidents, not attackers.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import lmdb

from sidecar.core.grants import OperatorTrust
from sidecar.core.tables import GONE, PAIRS, Drafts, Tables
from sidecar.trust import records
from sidecar.trust.evidence_folder import SeenFile
from sidecar.trust.lmdb_tables import Epoch, RecordCache
from sidecar.trust.records import CHECKSUM_BYTES

_LOG = logging.getLogger("sidecar.trust")

NAME = "verified.lmdb"
FORMAT = "1"
"""Raised with every change of a record, of a table, or of what a step computes."""
_MAP_BYTES = 1 << 38
"""Address space, not memory and not disk: the file grows as it is filled."""
_CACHED_RECORDS = 50_000
_LONGEST_PATH = 500
_META = "meta"
_VIEWS = "views"
_PATHS = "paths"
_SEEN = struct.Struct(">4qB32s")
_MODULUS = 1 << (8 * CHECKSUM_BYTES)


class StoreWriteError(Exception):
    """A step could not be committed; the text is one line. The store is as it was before."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What one transaction says of the whole store.

    Attributes:
        format: ``FORMAT`` as it was written.
        operator: Digest of the operator's configuration that the tables follow from.
        epoch: Of the last step.
        total: Sum of the checksums of all records.
        remembered: Bytes of the memory's journal that the tables include.
    """

    format: str
    operator: str
    epoch: int
    total: int
    remembered: int

    def write(self) -> bytes:
        """Write it with a checksum of its own."""
        text = f"{self.format} {self.operator} {self.epoch} {self.total} {self.remembered}".encode()
        return records.checksum(_META, b"", text) + text

    @classmethod
    def read(cls, record: bytes) -> Meta | None:
        """Read it; ``None`` where it is damaged or of another form."""
        text = record[CHECKSUM_BYTES:]
        if records.checksum(_META, b"", text) != record[:CHECKSUM_BYTES]:
            return None
        parts = text.decode().split(" ")
        if len(parts) != len(fields(cls)):
            return None
        return cls(parts[0], parts[1], *map(int, parts[2:]))


@dataclass(frozen=True, slots=True)
class CommittedStep:
    """What one transaction writes.

    Attributes:
        drafts: The changes of the tables.
        views: Key of ``view_records`` → bytes, where they changed; ``None`` where they are gone.
        operator: Of ``operator_digest``.
        epoch: Of the step.
        remembered: As ``Meta.remembered``.
    """

    drafts: Drafts
    views: Mapping[str, bytes | None]
    operator: str
    epoch: int
    remembered: int


class VerifiedStore:
    """The store of one state folder; one process writes, any number of them read.

    Args:
        folder: The folder of the LMDB environment.
        read_only: Whether this process only reads.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self._environment = lmdb.open(
            str(folder),
            map_size=_MAP_BYTES,
            max_dbs=len(records.CODECS) + len(PAIRS) + 4,
            max_readers=512,
            readonly=read_only,
            readahead=False,
            mode=0o600,
        )
        self._environment.reader_check()
        names = (*records.CODECS, *PAIRS, _META, _VIEWS, _PATHS)
        self._databases = {
            name: self._environment.open_db(name.encode(), create=not read_only) for name in names
        }
        self._cache = RecordCache(_CACHED_RECORDS)

    def close(self) -> None:
        """Close the environment; no epoch may be read afterwards."""
        self._environment.close()

    def epoch(self) -> Epoch:
        """Return the newest epoch."""
        return Epoch(self._environment, self._databases, self._cache)

    def meta(self) -> Meta | None:
        """Return what the last transaction says of the store; ``None`` where there is none."""
        with self._environment.begin() as transaction:
            record = transaction.get(b"meta", db=self._databases[_META])
        return None if record is None else Meta.read(bytes(record))

    def views(self) -> dict[str, bytes]:
        """Return the views of the last step, as they were committed."""
        with self._environment.begin() as transaction:
            found = transaction.cursor(db=self._databases[_VIEWS])
            return {name.decode(): record[CHECKSUM_BYTES:] for name, record in found}

    def paths(self) -> dict[str, SeenFile]:
        """Return the files of evidence as they were seen last; a damaged record is left out."""
        found = {}
        with self._environment.begin() as transaction:
            for at, record in transaction.cursor(db=self._databases[_PATHS]):
                body = record[CHECKSUM_BYTES:]
                if records.checksum(_PATHS, at, body) == record[:CHECKSUM_BYTES]:
                    *stamp, signatures, digest = _SEEN.unpack(body)
                    found[os.fsdecode(at)] = SeenFile(tuple(stamp), digest.hex(), signatures)
        return found

    def keep_paths(self, changed: Mapping[str, SeenFile | None]) -> None:
        """Keep how files were seen; one that is not kept is read again after a restart.

        Raises:
            StoreWriteError: As ``commit``.
        """
        database = self._databases[_PATHS]
        try:
            with self._environment.begin(write=True) as transaction:
                for path, seen in changed.items():
                    at = os.fsencode(path)
                    if len(at) > _LONGEST_PATH:
                        continue
                    if seen is None:
                        transaction.delete(at, db=database)
                        continue
                    body = _SEEN.pack(*seen.stamp, seen.signatures, bytes.fromhex(seen.digest))
                    transaction.put(at, records.checksum(_PATHS, at, body) + body, db=database)
        except lmdb.Error as error:
            raise StoreWriteError(f"{self.folder} cannot be written: {error}") from error

    def sound(self) -> bool:
        """Tell whether every record is as it was committed, by one pass over all of them."""
        meta = self.meta()
        if meta is None:
            return False
        total = 0
        try:
            with self._environment.begin() as transaction:
                for name, database in self._databases.items():
                    if name in (_META, _PATHS):
                        continue
                    for at, record in transaction.cursor(db=database):
                        stamp = record[:CHECKSUM_BYTES]
                        if records.checksum(name, at, record[CHECKSUM_BYTES:]) != stamp:
                            return False
                        total += int.from_bytes(stamp, "big")
        except lmdb.Error:
            return False
        return total % _MODULUS == meta.total

    def commit(self, step: CommittedStep) -> Tables:
        """Commit one step, durably, and return the tables after it.

        Raises:
            StoreWriteError: It cannot be written: a full disk, a full map.
        """
        meta = self.meta()
        total = 0 if meta is None else meta.total
        try:
            with self._environment.begin(write=True) as transaction:
                for name, changes in _records(step.drafts, step.views):
                    database = self._databases[name]
                    for at, record in changes:
                        before = transaction.get(at, db=database)
                        if before is not None:
                            total -= int.from_bytes(before[:CHECKSUM_BYTES], "big")
                        if record is None:
                            transaction.delete(at, db=database)
                        else:
                            transaction.put(at, record, db=database)
                            total += int.from_bytes(record[:CHECKSUM_BYTES], "big")
                written = Meta(FORMAT, step.operator, step.epoch, total % _MODULUS, step.remembered)
                transaction.put(b"meta", written.write(), db=self._databases[_META])
        except lmdb.Error as error:
            raise StoreWriteError(f"{self.folder} cannot be written: {error}") from error
        return self.epoch().tables()


def open_store(state_dir: Path, *, check: bool = True) -> VerifiedStore:
    """Open the store of a state folder; start an empty one where it cannot be relied on.

    Args:
        state_dir: The state folder.
        check: Whether to look at every record; not where another process writes the store.

    Raises:
        OSError: The folder cannot be written.
        lmdb.Error: As above.
    """
    folder = state_dir / NAME
    problem = ""
    try:
        store = VerifiedStore(folder)
        meta = store.meta() if check else None
        if meta is not None and meta.format != FORMAT:
            problem = f"is of format {meta.format}, this version writes {FORMAT}"
        elif meta is not None and not store.sound():
            problem = "is damaged: its checksums do not hold"
        if not problem:
            return store
        store.close()
    except lmdb.Error as error:
        if not check:
            raise
        problem = f"cannot be read: {error}"
    _LOG.warning("%s %s; it is filled again from the sources", folder, problem)
    return empty_store(state_dir)


def empty_store(state_dir: Path) -> VerifiedStore:
    """Return an empty store in place of the one that there is, which no process has open."""
    shutil.rmtree(state_dir / NAME)
    return VerifiedStore(state_dir / NAME)


def operator_digest(operator: OperatorTrust) -> str:
    """Return a digest of the configuration: tables of another one are computed again."""
    return hashlib.sha256(repr(operator).encode()).hexdigest()


_Changes = tuple[str, Iterable[tuple[bytes, bytes | None]]]


def _records(drafts: Drafts, views: Mapping[str, bytes | None]) -> Iterable[_Changes]:
    """Yield every table that changed, with its changed records."""
    for name in PAIRS:
        changes = getattr(drafts, name).changes
        yield name, _pair_records(name, changes)
    for name, codec in records.CODECS.items():
        yield (
            name,
            (
                (codec.key(key), None if value is GONE else codec.record(key, _plain(name, value)))
                for key, value in getattr(drafts, name).changes.items()
            ),
        )
    yield _VIEWS, ((name.encode(), _view(name, data)) for name, data in views.items())


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
    return None if data is None else records.checksum(_VIEWS, name.encode(), data) + data
