"""Writes files durably: a reader finds the old bytes or the new ones, also after a power failure.

Every function that writes syncs the file's bytes before its name appears, and the folder afterwards
(fsync(2): syncing a file does not sync the folder entry that names it).
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

CHECKSUM_CHARACTERS = 32


def text_checksum(text: bytes) -> bytes:
    """Return the BLAKE2b-128 checksum of a record of text, in hexadecimal.

    It finds what was torn or flipped, not what somebody forged.
    """
    return hashlib.blake2b(text, digest_size=CHECKSUM_CHARACTERS // 2).hexdigest().encode()


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a small file.

    Raises:
        OSError: It cannot be read, or has more than ``max_bytes`` (``EFBIG``); ``strerror`` states
            which.
    """
    with path.open("rb") as file:
        return read_from(file, max_bytes)


def read_from(file: IO[bytes], max_bytes: int) -> bytes:
    """Return the bytes of a small file that is open; as ``read_bounded``."""
    data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(file.name))
    return data


def write_private(path: Path, data: bytes) -> None:
    """Create a file of mode 0600 that must not exist yet.

    Raises:
        FileExistsError: ``path`` exists, as a file, a folder or a link.
        OSError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def write_atomically(path: Path, data: bytes, *, mode: int, served: bool = False) -> None:
    """Replace the content of ``path`` in one rename.

    Args:
        path: In a folder that exists.
        data: The new content.
        mode: Permission bits of the new file, before the umask.
        served: A web server may serve it, with a validator made of its size and the second of its
            change: then the new file is of a later second than the old one, if need be of a
            coming one. Else a cache would take the new content for the old.

    Raises:
        OSError: It cannot be written; the old content is still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        if served:
            _date_later(file.fileno(), path)
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def _date_later(descriptor: int, path: Path) -> None:
    """Date a file that is about to replace another in a later second than that."""
    with suppress(FileNotFoundError):
        least = int(path.stat().st_mtime) + 1
        if os.fstat(descriptor).st_mtime < least:
            os.utime(descriptor, (least, least))


def overwrite(path: Path, data: bytes, at: int = 0, *, sync: bool = True) -> None:
    """Overwrite bytes of a file in place, which takes no room; a crash may leave half of them.

    Args:
        path: The file.
        data: The new bytes.
        at: Where they begin.
        sync: Whether they survive a power failure from now on.

    Raises:
        OSError: It cannot be written, or is shorter.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        within = os.fstat(descriptor).st_size >= at + len(data)
        if not within or os.pwrite(descriptor, data, at) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that files created or renamed in it survive a power failure."""
    _sync(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


def make_folders(folder: Path, *, mode: int) -> None:
    """Make a folder and those above it, where they are missing; each survives a power failure.

    Raises:
        OSError: One cannot be made.
    """
    if not folder.is_dir():
        make_folders(folder.parent, mode=mode)
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def place_new(folder: Path, stem: str, suffix: str, data: bytes) -> Path:
    """Write ``folder/stem+suffix`` for others to read, never over another file's content.

    Where the name is taken, ``stem-2``, ``stem-3`` and so on are tried. A file that has the content
    already is left as it is.

    Returns:
        The file that has the content.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists() and path.read_bytes() != data:
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    if not path.exists():
        write_atomically(path, data, mode=0o644)
    return path
