"""Commands of policy authors, from a new jurisdiction to a signed bundle (``admit policy …``).

Each command finds its folder and OPA, calls ``sidecar.policy``, and shows the result. Exit status 0
without a finding, 1 with one, 2 if the command cannot run.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from sidecar import resources
from sidecar.cli import (
    assessment_view,
    common,
    policy_diff_view,
    policy_view,
    refresh_status,
    verify,
)
from sidecar.cli.common import CliError, JsonOption, command_group
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.tables import stdout
from sidecar.core.facts import to_input
from sidecar.opa import bundle, revision, signing, tree
from sidecar.opa.location import opa_path
from sidecar.opa.server import tree_server
from sidecar.policy import as_if as as_ifs
from sidecar.policy import checks, copies, pages, replay, rules, scaffold
from sidecar.policy.ask_in_turn import ask_in_turn

FULL_COVERAGE = 100.0

app = command_group(
    "Work on the policies: copy, create, check, test, list, explain, compare, sign."
)

DEFAULT = Path("policies")


def _own_or_packaged(ctx: typer.Context, param: typer.CallbackParam, value: Path) -> Path:
    """Default to the packaged policies if none are named and there is no ``./policies``."""
    source = ctx.get_parameter_source(str(param.name))
    if source is None or source.name != "DEFAULT" or value.exists():
        return value
    packaged = resources.policies()
    print(f"policies: there is no ./{value}; reading those of admit in {packaged}", file=sys.stderr)
    return packaged


PoliciesOption = Annotated[
    Path,
    typer.Option(
        "--policies",
        envvar="ADMIT_POLICIES",
        callback=_own_or_packaged,
        help="The folder of the policies; by default those that came with admit.",
    ),
]
OwnPoliciesOption = Annotated[
    Path,
    typer.Option("--policies", envvar="ADMIT_POLICIES", help="The folder of your policies."),
]


@app.callback()
def _group() -> None:
    """Work on the policies: copy, create, check, test, list, explain, compare, sign."""


@app.command()
def new(
    jurisdiction: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the jurisdiction, e.g. uk.")
    ],
    sector: Annotated[
        str | None, typer.Option(help="Create the package of this sector in the jurisdiction.")
    ] = None,
    policies: OwnPoliciesOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Create a jurisdiction: a rule, its data and a test that passes. Overwrites nothing.

    Examples:
        admit policy new fr
    """
    made = scaffold.new(policies, jurisdiction, common.now().date().isoformat(), sector)
    if as_json:
        created = [str(policies / path) for path in made.created]
        edited = None if made.edited is None else str(policies / made.edited)
        print(json.dumps({"id": made.id, "created": created, "edited": edited}, indent=2))
        return
    console = stdout()
    for path in made.created:
        console.print(f"created {policies / path}", soft_wrap=True)
    if made.edited is not None:
        console.print(f"edited  {policies / made.edited}", soft_wrap=True)
    here = "" if policies == DEFAULT else f" --policies {policies}"
    console.print("Next, before anything is changed, both of these pass:", soft_wrap=True)
    console.print(f"  admit policy check{here}", soft_wrap=True)
    console.print(f"  admit policy test{here} --run {made.id}_test", soft_wrap=True)
    console.print(f"Then name the provision in {policies / made.created[0]} and change the rule.",
                  soft_wrap=True)  # fmt: skip


@app.command()
def copy(
    folder: Annotated[Path, typer.Argument(help="Folder to make; it must not exist.")] = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Copy the policies that came with admit into a folder of your own, to run and to change.

    Examples:
        admit policy copy policies
    """
    copies.copy(resources.policies(), folder)
    facts = {"folder": str(folder), "revision": tree.read(folder).revision}
    common.report(f"Copied the policies to {folder}.", facts, as_json=as_json)


@app.command()
def check(policies: PoliciesOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Check format, types (schema of the facts), data (its schemas), lint, and more evidence.

    More evidence: a call that a package admits in its tests stays admitted with one result or one
    approval more, so that losing a file never admits.

    Examples:
        admit policy check
        admit policy check --policies drafts --json
    """
    console = stdout()
    done = []
    for checked in checks.check(opa_path(), policies):
        done.append(checked)
        if not as_json:
            policy_view.print_check(console, checked)
    if as_json:
        found = [
            {"check": one.name, "file": p.file, "row": p.row, "code": p.code, "message": p.message}
            for one in done
            for p in one.problems
        ]
        print(json.dumps({"problems": found}, indent=2))
    raise typer.Exit(1 if any(one.problems for one in done) else 0)


@app.command(name="test")
def run_tests(
    pattern: Annotated[
        str | None, typer.Option("--run", help="Only tests whose package.name matches.")
    ] = None,
    policies: PoliciesOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Run the tests of the rules, with times and coverage, which must be complete.

    Examples:
        admit policy test
        admit policy test --run jurisdiction.eu_test
    """
    report = checks.run_tests(opa_path(), policies, pattern)
    if as_json:
        print(json.dumps(policy_view.report_json(report), indent=2))
    else:
        policy_view.print_report(stdout(), report)
    lacking = report.coverage is not None and report.coverage < FULL_COVERAGE
    raise typer.Exit(1 if report.failed or lacking else 0)


@app.command(name="list")
def list_rules(
    policies: PoliciesOption = DEFAULT,
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """List every rule with its citation, its state today and its date.

    Examples:
        admit policy list
        admit policy list --markdown
    """
    catalogue, today = rules.catalogue(opa_path(), policies), common.now().date()
    if as_json:
        print(json.dumps(policy_view.rules_json(catalogue, today), indent=2, ensure_ascii=False))
    elif markdown:
        print(policy_view.rules_markdown(catalogue, today), end="")
    else:
        stdout().print(policy_view.rules_table(catalogue, today))


@app.command()
def explain(
    model: verify.Model,
    environment: verify.Environment,
    trust: verify.Trust = verify.DEFAULT_TRUST,
    provider: verify.Provider = "openai",
    operation: verify.Operation = "chat.completions",
    policies: PoliciesOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Show which rules a model breaks in an environment now, with citations, warnings and waivers.

    The structural predicate comes first, as in ``admit explain``; the policies see what it proved.
    Where they deny that, they are asked about other evidence that counts, as by a gate.

    Examples:
        admit policy explain ft:gpt-4o-2024-08-06:acme:support-v3:abc123
            --environment spiffe://acme.example/env/prod --trust trust.yaml
    """
    inquired = verify.inquire(model, environment, trust, provider, operation)
    assessment, console = inquired.assessment, stdout()
    if not assessment.admissible:
        if as_json:
            report = assessment_view.to_json(assessment, asked=inquired.asked())
            print(json.dumps({**report, "policies": None}, indent=2))
        else:
            console.print(assessment_view.steps_table(assessment, asked=inquired.asked()))
            console.print("The policies were not asked.")
            refresh_status.print_problems(console, inquired.statuses)
        raise typer.Exit(1)
    catalogue = rules.catalogue(opa_path(), policies)
    with tree_server(opa_path(), tree.read(policies)) as server:
        (assessment, facts), answer = ask_in_turn(
            inquired.proofs(),
            lambda proof: server.decide(to_input(proof[1])),
            lambda found: found["allow"] is True,
        )
    waivers = policy_view.waivers_json(facts.waivers, answer, catalogue)
    if as_json:
        report = assessment_view.to_json(assessment, asked=inquired.asked())
        held = policy_view.rules_that_held(answer, catalogue)
        shown = {**answer, "held": held, "waivers": waivers}
        print(json.dumps({**report, "policies": shown}, indent=2))
    else:
        policy_view.print_answer(console, answer, catalogue, asked=inquired.asked())
        policy_view.print_idle_waivers(console, waivers)
    raise typer.Exit(0 if answer["allow"] else 1)


@app.command()
def diff(
    facts: Annotated[Path, typer.Option(help="A gate's facts log (facts_log).")],
    after: Annotated[Path, typer.Option(help="The folder with the changed policies.")] = DEFAULT,
    before: Annotated[
        str, typer.Option(help="A folder, or a Git revision of the changed one.")
    ] = "HEAD",
    as_if: Annotated[
        list[str] | None,
        typer.Option(
            "--as-if",
            metavar="ENVIRONMENT=JURISDICTION,…",
            help="Ask the changed policies as if ENVIRONMENT (a SPIFFE ID or a pattern) were in"
            " exactly these jurisdictions; of several, the last that covers counts.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat recorded queries with changed policies: which decisions differ, and by which rule.

    The approvals and suites that other jurisdictions need are structure and not replayed. Exit
    status 0 where none does, 1 where one does, 2 where nothing was recorded or the changed policies
    fail the types check of `admit policy check`: a rule that misspells a fact would change nothing.

    Examples:
        admit policy diff --facts facts.jsonl --before main --after policies
        admit policy diff --facts facts.jsonl
            --as-if 'spiffe://acme.example/env/*=eu,uk'
    """
    program, total = opa_path(), replay.count(facts)
    old, changed = revision.resolve(before, after), tree.read(after)
    checks.require_types(program, after)
    changes = [as_ifs.parse(text, changed.jurisdictions) for text in as_if or ()]
    console = PlainConsole(stderr=True)
    with (
        tree_server(program, old) as one,
        tree_server(program, changed) as other,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("replaying", total=total)
        found = replay.replay(
            replay.read(facts), one, other, lambda done: progress.advance(task, done), changes
        )
    if not found.records:
        raise CliError(f"{facts}: no question is recorded in there, so nothing was compared")
    for change in changes:
        if not found.restated[change.pattern]:
            raise CliError(f"--as-if: no recorded question is from {change.pattern}")
    if found.malformed == found.records:
        raise CliError(
            f"{facts}: a gate of another release recorded all of that, so nothing was compared"
        )
    if as_json:
        report = policy_diff_view.difference_json(found)
        print(json.dumps({"before": old.revision, "after": changed.revision, **report}, indent=2))
    else:
        policy_diff_view.print_difference(stdout(), found)
    raise typer.Exit(1 if found.changed else 0)


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="Folder of the pages.")] = Path("docs/policies"),
    policies: PoliciesOption = DEFAULT,
) -> None:
    """Write the reference pages from the METADATA of the rules.

    Examples:
        admit policy docs
    """
    for path in pages.write(rules.catalogue(opa_path(), policies), out):
        print(path)


@app.command()
def build(
    key: Annotated[Path, typer.Option(help="Private key in PEM: P-256, P-384 or Ed25519.")],
    out: Annotated[Path, typer.Option(help="The bundle to write.")] = Path(bundle.BUNDLE),
    policies: PoliciesOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Build the bundle with its revision and sign it, for gates that have the public key.

    Policies that fail the types check of `admit policy check` are not signed: a rule that misspells
    a fact denies nothing.

    Examples:
        admit policy build --key policy.key.pem --out policy.tar.gz
    """
    signer, policy, program = signing.signing_key(key), tree.read(policies), opa_path()
    with tempfile.TemporaryDirectory(prefix="admit-policy-") as folder:
        made = bundle.build(program, policy, Path(folder), signer)
        checks.require_types(program, policies)
        _place(made.path, out)
    facts = {
        "bundle": str(out),
        "revision": made.revision,
        "jurisdictions": ", ".join(made.jurisdictions),
        "algorithm": signer.algorithm,
    }
    common.report(f"Built and signed {out}.", facts, as_json=as_json)


@app.command(name="verify")
def verify_bundle(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A signed bundle.")],
    key: Annotated[Path, typer.Option(help="Public key in PEM.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a signed bundle as a gate does at its start.

    Examples:
        admit policy verify policy.tar.gz --key policy.pub.pem
    """
    with tempfile.TemporaryDirectory(prefix="admit-policy-") as folder:
        found = bundle.SignedFile(path, key).read().make(opa_path(), Path(folder))
    facts = {
        "bundle": str(path),
        "revision": found.revision,
        "jurisdictions": ", ".join(found.jurisdictions),
        "algorithm": found.verification.algorithm,
    }
    common.report(f"{path} is signed by {key}.", facts, as_json=as_json)


def _place(made: Path, out: Path) -> None:
    """Put a bundle in its place at once, so that a gate that follows it reads the old or the new.

    Raises:
        CliError: It cannot be written.
    """
    beside = out.with_name(f".{out.name}.new")
    try:
        shutil.copyfile(made, beside)
        beside.replace(out)
    except OSError as error:
        raise CliError(f"{out}: {error.strerror}") from error
