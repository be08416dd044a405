"""Persists what the predicate must remember although its evidence may be lost (laws 6 and 7).

A journal in the state folder: one line for what each step adds, with a checksum, synced before the
state that rests on it is handed on. What is remembered only grows, so nothing is ever rewritten. A
last line without its end is what a crash left of a step that was never handed on; it is cut off.
Only a running gate writes; commands that run once read.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from sidecar.core import memory as core_memory
from sidecar.core.memory import MAX_MEMORY_BYTES, NOTHING, Memory, Remembered
from sidecar.core.memory_tables import merged
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import sync_folder, text_checksum
from sidecar.trust.config import TrustConfigError
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

NAME = "memory.jsonl"
_FORMER = "memory.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal holds from some position on.

    Attributes:
        memory: All of it together.
        size: Bytes of the whole journal, without a last line that has no end.
    """

    memory: Memory = NOTHING
    size: int = 0


def read(state_dir: Path, after: int = 0) -> Journal:
    """Read what is remembered; nothing at first.

    Args:
        state_dir: The state folder.
        after: Bytes that are known already and are not returned again.

    Raises:
        TrustConfigError: It cannot be read. It is not guessed: what it holds are denials.
    """
    path = state_dir / NAME
    data = _bytes(path)
    end = data.rfind(b"\n") + 1
    lines = data[after:end].splitlines()
    return Journal(merged(_line(path, line) for line in lines), end)


def size(state_dir: Path) -> int:
    """Return ``Journal.size`` without reading the lines.

    Raises:
        TrustConfigError: As ``read``.
    """
    return _bytes(state_dir / NAME).rfind(b"\n") + 1


def _bytes(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_MEMORY_BYTES)
    except FileNotFoundError:
        return b""
    except (OSError, NotRegularError, TooLargeError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from error


def former(state_dir: Path) -> Memory:
    """Read the file that earlier versions kept; nothing where there is none.

    Raises:
        TrustConfigError: As ``read``.
    """
    path = state_dir / _FORMER
    try:
        return core_memory.read(read_regular(path, MAX_MEMORY_BYTES))
    except FileNotFoundError:
        return NOTHING
    except (OSError, NotRegularError, TooLargeError, EvidenceError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from error


def append(state_dir: Path, size: int, added: Remembered) -> int:
    """Write what a step adds, durably; return the size of the journal with it.

    Args:
        state_dir: The state folder, which exists.
        size: Of the journal before; anything beyond it was never handed on.
        added: What is new, or replaces what was remembered under the same name.

    Raises:
        OSError: It cannot be written; the journal is as it was.
    """
    path, text = state_dir / NAME, added.write()
    line = text_checksum(text) + b" " + text + b"\n"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        os.ftruncate(descriptor, size)
        if os.pwrite(descriptor, line, size) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if size == 0:
        sync_folder(state_dir)
    return size + len(line)


def _line(path: Path, line: bytes) -> Memory:
    stamp, _, text = line.partition(b" ")
    if text_checksum(text) != stamp:
        raise _damaged(path, "a line is not what was written")
    try:
        return core_memory.read(text)
    except EvidenceError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> TrustConfigError:
    return TrustConfigError(
        f"{path}: is damaged: {why}; restore it from a backup, or remove it: what the store "
        "remembers is written again, and without a store the gate forgets which manifests were "
        "superseded, unless their evidence is still there"
    )
