"""``admit approve``: an authority approves a manifest, in one role and a stated scope."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import common, manifests
from sidecar.cli.common import DeclarationOption, SignedByOption
from sidecar.cli.option_groups import grouped
from sidecar.cli.signing_checks import StatementOptions
from sidecar.core.evidence import Statement
from sidecar.core.predicates import APPROVAL, Approval, Subject
from sidecar.core.wire import DigestSet

ConditionOption = Annotated[
    list[str] | None, typer.Option(help="A condition, for policies and people; repeatable.")
]
InAdditionOption = Annotated[
    bool,
    typer.Option(
        "--in-addition",
        help="Leave older approvals in force beside this one. By default, those that permit "
        "more than this one are withdrawn.",
    ),
]


@grouped
def approve(
    manifest: Annotated[Path, typer.Argument(help="The manifest's envelope (*.dsse.json).")],
    role: Annotated[str, typer.Option(help="The role: provider, customer, regulator, or another.")],
    jurisdiction: Annotated[
        list[str], typer.Option(help="Jurisdiction it covers, e.g. eu; repeatable.")
    ],
    environment: Annotated[
        list[str], typer.Option(help="SPIFFE ID, or a pattern over it; repeatable.")
    ],
    operation: Annotated[
        list[str], typer.Option(help="Operation it covers, e.g. chat.completions; repeatable.")
    ],
    signing: StatementOptions,
    condition: ConditionOption = None,
    declaration: DeclarationOption = None,
    days: Annotated[float, typer.Option(help="Days that the approval is valid.")] = 90,
    in_addition: InAdditionOption = False,
    signed_by: SignedByOption = None,
) -> None:
    """Approve a manifest: this digest, in this role, for these environments and operations.

    Examples:
        admit approve manifest.dsse.json --role regulator --jurisdiction eu
            --environment 'spiffe://acme.example/**' --operation chat.completions
            --home eu-regulator --out evidence
    """
    at = common.now()
    handed = manifests.read(manifest, signed_by)
    model = handed.manifest.model.id
    given = Approval(
        role=role,
        jurisdictions=tuple(jurisdiction),
        environments=tuple(environment),
        operations=tuple(operation),
        window=common.window(at, days),
        conditions=tuple(condition or ()),
        declarations=common.pairs(declaration, "--declaration"),
    )
    statement = Statement(Subject(model, DigestSet(handed.digest)), APPROVAL, given)
    written = signing.issue(
        signing.owner(), statement, manifest=handed.manifest, keep_older=in_addition
    )
    facts = {
        **written.facts(),
        "manifest": handed.digest,
        "role": role,
        "until": common.until(written.issued.statement.predicate.window),
    }
    common.report(
        f"Approved {model} as {role}.",
        facts,
        as_json=signing.as_json,
        model=model,
        **written.more(),
    )
