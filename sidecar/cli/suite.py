"""``admit suite``: write, check, digest and grade evaluation suites."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.padding import Padding
from rich.text import Text

from sidecar.cli import common
from sidecar.cli.common import CliError, JsonOption, command_group
from sidecar.cli.tables import stdout
from sidecar.durable.files import write_atomically
from sidecar.evaluation.countersign import read_results
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import judges
from sidecar.evaluation.grading import GradedSuite, grade
from sidecar.evaluation.starter import STARTERS, starter_folder
from sidecar.evaluation.suite import SuiteFolder, read_suite
from sidecar.formats.amounts import amount

NOT_PASSED = 3
"""Exit status where a score is below the threshold, as for ``admit result``."""

SHOWN_CASES = 10

app = command_group("Write, check and grade evaluation suites.")

FolderArgument = Annotated[Path, typer.Argument(help="The suite's folder.", show_default=False)]


@app.command(name="list")
def list_(as_json: JsonOption = False) -> None:
    """List the starter suites that ``admit suite copy`` copies.

    Examples:
        admit suite list
    """
    suites = [read_suite(starter_folder(name)) for name in STARTERS]
    if as_json:
        print(json.dumps([_facts(each) for each in suites], indent=2))
        return
    console = stdout()
    for each in suites:
        where = f" ({each.jurisdiction})" if each.jurisdiction else ""
        asks = f", judge {', '.join(_judges(each))}" if _judges(each) else ""
        console.print(
            f"[bold]{each.name}[/bold]  {each.kind}{where}, {amount(len(each.cases), 'case')}{asks}"
        )
        console.print(Padding(Text(" ".join(each.description.split())), (0, 0, 0, 4), expand=False))


@app.command()
def copy(
    name: Annotated[str, typer.Argument(help="A starter suite (`admit suite list`).")],
    to: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
) -> None:
    """Copy a starter suite, to be extended with cases of one's own.

    Examples:
        admit suite copy jailbreak suites/jailbreak
    """
    if name not in STARTERS:
        raise CliError(f"{name} is not a starter suite; there are {', '.join(STARTERS)}")
    if to.exists():
        raise CliError(f"{to} exists already; name a folder that does not")
    shutil.copytree(starter_folder(name), to)
    print(f"{to}: a copy of {name}; add cases to cases.jsonl, then: admit suite check {to}")


@app.command()
def check(
    folders: Annotated[list[Path], typer.Argument(help="Suites' folders.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Check suites, and print each as an entry of an evaluation envelope.

    The digest changes with a case, the solver, the grader, a setting or the threshold: declare it
    after the last change.

    Examples:
        admit suite check suites/jailbreak
    """
    suites = [read_suite(folder) for folder in folders]
    if as_json:
        print(json.dumps([_facts(each) for each in suites], indent=2))
        return
    entries = [each.declaration() for each in suites]
    print(yaml.safe_dump({"suites": entries}, sort_keys=False, width=200), end="")


@app.command(name="grade")
def grade_(
    folder: FolderArgument,
    answers: Annotated[
        Path,
        typer.Option(help="JSONL: {id, output_text, finish_reason, judged?} for each case."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Results file for `admit result --results`.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Id of the model that answered; needed for --out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a model's answers; exit status 3 if the suite is not passed.

    Examples:
        admit suite grade suites/jailbreak --answers answers.jsonl
            --model ft:gpt-4o-2024-08-06:acme:support-v3:abc123 --out results.json
    """
    if out is not None and model is None:
        raise CliError("--out: a results file states the model that answered; give --model")
    graded = grade(read_suite(folder), common.read(answers, max_bytes=1 << 30))
    row = graded.row(model or "")
    if out is not None:
        _write_results(out, row)
    if as_json:
        print(json.dumps(_graded_facts(graded, row), indent=2))
    else:
        _print_graded(graded, out)
    if not graded.passed:
        raise typer.Exit(NOT_PASSED)


def _facts(suite: SuiteFolder) -> dict[str, Any]:
    return suite.declaration() | {
        "cases": len(suite.cases),
        "judges": _judges(suite),
        "description": " ".join(suite.description.split()),
    }


def _judges(suite: SuiteFolder) -> list[str]:
    """Return the models that judge its answers, which are called over a production route."""
    return sorted({each.model for each in judges(suite.grader)})


def _graded_facts(graded: GradedSuite, row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "threshold": graded.suite.threshold,
        "passed": graded.passed,
        "cases": [{"id": name, "score": score} for name, score in graded.cases],
    }


def _print_graded(graded: GradedSuite, out: Path | None) -> None:
    suite = graded.suite
    verdict = "passed" if graded.passed else "NOT passed"
    print(
        f"{suite.name}: {verdict}: {graded.score:.4f}, threshold {suite.threshold:g}, "
        f"95 % interval {graded.low:.4f} to {graded.high:.4f}, {amount(len(graded.cases), 'case')}"
    )
    worst = sorted((score, name) for name, score in graded.cases if score < 1)
    for score, name in worst[:SHOWN_CASES]:
        print(f"    {name}  {score:g}")
    if len(worst) > SHOWN_CASES:
        print(f"    and {len(worst) - SHOWN_CASES} more below 1; --json lists every case")
    if out is not None:
        print(f"results: {out}")


def _results(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a results file, which may be another tool's: nothing of it is lost."""
    try:
        read_results(common.read(path))
        held = json.loads(common.read(path))
    except (EvaluationError, ValueError) as error:
        raise CliError(f"{path} is not a results file; name another one: {error}") from error
    return list(held["results"] if isinstance(held, dict) else held)


def _write_results(out: Path, new: dict[str, Any]) -> None:
    """Add the suite to the results file; another score of the same suite is replaced."""
    rows = _results(out) if out.exists() else []
    same = ("name", "kind", "jurisdiction")
    kept = [row for row in rows if any(row.get(key) != new.get(key) for key in same)]
    write_atomically(out, json.dumps([*kept, new], indent=2).encode() + b"\n", mode=0o644)
