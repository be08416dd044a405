"""``admit evaluate``: run the suites of a manifest over a sandbox route, and grade them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sidecar.cli import common, manifests
from sidecar.cli import evaluate_options as options
from sidecar.cli.common import CliError, JsonOption, SignedByOption, command_group
from sidecar.cli.evaluate_due import due
from sidecar.cli.evaluate_report import report_
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.tables import show_table, stdout
from sidecar.core.predicates import Manifest
from sidecar.durable.files import write_atomically
from sidecar.evaluation.cost import SCOPE, Price, Prices, parse_prices
from sidecar.evaluation.graders import judges
from sidecar.evaluation.report.record import ModelUsage, total_cost
from sidecar.evaluation.runner import environment
from sidecar.evaluation.runner.evaluate import EvaluatedSuite, Evaluator, OnProgress, declared
from sidecar.evaluation.runner.plan import Bounds, Route
from sidecar.evaluation.runner.process import Usage
from sidecar.evaluation.suite import SuiteFolder, read_suite
from sidecar.formats.amounts import amount
from sidecar.opa.location import tools_folder

NOT_PASSED = 3
"""Exit status where a score is below its threshold, as for ``admit result``."""

app = command_group(
    "Run the suites of a manifest before its model is active, and again when they are due."
)

app.command()(due)
app.command("report")(report_)


@app.command()
def setup(as_json: JsonOption = False) -> None:
    """Install Inspect AI into an environment of its own, from a lock with hashes.

    Some 80 packages and 350 MB. Nothing is done where it is there already.

    Examples:
        admit evaluate setup
    """
    tools = tools_folder()
    if tools is None:
        raise CliError("this user has no home folder; set ADMIT_TOOLS to a folder")
    with PlainConsole(stderr=True).status(f"Installing Inspect AI {environment.version()} …"):
        python = environment.make(tools)
    facts = {"inspect": environment.version(), "python": str(python)}
    common.report("The evaluation environment is ready.", facts, as_json=as_json)


@app.command()
def run(
    suites: options.Suites,
    manifest: options.ManifestFile,
    via: options.Via,
    credential_file: options.CredentialFile = None,
    credential_header: options.CredentialHeader = "x-environment-credential",
    ca: options.Ca = None,
    client_certificate: options.ClientCertificate = None,
    client_key: options.ClientKey = None,
    judge_via: options.JudgeVia = None,
    model: options.ModelName = None,
    signed_by: SignedByOption = None,
    out: options.ResultsFile = Path("results.json"),
    runs: options.Runs = Path("runs"),
    connections: options.Connections = 8,
    retries: options.Retries = 5,
    timeout_seconds: options.TimeoutSeconds = 120,
    price: options.Price = None,
    reuse_hours: options.ReuseHours = 24,
    restart: options.Restart = False,
    as_json: JsonOption = False,
) -> None:
    """Put every case of the suites to the model, grade the answers, and write the scores.

    A run that was interrupted goes on where it was; after --reuse-hours all is asked again. Exit
    status 3 if a suite is not passed.

    Examples:
        admit evaluate run suites/jailbreak --manifest manifest.dsse.json
            --via https://sandbox.acme.example/v1 --credential-file jwt-svid
    """
    handed = manifests.read(manifest, signed_by)
    read = _declared(suites, handed.manifest)
    prices = parse_prices(price or [])
    prices.check_judges(judge.model for suite in read for judge in judges(suite.grader))

    def route(url: str) -> Route:
        return Route(url, credential_file, credential_header, ca, client_certificate, client_key)

    with _shown(prices, quiet=as_json) as on_progress:
        evaluator = Evaluator(
            environment.interpreter(tools_folder()),
            handed.digest,
            handed.manifest.model.id,
            runs,
            common.now(),
            route(via),
            None if judge_via is None else route(judge_via),
            Bounds(connections, retries, 2, timeout_seconds, timedelta(hours=reuse_hours)),
            restart,
            on_progress,
            prices,
            model,
        )
        found = evaluator.evaluate(read)
    rows = [each.row() for each in found]
    write_atomically(out, json.dumps(rows, indent=2).encode() + b"\n", mode=0o644)
    _report(found, out, len(handed.manifest.envelope.suites), as_json=as_json)
    if not all(each.graded.passed for each in found):
        raise typer.Exit(NOT_PASSED)


def _declared(folders: list[Path], manifest: Manifest) -> list[SuiteFolder]:
    """Read the suites, each of which the manifest declares."""
    read = [read_suite(folder) for folder in folders]
    for each in read:
        declared(manifest, each)
    if len({(each.digest, each.jurisdiction) for each in read}) != len(read):
        raise CliError("a suite is given twice")
    return read


def _report(found: list[EvaluatedSuite], out: Path, declared_suites: int, *, as_json: bool) -> None:
    uses = [used for each in found for used in each.used()]
    if as_json:
        value = {"results": str(out), "suites": [_facts(each) for each in found]}
        print(json.dumps(value | {"cost": total_cost(uses)}))
        return
    headings = ("suite", "verdict", "score", "threshold", "95 % interval", "cases", "calls")
    more = ("tokens in", "tokens out", "time", "cost", "folder")
    show_table(stdout(), headings + more, [row for e in found for row in _rows(e)])
    if (cost := cost_text(uses)) is not None:
        print(f"cost: {cost} ({SCOPE})")
    missing = declared_suites - len(found)
    rest = f"; {amount(missing, 'suite')} of the envelope not in it" if missing else ""
    print(f"results: {out}{rest}")


def cost_text(uses: Sequence[ModelUsage]) -> str | None:
    """Return what a run cost, for people; ``None`` where no price was given."""
    total = total_cost(uses)
    if total is not None:
        judged = f", of that judges {total['judges']:g}" if total["judges"] else ""
        return f"{total['model'] + total['judges']:g}{judged}"
    unpriced = dict.fromkeys(each.model for each in uses if each.cost is None)
    if len(unpriced) == len({each.model for each in uses}):
        return None
    return f"not known whole, without a price of {', '.join(unpriced)}"


def _facts(found: EvaluatedSuite) -> dict[str, Any]:
    usages = (found.usage, *(usage for _, usage in found.judges))
    own, *judged = (
        {"calls": usage.calls, **used.model_dump(exclude={"judge"}, exclude_none=True)}
        for used, usage in zip(found.used(), usages, strict=True)
    )
    return found.row() | {
        "threshold": found.graded.suite.threshold,
        "passed": found.graded.passed,
        "folder": str(found.folder),
        **own,
        "model": found.model,
        "judges": judged,
    }


def _rows(found: EvaluatedSuite) -> Iterator[tuple[str, ...]]:
    """Yield the row of a suite, and one for what each of its judges used."""
    graded = found.graded
    own, *judged = found.used()
    yield (
        graded.suite.name,
        "passed" if graded.passed else "NOT passed",
        f"{graded.score:.4f}",
        f"{graded.suite.threshold:g}",
        f"{graded.low:.4f} to {graded.high:.4f}",
        str(len(graded.cases)),
        *_used_cells(own, found.usage),
        str(found.folder),
    )
    for used, (_, usage) in zip(judged, found.judges, strict=True):
        yield f"  judge {used.model}", "", "", "", "", "", *_used_cells(used, usage), ""


def _used_cells(used: ModelUsage, usage: Usage) -> tuple[str, ...]:
    tokens = (str(used.input_tokens), str(used.output_tokens))
    cost = "" if used.cost is None else f"{used.cost:g}"
    return str(usage.calls), *tokens, f"{used.seconds:.1f} s", cost


@contextmanager
def _shown(prices: Prices, *, quiet: bool) -> Iterator[OnProgress]:
    """Show answers, tokens and cost so far; nothing where stderr is no terminal."""
    console = PlainConsole(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[used]}", markup=False),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        tasks: dict[tuple[str, str | None], Any] = {}

        def on_progress(suite: str, judge: str | None, usage: Usage) -> None:
            what = suite if judge is None else f"{suite}, judge {judge}"
            if (suite, judge) not in tasks:
                tasks[suite, judge] = bar.add_task(what, total=usage.total, used="")
            used = progress_text(usage, prices.of(judge))
            bar.update(tasks[suite, judge], completed=usage.done, used=used)

        yield on_progress


def progress_text(usage: Usage, price: Price | None) -> str:
    """Return the tokens of a run so far and, with a price, what they cost."""
    tokens = f"{usage.input_tokens + usage.output_tokens} tokens"
    if price is None:
        return tokens
    return f"{tokens}, cost {price.cost(usage.input_tokens, usage.output_tokens):.4f}"
