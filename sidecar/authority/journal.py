"""All or nothing: a change to an authority's home is written down first, then carried out.

Theory of operation. A change touches several files in an order that matters: readers must never
find a timestamp whose snapshot is not there yet. It is first written, whole, to ``journal.json``
(temporary file, fsync, rename). From that moment it *will* happen: the files are written one by
one in order, each atomically, then the journal is removed. Whoever opens the home next, after a
crash or a full disk, carries out a journal that is still there; doing so twice is harmless because
every file has its final content in it. A change that fails before the journal has not happened at
all. A lock keeps two commands apart.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.authority.errors import AuthorityError
from sidecar.durable.files import sync_folder, write_atomically

JOURNAL_FILE = "journal.json"
LOCK_FILE = ".lock"


@dataclass(frozen=True, slots=True)
class FileWrite:
    """A file to write: its path below the home, and its content."""

    path: str
    data: bytes


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home's lock, after carrying out whatever an interrupted command left.

    Raises:
        AuthorityError: The home cannot be locked or the journal not carried out.
    """
    try:
        descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AuthorityError(f"cannot lock {home}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _recover(home)
        yield
    finally:
        os.close(descriptor)


def commit(home: Path, writes: Sequence[FileWrite]) -> None:
    """Write ``writes`` in order, all or none. The lock must be held.

    Raises:
        AuthorityError: Nothing was changed; or the change is in the journal and the next command
            on this home completes it. The text says which.
    """
    journal = home / JOURNAL_FILE
    value = [[write.path, base64.b64encode(write.data).decode("ascii")] for write in writes]
    try:
        write_atomically(journal, json.dumps(value).encode("ascii"), mode=0o600)
    except OSError as error:
        raise AuthorityError(f"nothing was changed: {error.strerror} in {home}") from error
    _carry_out(home, writes)


def _recover(home: Path) -> None:
    journal = home / JOURNAL_FILE
    try:
        value = json.loads(journal.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise AuthorityError(f"{journal} cannot be read: {error}") from error
    _carry_out(home, [FileWrite(path, base64.b64decode(data)) for path, data in value])


def _carry_out(home: Path, writes: Sequence[FileWrite]) -> None:
    try:
        for write in writes:
            path = home / write.path
            path.parent.mkdir(parents=True, exist_ok=True)
            # What is published is for everyone; everything else in a home is its owner's alone.
            public = path.parent != home
            write_atomically(path, write.data, mode=0o644 if public else 0o600)
        (home / JOURNAL_FILE).unlink()
        sync_folder(home)
    except OSError as error:
        raise AuthorityError(
            f"the change was decided but is not fully published yet ({error.strerror}); "
            "the next command on this home completes it"
        ) from error
