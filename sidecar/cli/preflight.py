"""``admit preflight``: what a draft will be asked for, before its manifest is signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from sidecar import resources
from sidecar.binding import corpora, files, openai, record_formats
from sidecar.binding import declared as read_declared
from sidecar.cli import common, manifests, run_files, signing_checks
from sidecar.cli.binding_options import DataClassOption, RequireRoleOption
from sidecar.cli.common import CliError, DeclarationOption, JsonOption
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.run_files import ResultFileOption, ValidationOption
from sidecar.cli.signing_checks import PoliciesOption, TrustOption
from sidecar.core.facts import to_input
from sidecar.core.grants import OperatorTrust
from sidecar.core.predicates import Corpus, Environment
from sidecar.opa import tree
from sidecar.opa.location import opa_path
from sidecar.opa.server import tree_server
from sidecar.policy import preflight as checklist
from sidecar.policy import rules
from sidecar.policy.preflight import Draft, Item, State

MISSING = 1
"""Exit status where something is missing."""

_MARKS = {
    State.MISSING: ("✗", "bold red"),
    State.LATER: ("·", "dim"),
    State.WARNING: ("!", "yellow"),
}

JobArgument = Annotated[
    Path | None, typer.Argument(help="The job's record, as the API returned it, if it is there.")
]
EnvelopeOption = Annotated[
    Path, typer.Option(help="The declared evaluation envelope (YAML, JSON).")
]
DeclaredOption = Annotated[
    Path | None,
    typer.Option(help="The environment's declaration (*.dsse.json), if it is signed already."),
]
EnvironmentOption = Annotated[
    str | None,
    typer.Option("--environment", help="SPIFFE ID of the environment, if it is not declared yet."),
]
JurisdictionOption = Annotated[
    list[str] | None, typer.Option(help="Jurisdiction of the environment, e.g. eu; repeatable.")
]
SectorOption = Annotated[str, typer.Option(help="Sector of the environment, e.g. finance.")]
PurposeOption = Annotated[
    str, typer.Option(help="Purpose of the environment, e.g. customer-support.")
]
RiskClassOption = Annotated[str, typer.Option(help="Risk class of the environment, e.g. limited.")]
EnvironmentDeclarationOption = Annotated[
    list[str] | None, typer.Option(help="NAME=TEXT that its declaration will have; repeatable.")
]
TrainingOption = Annotated[list[Path] | None, typer.Option(help="A training file; repeatable.")]
KindsOption = Annotated[
    list[str] | None, typer.Option(help="KIND or KIND=FILE as for admit bind; repeatable.")
]
ApprovalDeclarationOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE:NAME=TEXT", help="A declaration that an approval will have; repeatable."
    ),
]
ProviderOption = Annotated[str, typer.Option(help="Provider, as the gate's routes name it.")]
OperationOption = Annotated[str, typer.Option(help="Operation that will be called.")]
MethodOption = Annotated[
    str,
    typer.Option(
        help="Method of the job: supervised, dpo or reinforcement. The corpora are checked "
        "against it."
    ),
]
DaysOption = Annotated[float, typer.Option(help="Days that the manifest will be valid.")]


def preflight(
    envelope: EnvelopeOption,
    job: JobArgument = None,
    declared: DeclaredOption = None,
    environment: EnvironmentOption = None,
    jurisdiction: JurisdictionOption = None,
    sector: SectorOption = "",
    purpose: PurposeOption = "",
    risk_class: RiskClassOption = "",
    environment_declaration: EnvironmentDeclarationOption = None,
    training: TrainingOption = None,
    validation: ValidationOption = None,
    result_file: ResultFileOption = None,
    data_class: DataClassOption = None,
    document: KindsOption = None,
    declaration: DeclarationOption = None,
    approval_declaration: ApprovalDeclarationOption = None,
    require_role: RequireRoleOption = None,
    provider: ProviderOption = openai.PROVIDER,
    operation: OperationOption = "chat.completions",
    method: MethodOption = "supervised",
    days: DaysOption = 180,
    trust: TrustOption = None,
    policies: PoliciesOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what policies and structure will ask of an adaptation, before bind signs it.

    The policies are asked about the facts of a finished set: this draft, with every suite passed
    and every role approved. Exit status 0 if nothing is missing, 1 if something is.

    Examples:
        admit preflight job.json --training training.jsonl
            --envelope envelope.yaml --declared environment.dsse.json
        admit preflight --envelope envelope.yaml --jurisdiction eu
            --environment spiffe://acme.example/env/prod --sector finance
    """
    given = {"sector": sector, "purpose": purpose, "risk_class": risk_class}
    named = common.pairs(environment_declaration, "--environment-declaration")
    place = _environment(declared, environment, jurisdiction or [], given, named)
    record = None if job is None else openai.read_job(common.read(job))
    draft = Draft(
        **place,
        provider=provider,
        operation=operation,
        base="" if record is None else record.base,
        method=method if record is None else record.run.method,
        hyperparameters={} if record is None else record.run.hyperparameters,
        corpora=_corpora(training, validation, data_class, None if record else method),
        outputs=tuple(files.run_output(path, name=path.name) for path in result_file or ()),
        envelope=read_declared.envelope(envelope),
        documents=tuple(text.partition("=")[0] for text in document or ()),
        declarations=common.pairs(declaration, "--declaration"),
        approval_declarations=_of_approvals(approval_declaration or []),
        roles=tuple(require_role or ()),
        days=days,
    )
    missing = _report(_items(draft, signing_checks.operator(trust), policies), as_json=as_json)
    raise typer.Exit(MISSING if missing else 0)


def _report(items: list[Item], *, as_json: bool) -> int:
    """Print what will be asked, and return how much of it is missing."""
    missing = sum(item.state is State.MISSING for item in items)
    if as_json:
        print(json.dumps({"missing": missing, "items": [asdict(item) for item in items]}, indent=2))
    else:
        _show(items, missing)
    return missing


def _items(draft: Draft, operator: OperatorTrust | None, policies: Path | None) -> list[Item]:
    """Ask structure and policies; what is missing comes first."""
    folder = resources.policies() if policies is None else policies
    program, asked = opa_path(), checklist.facts(draft, operator, common.now())
    catalogue = rules.catalogue(program, folder)
    with tree_server(program, tree.read(folder)) as server:
        answer = server.decide(to_input(asked))
    found = [
        *checklist.structural(draft, operator),
        *checklist.by_policies(answer, catalogue, draft),
    ]
    return sorted(found, key=lambda item: list(_MARKS).index(item.state))


def _environment(
    declared: Path | None,
    environment: str | None,
    jurisdictions: Sequence[str],
    given: dict[str, str],
    named: dict[str, str],
) -> dict[str, Any]:
    """Return the fields of a draft that describe the environment.

    Raises:
        CliError: Neither a declaration nor a description, or both, or a part of it.
    """
    if declared is not None:
        if environment is not None or jurisdictions or any(given.values()):
            raise CliError("--declared: the file describes the environment; leave the rest out")
        subject, predicate = manifests.read_environment(declared)
        return _described(subject, predicate, named)
    if environment is None or not jurisdictions or not all(given.values()):
        raise CliError(
            "describe the environment: --declared FILE, or --environment, --jurisdiction, "
            "--sector, --purpose and --risk-class"
        )
    common.workload_id(environment, "--environment")
    return {
        "environment": environment,
        "jurisdictions": tuple(jurisdictions),
        "owner": "customer",
        "environment_declarations": named,
        **given,
    }


def _described(subject: str, declared: Environment, named: dict[str, str]) -> dict[str, Any]:
    return {
        "environment": subject,
        "jurisdictions": declared.jurisdictions,
        "sector": declared.sector,
        "purpose": declared.purpose,
        "risk_class": declared.risk_class,
        "owner": declared.owner,
        "environment_declarations": {**declared.declarations, **named},
    }


def _corpora(
    training: list[Path] | None,
    validation: list[Path] | None,
    classes: list[str] | None,
    method: str | None,
) -> tuple[Corpus, ...]:
    """Read the corpora; irregular lines are refused while the job is still to be created."""
    check = None if method is None else record_formats.check_for(method)
    return tuple(
        run_files.recorded(path, reading)
        if method is None
        else corpora.require_regular(path, reading)
        for role, paths in (("training", training), ("validation", validation))
        for path in paths or ()
        for reading in [
            corpora.read_corpus(
                path, role=role, name=path.name, classes=tuple(classes or ()), check=check
            )
        ]
    )


def _of_approvals(texts: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        role, colon, rest = text.partition(":")
        if not (role and colon):
            raise CliError(f"--approval-declaration: {text!r} is not ROLE:NAME=TEXT")
        found.setdefault(role, {}).update(common.pairs([rest], "--approval-declaration"))
    return found


def _show(items: list[Item], missing: int) -> None:
    """Print one block for each item: lines, so that a command stays whole and can be copied."""
    console = PlainConsole(highlight=False)
    for item in items:
        mark, style = _MARKS[item.state]
        where = f" ({item.jurisdiction})" if item.jurisdiction else ""
        by = f"  by {item.by}" if item.by else ""
        head = Text.assemble((f"{mark} ", style), (item.what, "bold"), f"{where}{by}")
        console.print(head, soft_wrap=True)
        for text in (item.detail, item.remedy):
            if text:
                console.print(Padding(text, (0, 0, 0, 2)), markup=False)
        if item.command:
            console.print(Text(f"  {item.command}", style="cyan"), soft_wrap=True)
    later = sum(item.state is State.LATER for item in items)
    console.print(f"{missing} missing, {later} to be signed after the manifest")
