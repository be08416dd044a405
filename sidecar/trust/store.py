"""What is kept of one authority between refreshes and across restarts.

Below ``state/<authority>/``::

    last-good.json      the last *complete* set that verified and was understood: three metadata
                        files, two documents, and the root version under which they verified
    unaccepted.json     editions that verified and are not accepted; what they withdraw counts, too
    trust-domains.json  the last complete set of the delegated role, in the same way
    reserved-version    room for the version of a newest set that cannot be kept (full disk)
    seen.json           the pinned root, the newest root, and who may sign timestamp and snapshot
    metadata/           every root seen, and metadata that verified after the last complete set,
                        which a refresh that failed half-way left

No version may fall below what the last complete set and ``metadata/`` have. A new timestamp comes
before the snapshot that it names, so after half a refresh they do not fit together: the last
complete set is one file, replaced by one rename. All survive a crash: they are synced before
anything that rests on them is handed on.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TypeVar

from sidecar.durable.files import make_folders, sync_folder, write_atomically
from sidecar.trust.reserved_version import ReservedVersion

LOCK_SECONDS = 10.0
_ROLES = ("timestamp", "snapshot", "targets")


class StoreError(Exception):
    """The state folder cannot be used; the text states why."""


@dataclass(frozen=True, slots=True)
class GoodSet:
    """A complete verified set, as bytes.

    Attributes:
        root: Version of the root under which it verified; None in a set kept by a release that did
            not note it.
        timestamp: ``timestamp.json``.
        snapshot: ``snapshot.json``.
        targets: ``targets.json``.
        authority: ``authority.json``; None where the authority does not publish it.
        withdrawals: ``withdrawals.json``; None as above.
    """

    root: int | None
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    authority: bytes | None
    withdrawals: bytes | None


@dataclass(frozen=True, slots=True)
class DomainsSet:
    """A complete verified set of the delegated role, as bytes.

    Attributes:
        root: Version of the root under which it verified.
        timestamp: ``timestamp.json``, which bounds how long the rest may be withheld.
        snapshot: ``snapshot.json``.
        targets: ``targets.json``, with the delegation.
        role: Metadata of the delegated role.
        document: ``trust-domains.json``; None where the role lists none.
    """

    root: int | None
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    role: bytes
    document: bytes | None


@dataclass(frozen=True, slots=True)
class SeenRoots:
    """What was seen of an authority's roots.

    Attributes:
        pinned: Hex SHA-256 of the pinned root document.
        root: The newest root version that verified.
        online: ``roots.online_digest`` of that root.
    """

    pinned: str
    root: int
    online: str


S = TypeVar("S", GoodSet, DomainsSet)


class Store:
    """The folder of one authority. Several processes may share it; see ``locked``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.history = self.metadata / "root_history"
        self.reserved = ReservedVersion(folder / "reserved-version")
        self._good = folder / "last-good.json"
        self._unaccepted = folder / "unaccepted.json"
        self._domains = folder / "trust-domains.json"
        self._seen = folder / "seen.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, so that a gate and a command cannot interleave.

        Raises:
            StoreError: Another process holds it for too long, or it cannot be made.
        """
        try:
            make_folders(self.metadata, mode=0o700)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror}") from error
        try:
            self._acquire(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StoreError(f"{self.folder} is held by another process") from error
                time.sleep(0.02)
            else:
                return

    def seen(self) -> SeenRoots | None:
        """Return what was seen so far; None at first.

        Raises:
            StoreError: The file is damaged; it is the floor below which no root may fall, so it
                is not guessed.
        """
        value = self._read(self._seen)
        if value is None:
            return None
        match value:
            case {"pinned": str(pinned), "root": int(root), "online": str(online)}:
                return SeenRoots(pinned, root, online)
            case _:
                raise StoreError(f"{self._seen} is damaged")

    def remember(self, seen: SeenRoots) -> None:
        """Keep ``seen``, durably."""
        write_atomically(self._seen, json.dumps(asdict(seen)).encode(), mode=0o600)

    def good(self) -> GoodSet | None:
        """Return the last complete set; None at first.

        Raises:
            StoreError: The file is damaged.
        """
        return self._set(GoodSet, self._good)

    def keep(self, good: GoodSet) -> None:
        """Replace the last complete set, durably, if it differs."""
        self._keep(self._good, good)

    def unaccepted(self) -> tuple[GoodSet, ...]:
        """Return the editions that verified and are not accepted.

        Raises:
            StoreError: The file is damaged.
        """
        value = self._read(self._unaccepted)
        if value is None:
            return ()
        found = value.get("sets")
        if not isinstance(found, list):
            raise StoreError(f"{self._unaccepted} is damaged")
        return tuple(self._parsed(GoodSet, self._unaccepted, each) for each in found)

    def keep_unaccepted(self, found: Sequence[GoodSet]) -> None:
        """Replace the editions that are not accepted, durably."""
        if found:
            data = json.dumps({"sets": [_plain(each) for each in found]}).encode()
            write_atomically(self._unaccepted, data, mode=0o600)
        elif self._unaccepted.exists():
            self._unaccepted.unlink(missing_ok=True)
            sync_folder(self.folder)

    def domains(self) -> DomainsSet | None:
        """Return the last complete set of the delegated role; None at first.

        Raises:
            StoreError: The file is damaged.
        """
        return self._set(DomainsSet, self._domains)

    def keep_domains(self, domains: DomainsSet) -> None:
        """Replace the last complete set of the delegated role, durably, if it differs."""
        self._keep(self._domains, domains)

    def forget_domains(self) -> None:
        """Drop the set of the delegated role: the authority delegates no longer."""
        if self._domains.exists():
            self._domains.unlink(missing_ok=True)
            sync_folder(self.folder)

    def _set(self, kind: type[S], path: Path) -> S | None:
        value = self._read(path)
        return None if value is None else self._parsed(kind, path, value)

    def _parsed(self, kind: type[S], path: Path, value: object) -> S:
        try:
            if not isinstance(value, dict):
                raise TypeError
            root = value.get("root")
            if not (root is None or type(root) is int):
                raise TypeError
            names = [each.name for each in fields(kind) if each.name != "root"]
            return kind(root, *(_encoded(value[name]) for name in names))  # type: ignore[arg-type]
        except (KeyError, TypeError, UnicodeEncodeError) as error:
            raise StoreError(f"{path} is damaged") from error

    def _keep(self, path: Path, found: GoodSet | DomainsSet) -> None:
        data = json.dumps(_plain(found)).encode()
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        write_atomically(path, data, mode=0o600)

    def floor(self) -> dict[str, bytes]:
        """Return, by role, the metadata that verified after the last complete set."""
        found = {}
        for role, path in self._floor():
            with suppress(FileNotFoundError):
                found[role] = path.read_bytes()
        return found

    def keep_floor(self, metadata: Mapping[str, bytes]) -> None:
        """Keep metadata that verified in a refresh that failed, durably."""
        for role, path in self._floor():
            if role in metadata:
                write_atomically(path, metadata[role], mode=0o600)

    def forget_floor(self, roles: Iterable[str] = _ROLES) -> None:
        """Drop what ``keep_floor`` kept: a complete set has it, or its keys were replaced."""
        there = [path for role, path in self._floor() if role in roles and path.exists()]
        for path in there:
            path.unlink(missing_ok=True)
        if there:
            sync_folder(self.metadata)

    def _floor(self) -> tuple[tuple[str, Path], ...]:
        return tuple((role, self.metadata / f"{role}.json") for role in _ROLES)

    def root_file(self, version: int) -> Path:
        """Return where a root is kept."""
        return self.history / f"{version}.root.json"

    def keep_root(self, version: int, data: bytes) -> None:
        """Keep a root, durably, unless it is kept already."""
        path = self.root_file(version)
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        make_folders(self.history, mode=0o700)
        write_atomically(path, data, mode=0o600)

    def _read(self, path: Path) -> dict[str, object] | None:
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged") from error
        if not isinstance(value, dict):
            raise StoreError(f"{path} is damaged")
        return value


def _plain(found: GoodSet | DomainsSet) -> dict[str, object]:
    names = [each.name for each in fields(found) if each.name != "root"]
    return {"root": found.root} | {name: _decoded(getattr(found, name)) for name in names}


def _decoded(data: bytes | None) -> str | None:
    # Latin-1 decodes and encodes any bytes: metadata need not be text.
    return None if data is None else data.decode("latin-1")


def _encoded(text: object) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError
    return text.encode("latin-1")
