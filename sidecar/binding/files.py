"""Reads the small files of a run: hashes documents, and reads metrics from CSV."""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import hashlib
import io
import math
from pathlib import Path

from sidecar.binding.errors import BindingError
from sidecar.core.predicates import Document, EvaluationOutput
from sidecar.core.wire import DigestSet

MAX_METRICS_BYTES = 64 << 20


def document(path: Path, *, kind: str) -> Document:
    """Hash a document that is bound with the run, e.g. its technical documentation.

    Raises:
        BindingError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BindingError(f"{path}: {error.strerror}") from error
    return Document(kind, path.name, DigestSet(digest))


def run_output(path: Path, *, name: str) -> EvaluationOutput:
    """Hash a metrics file (CSV with a header line) and take the last value of each column.

    Columns such as ``valid_loss`` have a value only every few steps, so the last *line* would often
    lack them. A ``step`` column is read as a metric too. Some providers return the file in base64;
    the digest is of the bytes as returned.

    Raises:
        BindingError: It cannot be read, or is not such a file; with the line's number.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BindingError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_METRICS_BYTES:
        raise BindingError(f"{path}: larger than {MAX_METRICS_BYTES} bytes")
    metrics = _last_values(path, _csv_text(path, data))
    if not metrics:
        raise BindingError(f"{path}: has no metrics; expected CSV with a header line")
    return EvaluationOutput(name, DigestSet(hashlib.sha256(data).hexdigest()), metrics)


def _csv_text(path: Path, data: bytes) -> str:
    if b"," not in data:
        # Bytes that are not base64 may be a CSV of one column, which the parser checks.
        with contextlib.suppress(binascii.Error):
            data = base64.b64decode(data.strip(), validate=True)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BindingError(f"{path}: not UTF-8") from error


def _last_values(path: Path, text: str) -> dict[str, float]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    metrics: dict[str, float] = {}
    try:
        for row in reader:
            for column, cell in row.items():
                if column is None or cell is None:
                    raise BindingError(
                        f"{path}: line {reader.line_num}: not as many cells as the header line"
                    )
                if cell.strip():
                    metrics[column] = _number(path, reader.line_num, cell)
    except csv.Error as error:
        raise BindingError(f"{path}: line {reader.line_num}: {error}") from error
    return metrics


def _number(path: Path, line: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BindingError(f"{path}: line {line}: {cell!r} is not a number")
    return value
