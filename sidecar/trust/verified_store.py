"""Persists what is verified in one LMDB environment of the state folder.

Theory of operation. Each step of the trust state is one transaction: the changed records of every
table, the views from which they follow, and the epoch. LMDB is copy-on-write with two meta pages,
so that a crash leaves the last transaction that was committed (synced) or the one before.

``open_store`` relies on a store only if its format is this one and the sum over the checksums of
all its records is the one that was committed with them: a record that was lost, torn or flipped
changes the sum. Otherwise the store is removed, and filled again from the sources. What it holds is
a cache, except for what is remembered (``core.memory``), which has a file of its own: where that
could not be written (a full disk), the store is not removed.

Write access to the state folder is complete control of the gate, as with the metadata that TUF
keeps there; the checksums detect accidents, not attackers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import Any

import lmdb

from sidecar.core.grants import OperatorTrust
from sidecar.core.tables import PAIRS, Drafts, Tables
from sidecar.trust import operator_record, records, step_records
from sidecar.trust.evidence_folder import SeenFile
from sidecar.trust.lmdb_tables import Epoch, RecordCache
from sidecar.trust.records import CHECKSUM_BYTES, DamagedError

_LOG = logging.getLogger("sidecar.trust")

NAME = "verified.lmdb"
FORMAT = "2"
"""Raised with every change of a record, of a table, or of what a step computes."""
UNJOURNALED = -1
_MAP_BYTES = 1 << 38
"""Address space, not memory and not disk: the file grows as it is filled."""
_CACHED_RECORDS = 50_000
_LONGEST_PATH = 500
_META = "meta"
_OPERATOR, _MARKS, _IDENTITY = b"operator", b"marks", b"identity"
_VIEWS = step_records.VIEWS
_PATHS = "paths"
_SEEN = struct.Struct(">4qB32s")
_MODULUS = 1 << (8 * CHECKSUM_BYTES)


class StoreWriteError(Exception):
    """A step could not be committed; the text is one line. The store is as it was before."""


class NeededStoreError(Exception):
    """A store that cannot be relied on remembers what nothing else does; the text names both."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The header of the whole store, as one transaction wrote it.

    A later format only adds fields at its end: which store may be removed is read of any.

    Attributes:
        format: ``FORMAT`` as it was written.
        operator: Digest of the operator's configuration that the tables follow from.
        epoch: Of the last step.
        total: Sum of the checksums of all records.
        remembered: Bytes of the memory's journal that the tables include; ``UNJOURNALED`` where
            they include more than it, since it could not be written.
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
        if len(parts) < len(fields(cls)):
            return None
        return cls(parts[0], parts[1], *map(int, parts[2 : len(fields(cls))]))


Marks = Mapping[str, tuple[int, bool]]


@dataclass(frozen=True, slots=True)
class CommittedStep:
    """What one transaction writes.

    Attributes:
        drafts: The changes of the tables.
        views: Key of ``view_records`` → bytes, where they changed; ``None`` where they are gone.
        operator: The configuration that the step follows from.
        marks: Authority → of which step its view is, and whether it was heard since the start.
        epoch: Of the step.
        remembered: As ``Meta.remembered``.
    """

    drafts: Drafts
    views: Mapping[str, bytes | None]
    operator: OperatorTrust
    marks: Marks
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

    def forget_readers(self) -> None:
        """Free the epochs of readers that ended without closing the environment."""
        self._environment.reader_check()

    def epoch(self) -> Epoch:
        """Return the newest epoch."""
        return Epoch(self._environment, self._databases, self._cache)

    def meta(self) -> Meta | None:
        """Return the store's header as last committed; ``None`` where there is none."""
        return meta_of(self.epoch())

    def identity(self) -> int:
        """Return a number of this store alone; 0 before its first step."""
        return int.from_bytes(note(self.epoch(), _IDENTITY), "big")

    def views(self) -> dict[str, bytes]:
        """Return the views of the last step, as they were committed."""
        with self._environment.begin() as transaction:
            found = transaction.cursor(db=self._databases[_VIEWS])
            return {name.decode(): record[CHECKSUM_BYTES:] for name, record in found}

    def marks(self) -> dict[str, tuple[int, bool]]:
        """Return the marks of the last step; none where an earlier version wrote it."""
        return marks_of(self.epoch())

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

    def problem(self) -> str:
        """Return why it cannot be relied on; empty if it can, as one without any record can."""
        epoch = self.epoch()
        meta = meta_of(epoch)
        if meta is None:
            unused = all(epoch.empty(name) for name in self._databases if name != _PATHS)
            return "" if unused else "is damaged: its header cannot be read"
        if meta.format != FORMAT:
            return f"is of format {meta.format}, this version writes {FORMAT}"
        return "" if self._sound(meta) else "is damaged: its checksums do not hold"

    def _sound(self, meta: Meta) -> bool:
        """Return whether every record is as it was committed, by one pass over all of them."""
        total = 0
        try:
            with self._environment.begin() as transaction:
                for name, database in self._databases.items():
                    if name not in (_META, _PATHS):
                        total += records.total(name, transaction.cursor(db=database))
        except (lmdb.Error, DamagedError):
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
                total += self._put(transaction, step)
                operator = operator_digest(step.operator)
                written = Meta(FORMAT, operator, step.epoch, total % _MODULUS, step.remembered)
                database = self._databases[_META]
                transaction.put(b"meta", written.write(), db=database)
                changed = meta is None or meta.operator != operator
                if changed or transaction.get(_OPERATOR, db=database) is None:
                    configuration = operator_record.write(step.operator)
                    transaction.put(_OPERATOR, _noted(_OPERATOR, configuration), db=database)
                marks = json.dumps(step.marks).encode()
                transaction.put(_MARKS, _noted(_MARKS, marks), db=database)
                new = _noted(_IDENTITY, os.urandom(8))
                transaction.put(_IDENTITY, new, overwrite=False, db=database)
        except lmdb.Error as error:
            raise StoreWriteError(f"{self.folder} cannot be written: {error}") from error
        return self.epoch().tables()

    def _put(self, transaction: lmdb.Transaction, step: CommittedStep) -> int:
        """Write every changed record; return by how much the sum of the checksums grows."""
        total = 0
        for name, changed in step_records.changed(step.drafts, step.views):
            found = [*changed]
            if name == records.SIGNERS.name:
                self._hold(step.drafts.evidence.changes.values(), found)
            # In the order of the keys: neighbours share the pages that are written.
            ordered = sorted(found, key=itemgetter(0))
            cursor = transaction.cursor(db=self._databases[name])
            before = cursor.getmulti([at for at, _ in ordered])
            written = [(at, record) for at, record in ordered if record is not None]
            cursor.putmulti(written)
            for at, record in ordered:
                if record is None:
                    transaction.delete(at, db=self._databases[name])
            total += _stamps(written) - _stamps(before)
        return total

    def _hold(self, evidence: Iterable[Any], written: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Keep evidence at hand that is written: more about the same thing often comes next."""
        for value, (at, record) in zip(evidence, written, strict=True):
            if record is not None:
                self._cache.put(records.SIGNERS.name, at, record[:CHECKSUM_BYTES], value)


def _stamps(found: Sequence[tuple[Any, bytes | memoryview]]) -> int:
    """Return the sum of the checksums of records."""
    stamps = b"".join([record[:CHECKSUM_BYTES] for _, record in found])
    return sum(struct.unpack(f">{len(found)}Q", stamps))


def meta_of(epoch: Epoch) -> Meta | None:
    """Return the store's header as of one epoch; ``None`` where there is none."""
    record = epoch.get(_META, b"meta")
    return None if record is None else Meta.read(record)


def marks_of(epoch: Epoch) -> dict[str, tuple[int, bool]]:
    """Return the marks of an epoch; none where an earlier version wrote it."""
    found = note(epoch, _MARKS)
    return {name: (step, heard) for name, (step, heard) in json.loads(found or b"{}").items()}


def operator_of(epoch: Epoch) -> OperatorTrust:
    """Return the configuration that an epoch follows from.

    Raises:
        DamagedError: It is missing, damaged, or not the one that the tables follow from.
    """
    meta = meta_of(epoch)
    try:
        found = operator_record.read(note(epoch, _OPERATOR))
    except ValueError as error:
        raise DamagedError("the operator's configuration cannot be read") from error
    if meta is None or meta.operator != operator_digest(found):
        raise DamagedError("the operator's configuration is not that of the tables")
    return found


def view_bodies(epoch: Epoch, keys: Iterable[str]) -> dict[str, bytes]:
    """Return the records of views that an epoch has, by key.

    Raises:
        DamagedError: One is not what was written.
    """
    found = {}
    for key in keys:
        record = epoch.get(_VIEWS, key.encode())
        if record is not None:
            body = record[CHECKSUM_BYTES:]
            if records.checksum(_VIEWS, key.encode(), body) != record[:CHECKSUM_BYTES]:
                raise DamagedError(f"the view {key} is not what was written")
            found[key] = body
    return found


def note(epoch: Epoch, name: bytes) -> bytes:
    """Return what is noted of the whole store under a name; empty where nothing is, or damaged."""
    record = epoch.get(_META, name) or b""
    body = record[CHECKSUM_BYTES:]
    return body if records.checksum(_META, name, body) == record[:CHECKSUM_BYTES] else b""


def _noted(name: bytes, body: bytes) -> bytes:
    return records.checksum(_META, name, body) + body


def open_store(
    state_dir: Path, *, check: bool = True, needed: Callable[[Meta], bool] = lambda _: False
) -> VerifiedStore:
    """Open the store of a state folder; start an empty one where it cannot be relied on.

    Args:
        state_dir: The state folder.
        check: Whether to look at every record; not where another process writes the store.
        needed: Whether a store with this header remembers what the journal does not.

    Raises:
        OSError: The folder cannot be written.
        lmdb.Error: As above.
        NeededStoreError: It cannot be relied on, and is needed.
    """
    folder, meta = state_dir / NAME, None
    try:
        store = VerifiedStore(folder)
        problem = store.problem() if check else ""
        if not problem:
            return store
        meta = store.meta()
        store.close()
    except lmdb.Error as error:
        if not check:
            raise
        problem = f"cannot be read: {error}"
    if meta is not None and needed(meta):
        raise NeededStoreError(f"{folder} {problem}")
    _LOG.warning("%s %s; it is filled again from the sources", folder, problem)
    return empty_store(state_dir)


def empty_store(state_dir: Path) -> VerifiedStore:
    """Return an empty store in place of the one that there is, which no process has open."""
    shutil.rmtree(state_dir / NAME)
    return VerifiedStore(state_dir / NAME)


def operator_digest(operator: OperatorTrust) -> str:
    """Return a digest of the configuration: tables of another one are computed again."""
    return hashlib.sha256(operator_record.write(operator)).hexdigest()
