"""``python -m tests.mutants``: change one thing in the code, see a test fail; do it 400 times.

Mutants of sidecar/core and sidecar/identity, a sample drawn by seed, each under the unit tests that
reach the changed function. The score goes to standard output, with the diff of every survivor;
progress to standard error. Status: 0 when the score reaches the goal and every mutant was decided,
1 when not, 2 when mutmut could not run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.mutants import survivors
from tests.mutants.report import Report
from tests.mutants.survey import Outcome, change, outcome, sample, without_spinner

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = ROOT / "mutants"  # mutmut's own folder: a copy of the tree, mutants and results
ONE_QUICK_MODULE = "sidecar.core.refusals.*"


def main() -> None:
    """Draw, run, read and report."""
    options = _options()
    children = f"--max-children={options.children}"
    try:
        if not options.report:
            _forget_halves()
            _forget_old_stats()
            _mutmut("run", children, ONE_QUICK_MODULE)
        names = sample(_statuses(), options.count, options.seed, options.module)
        again = [n for n in names if _lives(_statuses()[n]) or not options.survivors]
        if again and not options.report:
            sys.stderr.write(f"mutants: {len(again)} of {len(_statuses())}\n")
            _mutmut("run", children, *again)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"mutants: {error}\n")
        sys.exit(2)
    statuses = {n: s for n, s in _statuses().items() if n in names}
    changes = {n: change(n, _show(n)) for n, s in statuses.items() if _lives(s)}
    reasons = survivors.read(survivors.FILE.read_text())
    report = Report(options.seed, statuses, changes, reasons)
    if options.json:
        text = json.dumps(report.plain(), indent=2)
    else:
        text = f"{report.survivors()}\n\n{report.table()}"
    sys.stdout.write(f"{text}\n")
    reached = 100 * report.total.share_of_explained >= options.goal
    sys.exit(0 if reached and not report.total.undecided else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="mutants in the sample (400)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (1)")
    parser.add_argument("--module", action="append", default=[], help="core, core.window, …: only")
    parser.add_argument("--children", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--goal", type=float, default=90, help="percent killed that is enough (90)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--survivors", action="store_true", help="only what was not killed before")
    again.add_argument("--report", action="store_true", help="run nothing, read the last results")
    return parser.parse_args()


def _mutmut(*arguments: str) -> None:
    """Run mutmut, its own output on standard error.

    Raises:
        CalledProcessError: it ended with another status than 0.
    """
    command = [sys.executable, "-m", "mutmut", *arguments]
    if sys.stderr.isatty():
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
        return
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as mutmut:
        assert mutmut.stdout is not None
        for line in without_spinner(mutmut.stdout):
            sys.stderr.write(line)
    if mutmut.returncode:
        raise subprocess.CalledProcessError(mutmut.returncode, command)


def _show(name: str) -> str:
    command = [sys.executable, "-m", "mutmut", "show", name]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _forget_halves() -> None:
    """Remove what an interrupted run left half written, and copies of tests that are gone."""
    shutil.rmtree(MUTANTS / "tests", ignore_errors=True)
    for package in ("core", "identity"):
        for file in (MUTANTS / "sidecar" / package).glob("*.py"):
            kept = [file.with_name(file.name + suffix) for suffix in (".meta", ".spans")]
            if not all(map(_whole, kept)) or not (ROOT / file.relative_to(MUTANTS)).exists():
                for each in (file, *kept):
                    each.unlink(missing_ok=True)


def _forget_old_stats() -> None:
    """Remove which test reaches which function, once a source or a test is newer than that."""
    stats = MUTANTS / "mutmut-stats.json"
    if stats.exists():
        measured = stats.stat().st_mtime
        sources = (f for top in ("sidecar", "tests") for f in (ROOT / top).rglob("*.py"))
        if any(file.stat().st_mtime > measured for file in sources):
            stats.unlink()


def _whole(file: Path) -> bool:
    try:
        json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    return True


def _statuses() -> dict[str, int | None]:
    """Return the exit status of each mutant that exists, None where it was not run.

    Raises:
        ValueError: mutmut's files hold something else.
        OSError: there are none yet.
    """
    found: dict[str, int | None] = {}
    for file in sorted(MUTANTS.glob("sidecar/**/*.py.meta")):
        found.update(json.loads(file.read_text())["exit_code_by_key"])
    if not found:
        message = f"no mutants in {MUTANTS}; run without --report first"
        raise FileNotFoundError(message)
    return found


def _lives(status: int | None) -> bool:
    return outcome(status) in (Outcome.SURVIVED, Outcome.UNDECIDED)


if __name__ == "__main__":
    main()
