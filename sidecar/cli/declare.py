"""``admit declare``: a customer declares an environment."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.cli import common
from sidecar.cli.common import BlobsOption, DeclarationOption, HomeOption, JsonOption, OutOption
from sidecar.core.evidence import (
    ENVIRONMENT,
    Environment,
    Statement,
    Subject,
    check_spiffe_id,
)
from sidecar.core.wire import DigestSet

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Declare what this authority answers for.",
)


@app.callback()
def _group() -> None:
    """Declare what this authority answers for."""


@app.command()
def environment(
    spiffe_id: Annotated[str, typer.Argument(help="The environment, as its SVIDs name it.")],
    jurisdiction: Annotated[list[str], typer.Option(help="For example eu; repeatable.")],
    sector: Annotated[str, typer.Option(help="For example finance.")],
    purpose: Annotated[str, typer.Option(help="For example customer-support.")],
    risk_class: Annotated[str, typer.Option(help="For example limited.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    home: HomeOption,
    base_model: Annotated[
        list[str] | None,
        typer.Option(help="provider/id, or a pattern, that may be called un-adapted; repeatable."),
    ] = None,
    declaration: DeclarationOption = None,
    days: Annotated[float, typer.Option(help="How long the declaration holds.")] = 365,
    out: OutOption = Path(),
    blobs: BlobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Declare an environment: where it is, what for, and which base models it may call."""
    at = common.now()
    check_spiffe_id(spiffe_id)
    blob = spiffe_id.encode("utf-8")
    declared = Environment(
        jurisdictions=tuple(jurisdiction),
        sector=sector,
        purpose=purpose,
        risk_class=risk_class,
        owner=owner,
        window=common.window(at, days),
        base_models=tuple(base_model or ()),
        declarations=common.pairs(declaration, "--declaration"),
    )
    subject = Subject(spiffe_id, DigestSet(hashlib.sha256(blob).hexdigest()))
    statement = Statement(subject, ENVIRONMENT, declared)
    written = common.sign_and_write(authority.load(home), statement, "environment", out, at)
    stem = f"environment-{written.digest[:12]}"
    subject_file = common.write(blobs or out, stem, ".subject.txt", blob)
    facts = {**written.facts(), "until": common.until(declared.window), "blob": str(subject_file)}
    common.tell(f"Declared {spiffe_id}.", facts, as_json=as_json, subject=spiffe_id)
