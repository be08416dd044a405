"""``admit waive``: a regulator excuses one policy rule, for one subject and one window."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import common, manifests
from sidecar.cli.common import CliError
from sidecar.cli.option_groups import grouped
from sidecar.cli.signing_checks import StatementOptions
from sidecar.core.evidence import Statement
from sidecar.core.predicates import WAIVER, Subject, Waiver
from sidecar.core.wire import DigestSet


@grouped
def waive(
    rule: Annotated[str, typer.Argument(help="The rule's code (admit policy list).")],
    jurisdiction: Annotated[
        str, typer.Option(help="The environment's jurisdiction that excuses it, for example eu.")
    ],
    reason: Annotated[str, typer.Option(help="The reason; it is part of the evidence.")],
    signing: StatementOptions,
    environment: Annotated[
        str | None, typer.Option(help="SPIFFE ID of the environment that the waiver is for.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Envelope (*.dsse.json) of the manifest that the waiver is for."),
    ] = None,
    days: Annotated[float, typer.Option(help="Days that the waiver is valid.")] = 30,
) -> None:
    """Excuse one policy rule, for one environment or one manifest. Structure cannot be waived.

    Examples:
        admit waive eu.art11_technical_documentation --jurisdiction eu
            --environment spiffe://acme.example/env/prod --days 30
            --reason 'documentation under review' --home eu-regulator
    """
    at = common.now()
    subject = _subject(environment, manifest)
    given = Waiver(rule, jurisdiction, reason, common.window(at, days))
    written = signing.issue(signing.owner(), Statement(subject, WAIVER, given))
    facts = {
        **written.facts(),
        "rule": rule,
        "jurisdiction": jurisdiction,
        "subject": subject.name,
        "until": common.until(given.window),
    }
    common.report(
        f"Waived {rule} for {subject.name}.", facts, as_json=signing.as_json, **written.more()
    )


def _subject(environment: str | None, manifest: Path | None) -> Subject:
    """Return the environment or the model, bound by digest.

    Raises:
        CliError: Neither is given, or both.
    """
    if environment is not None and manifest is None:
        common.workload_id(environment, "--environment")
        digest = hashlib.sha256(environment.encode()).hexdigest()
        return Subject(environment, DigestSet(digest))
    if manifest is not None and environment is None:
        handed = manifests.read(manifest)
        return Subject(handed.manifest.model.id, DigestSet(handed.digest))
    raise CliError("a waiver is for one subject: give either --environment or --manifest")
