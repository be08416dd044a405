"""Stores registrations in a folder: one signed file per object, replaced atomically.

    folder/lock           held while a registration is written
    folder/3f/3f9c….json  a signed registration, named by the digest of its object

A process that can write to the folder can remove registrations, and so cause denials; without the
key it can neither add nor change one. A file's modification time is its expiry, by which ``sweep``
finds expired files; validity is decided from the signed content alone.

Where unregistered inputs pass, an expired registration still states an object's owner: without it,
the object would pass for every environment. Such files are kept (``kept``).
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
from sidecar.registry.errors import RegistryError, RegistryResult, UnregisteredError
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
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SKEW = timedelta(seconds=30)
"""Largest difference between the clocks of gates that share a folder."""

FORGOTTEN_AFTER = timedelta(days=1)
"""How long an expired registration is kept, so that the log can name expiry as the cause."""

_LOOKED_AT_AGAIN = timedelta(days=30)
"""How long the sweeper does not read an expired registration again that it kept."""


@dataclass(frozen=True, slots=True)
class RegistrationStore:
    """Registrations below ``folder``, signed and verified with ``key``.

    Several gates may share both. Every method blocks on the file system.

    Attributes:
        folder: The folder.
        key: Signs and verifies.
        kept: Kinds of objects whose registrations are never removed, only expire.
    """

    folder: Path
    key: RegistryKey
    kept: frozenset[str] = frozenset()

    @classmethod
    def at(
        cls, folder: Path, key: RegistryKey, kept: frozenset[str] = frozenset()
    ) -> RegistrationStore:
        """Open the folder; create it if there is none.

        Raises:
            RegistryError: It cannot be used, or other users may write to it.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = folder.stat()
            if facts.st_mode & 0o022 or not stat.S_ISDIR(facts.st_mode):
                raise RegistryError(
                    f"registration folder {folder}: mode {stat.S_IMODE(facts.st_mode):04o}, so"
                    " other users may write to it; chmod 0700 it"
                )
            store = cls(folder, key, kept)
            with store._locked():
                pass
        except OSError as error:
            raise RegistryError(f"registration folder {folder}: {error.strerror}") from error
        return store

    def find(self, wanted: Key, environment: str, now: datetime) -> Registration:
        """Return the valid registration of an object for this environment.

        Raises:
            UnregisteredError: There is none.
        """
        found = self._read(wanted)
        if found.environment != environment:
            raise UnregisteredError(RegistryResult.FOREIGN, f"registered for {found.environment}")
        if not found.window.not_before - SKEW <= now:
            raise UnregisteredError(RegistryResult.INVALID, "registered in the future")
        if now >= found.window.not_after:
            raise UnregisteredError(RegistryResult.EXPIRED, "expired")
        return found

    def put(self, registration: Registration) -> Registration:
        """Write a registration durably (fsync).

        An object that is already registered for the same environment is merged: it gets the uses of
        both and the later expiry, so that a second registration removes no use.

        Returns:
            The registration that was written.

        Raises:
            UnregisteredError: It is registered for another environment, or the existing file does
                not verify; nothing was written.
            EvidenceError: It has too many uses.
            OSError: It cannot be written.
        """
        with self._locked():
            try:
                whole = _merged(self._read(registration.key), registration)
            except UnregisteredError as absent:
                if absent.result is not RegistryResult.MISSING:
                    raise
                whole = registration
            self._write(whole)
        return whole

    def sweep(self, now: datetime) -> int:
        """Remove files that expired more than ``FORGOTTEN_AFTER`` ago, and temporary files.

        Registrations of kinds in ``kept`` stay, and where there are any, unreadable ones too.

        Returns:
            The number of removed files.

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
                        if entry.stat(follow_symlinks=False).st_mtime >= bound:
                            continue
                        path = Path(entry.path)
                        if not (self.kept and path.suffix == _SUFFIX and self._keeps(path, now)):
                            path.unlink()
                            gone += 1
        return gone

    def _keeps(self, path: Path, now: datetime) -> bool:
        """Return whether an expired registration is still needed, to know whose an object is.

        Raises:
            FileNotFoundError: It is gone.
        """
        try:
            with os.fdopen(os.open(path, _READ), "rb") as file:
                found = verify_record(file.read(MAX_RECORD_BYTES + 1), (self.key.public,))
                if found.kind not in self.kept:
                    return False
                later = (now + _LOOKED_AT_AGAIN).timestamp()
                os.utime(file.fileno(), (later, later))
        except FileNotFoundError:
            raise
        except (OSError, EvidenceError):
            return True  # refused for everybody while it is there
        return True

    def _path(self, wanted: Key) -> Path:
        name = wanted.digest
        return self.folder / name[:2] / (name + _SUFFIX)

    def _read(self, wanted: Key) -> Registration:
        try:
            with os.fdopen(os.open(self._path(wanted), _READ), "rb") as file:
                data = file.read(MAX_RECORD_BYTES + 1)
            found = verify_record(data, (self.key.public,))
        except FileNotFoundError as error:
            raise UnregisteredError(RegistryResult.MISSING, "not registered") from error
        except (OSError, EvidenceError) as error:
            raise UnregisteredError(RegistryResult.INVALID, str(error)) from error
        if found.key != wanted:
            raise UnregisteredError(RegistryResult.INVALID, "a registration of another object")
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
        """Hold the folder's lock, which serializes ``put`` over the gates of one machine."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.folder / _LOCK, flags, 0o600), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _merged(before: Registration, fresh: Registration) -> Registration:
    if before.environment != fresh.environment:
        raise UnregisteredError(RegistryResult.FOREIGN, f"registered for {before.environment}")
    window = Window(
        min(before.window.not_before, fresh.window.not_before),
        max(before.window.not_after, fresh.window.not_after),
    )
    return replace(fresh, uses=united(before.uses, fresh.uses), window=window)
