"""Reads the specification that another one extends, and compares the two before signing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sidecar.authority import records
from sidecar.authority.open_home import Home
from sidecar.cli import common, manifests
from sidecar.cli.common import CliError
from sidecar.core.predicates import Specification
from sidecar.core.specifications import taken_away

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ExtendedSpecification:
    """The specification to extend; ``specification`` is ``None`` where only the digest is known."""

    digest: str
    specification: Specification | None


def extended(home: Home, text: str) -> ExtendedSpecification:
    """Find a specification by its file, or by its digest in what the home itself signed.

    Args:
        home: The authority that extends.
        text: Hex SHA-256 of a payload, or the path of an envelope.

    Raises:
        AuthorityError: The home's record of the digest cannot be read.
        CliError: Neither a digest nor a file, or evidence of another kind.
        EvidenceError: The file is no envelope.
    """
    if _DIGEST.fullmatch(text):
        recorded = records.find(home.path, text)
        if recorded is None:
            return ExtendedSpecification(text, None)
        predicate = recorded.statement.predicate
        if not isinstance(predicate, Specification):
            raise CliError(f"--extends {text}: is evidence, but not a specification")
        return ExtendedSpecification(text, predicate)
    path = Path(text)
    if not path.exists():
        raise CliError(f"--extends {text}: no such file, and no digest (64 hex digits, lower case)")
    handed = manifests.read_specification(path)
    return ExtendedSpecification(handed.digest, handed.specification)


def check(older: ExtendedSpecification, newer: Specification) -> None:
    """Refuse an extension that removes or changes anything; warn where that cannot be compared.

    Raises:
        CliError: It is no extension; names everything that is lost.
    """
    if older.specification is None:
        common.warn(
            f"{older.digest} is not in this home, so it was not compared with what extends it: "
            "the gate refuses an extension that takes anything away; give its file to see it now"
        )
        return
    lost = tuple(taken_away(older.specification, newer))
    if lost:
        raise CliError(f"an extension only adds to {older.digest}: " + "; ".join(lost))
