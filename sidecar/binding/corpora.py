"""Reads corpora of any size in one pass: digest, counts, and the lines that are irregular.

Theory of operation. A provider returns no hash of a training file, so the file itself is hashed.
Lines are hashed and parsed as they are read; memory holds one line of at most ``MAX_LINE_BYTES``.
What is irregular is *refused* before a job is submitted (``require_regular``), and only *counted*
once a job has succeeded with it: the provider's own reader took the file, and a model that exists
must be bindable.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import jiter

from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.record_formats import RecordCheck
from sidecar.core import strict_json
from sidecar.core.predicates import Corpus
from sidecar.core.wire import DigestSet

MAX_LINE_BYTES = 16 << 20
MAX_SHOWN = 20
"""Irregular lines that are named; more are only counted."""

_BUFFER = 1 << 20
_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class IrregularLine:
    """A line that is no record: its number, from 1 on, and the problem."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class CorpusReading:
    """A corpus, and the first of its irregular lines (``corpus.irregular`` counts all)."""

    corpus: Corpus
    irregular: tuple[IrregularLine, ...]


def read_corpus(
    path: Path,
    *,
    role: str,
    name: str,
    classes: tuple[str, ...] = (),
    progress: Progress | None = None,
    check: RecordCheck | None = None,
) -> CorpusReading:
    """Hash a JSONL file and parse every line: one JSON object each.

    Args:
        path: The file, as it was or will be uploaded.
        role: ``training`` or ``validation``.
        name: Its name in the manifest.
        classes: Data classes of its content, e.g. ``personal-data``.
        progress: Called with numbers of bytes as they are read.
        check: Checks each record, such as those of ``record_formats``.

    Raises:
        BindingError: It cannot be read, has no records, or changed while it was read.
    """
    scan = _Scan(check, progress)
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            before = os.fstat(file.fileno())
            scan.read(file)
            after = path.stat()
    except OSError as error:
        raise BindingError(f"{path}: {error.strerror}") from error
    if _state(before) != _state(after) or after.st_size != scan.size:
        raise BindingError(f"{path}: changed while it was read; run this again when it is complete")
    if not scan.records:
        first = f"; {_shown(scan.irregular[0])}" if scan.irregular else ""
        raise BindingError(f"{path}: has no records; expected one JSON object per line{first}")
    digest = DigestSet(scan.digest.hexdigest())
    corpus = Corpus(role, name, digest, scan.size, scan.records, classes, scan.count or None)
    return CorpusReading(corpus, tuple(scan.irregular))


def require_regular(path: Path | str, reading: CorpusReading) -> Corpus:
    """Return the corpus, if none of its lines is irregular.

    Raises:
        BindingError: Lines are irregular; names the first of them by number.
    """
    if reading.irregular:
        raise BindingError(f"{path}: {described(reading)}; mend them, nothing was submitted")
    return reading.corpus


def described(reading: CorpusReading) -> str:
    """Return the irregular lines of a corpus as one text, for people."""
    count = reading.corpus.irregular or 0
    shown = "; ".join(_shown(line) for line in reading.irregular)
    rest = count - len(reading.irregular)
    return shown + (f"; and {rest} more irregular lines" if rest else "")


class _Scan:
    """Hashes a file and parses its lines, in one pass."""

    def __init__(self, check: RecordCheck | None, progress: Progress | None) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.records = 0
        self.count = 0
        self.irregular: list[IrregularLine] = []
        self._check = check
        self._progress = progress

    def read(self, file: BinaryIO) -> None:
        # Local names: this loop runs for every line of files that have gigabytes.
        update, parse, limit = self.digest.update, jiter.from_json, MAX_LINE_BYTES + 1
        check, progress = self._check, self._progress
        number, size, reported = 0, 0, 0
        while line := file.readline(limit):
            number += 1
            size += len(line)
            update(line)
            if len(line) == limit and not line.endswith(b"\n"):
                size += self._skip(file)
                self._add(number, f"longer than {MAX_LINE_BYTES} bytes")
            else:
                try:
                    value = parse(
                        line, cache_mode="keys", catch_duplicate_keys=True, allow_inf_nan=False
                    )
                except ValueError as error:
                    self._add(number, _problem(line, number, error))
                else:
                    problem = (
                        "not a JSON object"
                        if type(value) is not dict
                        else None
                        if check is None
                        else check(value)
                    )
                    if problem is None:
                        self.records += 1
                    else:
                        self._add(number, problem)
            if progress is not None and size - reported >= _STEP:
                progress(size - reported)
                reported = size
        if progress is not None and size > reported:
            progress(size - reported)
        self.size = size

    def _skip(self, file: BinaryIO) -> int:
        """Hash the rest of a line without keeping it; return its length."""
        length = 0
        while part := file.readline(_BUFFER):
            self.digest.update(part)
            length += len(part)
            if part.endswith(b"\n"):
                break
        return length

    def _add(self, number: int, problem: str) -> None:
        self.count += 1
        if len(self.irregular) < MAX_SHOWN:
            self.irregular.append(IrregularLine(number, problem))


def _problem(line: bytes, number: int, error: ValueError) -> str:
    """Return what is wrong with a line, in the terms of the strict parser where it agrees."""
    if not line.strip():
        return "empty"
    if number == 1 and line.startswith(b"\xef\xbb\xbf"):
        return "begins with a byte-order mark"
    try:
        strict_json.loads(line.rstrip(b"\r\n"), max_bytes=MAX_LINE_BYTES)
    except strict_json.StrictJsonError as strict:
        return str(strict)
    return f"not JSON: {error}"


def _shown(line: IrregularLine) -> str:
    return f"line {line.number}: {line.problem}"


def _state(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return what changes when a file is written to, or replaced by another."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
