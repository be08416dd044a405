"""Records what an authority signed: one private copy of each statement, by subject matter.

``HOME/signed/<kind>/<matter>/<digest>.dsse.json``. The record answers two questions that files of
evidence cannot answer, since they are lost, or were made by a thief of the key: what else did this
authority state on the same matter, and did this authority really sign this?
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import FileWrite
from sidecar.authority.matters import matter
from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.kinds import kind_of
from sidecar.core.predicates import Predicate
from sidecar.core.reasons import EvidenceError

FOLDER = "signed"
SUFFIX = ".dsse.json"


@dataclass(frozen=True, slots=True)
class RecordedStatement:
    """A statement of the record, and the hex SHA-256 of its payload."""

    digest: str
    statement: Statement[Predicate]


def write(statement: Statement[Predicate], digest: str, envelope: bytes) -> FileWrite:
    """Return the write that records a signed statement."""
    return FileWrite(f"{_folder(statement, digest)}/{digest}{SUFFIX}", envelope)


def on_matter(
    home: Path, statement: Statement[Predicate], digest: str
) -> tuple[RecordedStatement, ...]:
    """Return what is recorded on the matter of a statement, by digest, without itself.

    Raises:
        AuthorityError: A record cannot be read.
    """
    if matter(statement) is None:
        return ()
    files = sorted((home / _folder(statement, digest)).glob(f"*{SUFFIX}"))
    return tuple(found for path in files if (found := read(path)).digest != digest)


def find(home: Path, digest: str) -> RecordedStatement | None:
    """Return the recorded statement with this digest, or ``None``.

    Raises:
        AuthorityError: The record cannot be read.
    """
    for path in (home / FOLDER).glob(f"*/*/{digest}{SUFFIX}"):
        return read(path)
    return None


def of_kind(home: Path, noun: str) -> Iterator[RecordedStatement]:
    """Yield every recorded statement of a kind.

    Args:
        home: The home's folder.
        noun: Of the kind, e.g. ``manifest``.

    Raises:
        AuthorityError: A record cannot be read.
    """
    for path in paths_of_kind(home, noun):
        yield read(path)


def paths_of_kind(home: Path, noun: str) -> list[Path]:
    """Return the files of the recorded statements of a kind; none ever changes."""
    return sorted((home / FOLDER).glob(f"{noun}/*/*{SUFFIX}"))


def envelope(home: Path, digest: str) -> bytes:
    """Return the bytes of a recorded envelope.

    Raises:
        AuthorityError: There is none with this digest.
    """
    for path in (home / FOLDER).glob(f"*/*/{digest}{SUFFIX}"):
        return path.read_bytes()
    raise AuthorityError(f"{home} has no record of {digest}")


def read(path: Path) -> RecordedStatement:
    """Read one record.

    Raises:
        AuthorityError: It cannot be read.
    """
    try:
        envelope = dsse.parse(path.read_bytes())
        return RecordedStatement(envelope.digest, parse_statement(envelope.payload))
    except OSError as error:
        raise AuthorityError(f"record {path}: {error.strerror}") from error
    except EvidenceError as error:
        raise AuthorityError(f"record {path}: {error}; restore it from a backup") from error


def _folder(statement: Statement[Predicate], digest: str) -> str:
    found = matter(statement)
    kind = kind_of(statement.predicate).noun
    about = digest if found is None else hashlib.sha256(json.dumps(found).encode()).hexdigest()
    return f"{FOLDER}/{kind}/{about[:16]}"
