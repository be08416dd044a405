"""Commits several files to an authority's home in one step, all or none.

Theory of operation. A change touches several files in an order that matters: a reader must never
find a timestamp whose snapshot is not there yet, nor a withdrawal whose replacement was not handed
out. The change is first written, whole, to ``journal.json`` (temporary file, fsync, rename). From
then on it *will* happen: evidence is placed in the folder it is handed out from, then the files of
the home are written one by one in order, each atomically, and the journal is removed. The next
command on the home carries out a journal that it finds, after a crash or a full disk; carrying it
out twice is harmless, because every file has its final content in it. A change that fails before
the journal has not happened at all. A lock keeps two commands apart.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.authority.errors import AuthorityError
from sidecar.durable import locks
from sidecar.durable.files import place_new, sync_folder, write_atomically

JOURNAL_FILE = "journal.json"
LOCK_FILE = ".lock"
PUBLISHED = "repository/"
"""Folder whose files others may read; all other files of a home are private to its owner."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileWrite:
    """A file to write: its path below the home, and its content."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """Evidence to hand out: ``folder/stem.dsse.json``, numbered where that name is taken.

    ``folder`` is outside of the home; files in it are never overwritten.
    """

    folder: Path
    stem: str
    suffix: str
    data: bytes

    def place(self) -> Path:
        """Write the file and return its path; the same content twice is one file.

        Raises:
            OSError: The folder cannot be written.
        """
        return place_new(self.folder, self.stem, self.suffix, self.data)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home's lock, after carrying out a journal that an interrupted command left.

    Raises:
        AuthorityError: The home cannot be locked or the journal not carried out.
    """
    try:
        descriptor = locks.wait_for(home / LOCK_FILE)
    except OSError as error:
        raise AuthorityError(f"cannot lock {home}: {error.strerror}") from error
    try:
        _recover(home)
        yield
    finally:
        os.close(descriptor)


def commit(
    home: Path, writes: Sequence[FileWrite], placement: Placement | None = None
) -> Path | None:
    """Place evidence and write ``writes`` in order, all or none. The lock must be held.

    Args:
        home: The home folder.
        writes: Files of the home.
        placement: Evidence that is handed out before any of ``writes``.

    Returns:
        Where ``placement`` is.

    Raises:
        AuthorityError: Nothing was changed; or the change is in the journal and the next command
            on this home completes it. The text states which.
    """
    journal = home / JOURNAL_FILE
    value = {
        "writes": [[write.path, _text(write.data)] for write in writes],
        "placement": None if placement is None else _plain(placement),
    }
    if placement is not None:
        _check_writable(placement)
    try:
        write_atomically(journal, json.dumps(value).encode("ascii"), mode=0o600)
    except OSError as error:
        raise AuthorityError(f"nothing was changed: {error.strerror} in {home}") from error
    placed = None
    if placement is not None:
        try:
            placed = placement.place()
        except OSError as error:
            raise _undone(error) from error
    _carry_out(home, writes)
    return placed


def _check_writable(placement: Placement) -> None:
    """Refuse a folder that cannot be written before anything is decided."""
    folder = placement.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuthorityError(
            f"nothing was changed: cannot create {folder}: {error.strerror}"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AuthorityError(f"nothing was changed: cannot write to {folder}: Permission denied")


def _recover(home: Path) -> None:
    journal = home / JOURNAL_FILE
    try:
        value = json.loads(journal.read_bytes())
        writes = [FileWrite(path, base64.b64decode(data)) for path, data in value["writes"]]
        placement = _placement(value["placement"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuthorityError(
            f"{journal} cannot be read: {error}; restore the home from a backup"
        ) from error
    if placement is not None:
        try:
            placement.place()
        except OSError as error:
            # A withdrawal must not wait for a medium that was taken away; the record has a copy.
            _log.warning(
                "%s could not be written to %s (%s); a copy is below %s/signed",
                placement.stem,
                placement.folder,
                error.strerror,
                home,
            )
    _carry_out(home, writes)


def _carry_out(home: Path, writes: Sequence[FileWrite]) -> None:
    try:
        for write in writes:
            path, public = home / write.path, write.path.startswith(PUBLISHED)
            _make_folder(home, path.parent, 0o755 if public else 0o700)
            write_atomically(path, write.data, mode=0o644 if public else 0o600, served=public)
        (home / JOURNAL_FILE).unlink()
        sync_folder(home)
    except OSError as error:
        raise _undone(error) from error


def _make_folder(home: Path, folder: Path, mode: int) -> None:
    """Create a folder below the home, and its parents, all of one mode."""
    below = folder.relative_to(home)
    for part in reversed([below, *below.parents]):
        (home / part).mkdir(mode=mode, exist_ok=True)


def _undone(error: OSError) -> AuthorityError:
    return AuthorityError(
        f"the change was decided but is not fully published yet ({error.strerror}); "
        "the next command on this home completes it"
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _plain(placement: Placement) -> list[str]:
    # Absolute: the next command may be called from elsewhere.
    folder = str(placement.folder.absolute())
    return [folder, placement.stem, placement.suffix, _text(placement.data)]


def _placement(value: list[str] | None) -> Placement | None:
    if value is None:
        return None
    folder, stem, suffix, data = value
    return Placement(Path(folder), stem, suffix, base64.b64decode(data))
