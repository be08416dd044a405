"""The folder of registrations: one file for each object, written whole, believed only when signed.

    folder/lock           held while a registration is written
    folder/3f/3f9c….json  a signed registration, named by the digest of its object

Whoever can write to the folder can take registrations away, and so deny; nobody without the key can
add or change one. Files carry their expiry as modification time, which tells the sweeper which to
look at; whether a registration counts is read from what was signed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.durable.files import sync_folder
from sidecar.registry.errors import RegistryError, Result, UnregisteredError
from sidecar.registry.keys import RegistryKey
from sidecar.registry.record import (
    MAX_RECORD_BYTES,
    Key,
    Registration,
    sign_record,
    united,
    verify_record,
)

_LOCK = "lock"
_SUFFIX = ".json"
_NEW = ".new"
SKEW = timedelta(seconds=30)
"""By how much the clocks of gates that share a folder may differ."""

FORGOTTEN_AFTER = timedelta(days=1)
"""How long an expired registration is kept, so that a refusal can still say that it expired."""


@dataclass(frozen=True, slots=True)
class Store:
    """Registrations below ``folder``, signed and verified with ``key``.

    Several gates may share both. Every method blocks on the file system.
    """

    folder: Path
    key: RegistryKey

    @classmethod
    def at(cls, folder: Path, key: RegistryKey) -> Store:
        """Open the folder; it is made where there is none.

        Raises:
            RegistryError: It cannot be used, or others may write to it.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = folder.stat()
            if facts.st_mode & 0o022 or not stat.S_ISDIR(facts.st_mode):
                raise RegistryError(f"registration folder {folder}: others may write to it")
            store = cls(folder, key)
            with store._locked():
                pass
        except OSError as error:
            raise RegistryError(f"registration folder {folder}: {error.strerror}") from error
        return store

    def find(self, wanted: Key, environment: str, now: datetime) -> Registration:
        """The registration of an object that counts for this environment now.

        Raises:
            UnregisteredError: There is none.
        """
        found = self._read(wanted)
        if found.environment != environment:
            raise UnregisteredError(Result.FOREIGN, f"registered for {found.environment}")
        if not found.window.not_before - SKEW <= now:
            raise UnregisteredError(Result.INVALID, "registered in the future")
        if now >= found.window.not_after:
            raise UnregisteredError(Result.EXPIRED, "expired")
        return found

    def put(self, registration: Registration) -> Registration:
        """Write a registration and make it durable.

        An object that is registered already, for the same environment, has the uses of both then
        and the later expiry: an answer that names it twice takes nothing away from it.

        Returns:
            What was written.

        Raises:
            UnregisteredError: It is registered for another environment, or what is there cannot be
                believed; nothing was written.
            EvidenceError: It has too many uses.
            OSError: It cannot be written.
        """
        with self._locked():
            try:
                whole = _merged(self._read(registration.key), registration)
            except UnregisteredError as absent:
                if absent.result is not Result.MISSING:
                    raise
                whole = registration
            self._write(whole)
        return whole

    def sweep(self, now: datetime) -> int:
        """Remove what expired a while ago, and what a crash left half written.

        Returns:
            How many files.

        Raises:
            OSError: The folder cannot be read.
        """
        bound, gone = (now - FORGOTTEN_AFTER).timestamp(), 0
        for shard in self.folder.iterdir():
            if len(shard.name) != 2 or not shard.is_dir():
                continue
            with os.scandir(shard) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # another gate swept it
                        if entry.stat(follow_symlinks=False).st_mtime < bound:
                            Path(entry.path).unlink()
                            gone += 1
        return gone

    def _path(self, wanted: Key) -> Path:
        name = wanted.digest
        return self.folder / name[:2] / (name + _SUFFIX)

    def _read(self, wanted: Key) -> Registration:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(self._path(wanted), flags), "rb") as file:
                data = file.read(MAX_RECORD_BYTES + 1)
            found = verify_record(data, (self.key.public,))
        except FileNotFoundError as error:
            raise UnregisteredError(Result.MISSING, "not registered") from error
        except (OSError, EvidenceError) as error:
            raise UnregisteredError(Result.INVALID, str(error)) from error
        if found.key != wanted:
            raise UnregisteredError(Result.INVALID, "a registration of another object")
        return found

    def _write(self, registration: Registration) -> None:
        path = self._path(registration.key)
        data = sign_record(registration, self.key.sign)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.folder)
        beside = path.with_name(f"{secrets.token_hex(16)}{_NEW}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                ends = registration.window.not_after.timestamp()
                os.utime(file.fileno(), (ends, ends))
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_folder(path.parent)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Reading, uniting and writing are one step, for threads and for gates of one machine."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.folder / _LOCK, flags, 0o600), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _merged(before: Registration, fresh: Registration) -> Registration:
    if before.environment != fresh.environment:
        raise UnregisteredError(Result.FOREIGN, f"registered for {before.environment}")
    window = Window(
        min(before.window.not_before, fresh.window.not_before),
        max(before.window.not_after, fresh.window.not_after),
    )
    return replace(fresh, uses=united(before.uses, fresh.uses), window=window)
