"""Reads folders of evidence as stated, for commands that show what something matches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sidecar.authority import records
from sidecar.authority.matching import StatedEvidence
from sidecar.authority.open_home import Home
from sidecar.cli import common
from sidecar.cli.common import CliError
from sidecar.core import dsse
from sidecar.core.evidence import parse_statement
from sidecar.core.reasons import EvidenceError


def stated(home: Home, folders: Iterable[Path]) -> tuple[StatedEvidence, ...]:
    """Return what a home signed and what lies in folders, each payload once.

    Raises:
        CliError: A folder is not there, or a file in it cannot be read.
    """
    found: dict[str, StatedEvidence] = {}
    for item in _below(home.path / records.FOLDER):
        found[item.digest] = replace(item, author=home.name)
    for folder in folders:
        if not folder.is_dir():
            raise CliError(f"--evidence {folder}: not a folder")
        for item in _below(folder):
            found.setdefault(item.digest, item)
    return tuple(found.values())


def _below(folder: Path) -> Iterable[StatedEvidence]:
    for path in sorted(folder.rglob("*.json")):
        item = None if path.name.startswith(".") else _read(path)
        if item is not None:
            yield item


def _read(path: Path) -> StatedEvidence | None:
    """Read one file; ``None`` where it is not evidence."""
    data = common.read(path)
    try:
        envelope = dsse.parse(data)
        statement = parse_statement(envelope.payload)
    except EvidenceError:
        return None
    return StatedEvidence(envelope.digest, statement, tuple(sorted(envelope.key_ids)))
