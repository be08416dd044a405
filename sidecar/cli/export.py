"""``admit export``: a manifest in the formats of other tools."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import common, manifests
from sidecar.cli.common import CliError, SignedByOption
from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import MANIFEST, Result, Subject
from sidecar.core.wire import DigestSet
from sidecar.exports import cyclonedx, model_card, slsa, spdx
from sidecar.exports.source import ManifestSource


class ExportFormat(StrEnum):
    """A format of another tool."""

    SLSA = "slsa"
    CYCLONEDX = "cyclonedx"
    SPDX = "spdx"
    MODEL_CARD = "model-card"


_WRITERS = {
    ExportFormat.SLSA: slsa.document,
    ExportFormat.CYCLONEDX: cyclonedx.document,
    ExportFormat.SPDX: spdx.document,
    ExportFormat.MODEL_CARD: model_card.document,
}


def export(
    manifest: Annotated[Path, typer.Argument(help="The manifest's envelope (*.dsse.json).")],
    to: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="SLSA provenance v1, a CycloneDX 1.6 ML-BOM, an SPDX 3.0 document with the AI "
            "profile, or a model card.",
        ),
    ],
    signed_by: SignedByOption = None,
    result: Annotated[
        list[Path] | None,
        typer.Option(help="A result (*.dsse.json) about it, whose scores are added; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file to write; printed if not given.")
    ] = None,
) -> None:
    """Write a manifest as a document of another format: a copy, which no gate takes as evidence.

    Examples:
        admit export manifest.dsse.json --format cyclonedx --out ml-bom.json
    """
    read = manifests.read(manifest, signed_by)
    if signed_by is None:
        common.warn("the manifest's signature was not verified: give --signed-by")
    subject = Subject(read.manifest.model.id, DigestSet(read.artifact))
    source = ManifestSource(
        digest=read.digest,
        statement=Statement(subject, MANIFEST, read.manifest),
        at=common.now(),
        signer=None if signed_by is None else _fingerprint(signed_by),
        results=tuple(_result(path, read.digest) for path in result or ()),
    )
    data = _WRITERS[to](source)
    if out is None:
        sys.stdout.buffer.write(data)
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}") from error


def _fingerprint(path: Path) -> str:
    return PublicKey.from_pem(common.read(path).decode("ascii", errors="replace")).fingerprint


def _result(path: Path, manifest: str) -> Result:
    """Read a result about one manifest; its signature is the gate's to verify.

    Raises:
        CliError: It is other evidence, or about another manifest.
    """
    statement = parse_statement(dsse.parse(common.read(path)).payload)
    if not isinstance(statement.predicate, Result):
        raise CliError(f"{path}: is evidence, but not a result")
    about = statement.subject.digest.sha256
    if about != manifest:
        raise CliError(f"{path}: is a result about manifest {about}, not {manifest}")
    return statement.predicate
