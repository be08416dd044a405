"""Reads manifests and specifications from files, for commands that sign about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sidecar.cli import common
from sidecar.cli.common import CliError
from sidecar.core import dsse
from sidecar.core.dsse import Envelope
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import (
    DeploymentBinding,
    Environment,
    Manifest,
    Predicate,
    Specification,
)
from sidecar.core.reasons import EvidenceError


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest's envelope as read from a file, and its payload's predicate.

    ``artifact`` is its subject's digest: the hex SHA-256 of what was adapted.
    """

    digest: str
    artifact: str
    manifest: Manifest
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class SpecificationFile:
    """A specification's envelope as read from a file, and its payload's statement."""

    digest: str
    statement: Statement[Predicate]
    specification: Specification
    envelope: Envelope


def read(path: Path, signed_by: Path | None = None) -> ManifestFile:
    """Read a manifest's envelope.

    Args:
        path: A ``*.dsse.json`` file.
        signed_by: PEM public key that must have signed it. Without it the signature is not
            checked: the gate will check it, and what is signed here names this digest only.

    Raises:
        EvidenceError: Not an envelope with a manifest in it.
        CliError: It cannot be read, or another key signed it.
    """
    envelope = dsse.parse(common.read(path)) if signed_by is None else _signed(path, signed_by)
    statement = _statement_of(path, envelope)
    if not isinstance(statement.predicate, Manifest):
        raise CliError(f"{path}: is evidence, but not a manifest")
    artifact = statement.subject.digest.sha256
    return ManifestFile(envelope.digest, artifact, statement.predicate, envelope)


def read_specification(path: Path) -> SpecificationFile:
    """Read a specification's envelope. Its signature is not checked, as with a manifest's.

    Raises:
        EvidenceError: Not an envelope.
        CliError: It cannot be read, or holds something else.
    """
    envelope = dsse.parse(common.read(path))
    statement = _statement_of(path, envelope)
    if not isinstance(statement.predicate, Specification):
        raise CliError(f"{path}: is evidence, but not a specification")
    return SpecificationFile(envelope.digest, statement, statement.predicate, envelope)


def read_environment(path: Path) -> tuple[str, Environment]:
    """Read an environment's declaration: its SPIFFE ID and predicate. Its signature is not checked.

    Raises:
        EvidenceError: Not an envelope.
        CliError: It cannot be read, or holds something else.
    """
    statement = _statement_of(path, dsse.parse(common.read(path)))
    if not isinstance(statement.predicate, Environment):
        raise CliError(f"{path}: is evidence, but not an environment's declaration")
    return statement.subject.name, statement.predicate


def read_binding(path: Path, signed_by: Path) -> tuple[str, DeploymentBinding]:
    """Read a deployment's binding, which a key must have signed.

    Returns:
        The hex SHA-256 of the manifest that it is bound to, and the binding.

    Raises:
        EvidenceError: Not an envelope.
        CliError: It cannot be read, holds something else, or another key signed it.
    """
    envelope = _signed(path, signed_by)
    statement = _statement_of(path, envelope)
    if not isinstance(statement.predicate, DeploymentBinding):
        raise CliError(f"{path}: is evidence, but not the binding of a deployment")
    return statement.subject.digest.sha256, statement.predicate


def _signed(path: Path, signed_by: Path) -> Envelope:
    """Read an envelope that the PEM public key in ``signed_by`` must have signed."""
    envelope = dsse.parse(common.read(path))
    key = PublicKey.from_pem(common.read(signed_by).decode("ascii", errors="replace"))
    if not signed_with(envelope, key):
        raise CliError(f"{path}: not signed by the key in {signed_by}")
    return envelope


def _statement_of(path: Path, envelope: Envelope) -> Statement[Predicate]:
    try:
        return parse_statement(envelope.payload)
    except EvidenceError as error:
        raise CliError(f"{path}: {error}") from error


def signed_with(envelope: Envelope, key: PublicKey) -> bool:
    """Return whether ``key`` signed the envelope."""
    return bool(dsse.verified_by(envelope, [key]))
