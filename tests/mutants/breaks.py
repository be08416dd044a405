"""``python -m tests.mutants.breaks``: break a line that matters, see the tests named for it fail.

Each break of ``breaks.toml`` is made in a copy of the tree, and its test files are run there. The
status is 0 when every break was caught, 1 when one was missed, 2 when the tests fail without a
break or a line is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_suffix(".toml")
LONGEST_SECONDS = 600
_SUMMARY = re.compile(r"(FAILED|ERROR) tests/")  # a line of pytest's short summary
_LINKED = (".venv", ".tools")  # what tests look up beside the sources


class BreaksError(Exception):
    """The breaks cannot be tried: what was found, and what to do."""


@dataclass(frozen=True, slots=True)
class Break:
    """A line of a file, what takes its place, and the tests of which one must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What pytest said of a break: the first test that failed, or that none did."""

    name: str
    caught: bool
    by: str


def read(text: str) -> tuple[Break, ...]:
    """Parse ``breaks.toml``.

    Raises:
        BreaksError: A field is missing or unknown, tests are missing, or a name is there twice.
    """
    found = []
    for number, entry in enumerate(tomllib.loads(text).get("break", []), start=1):
        try:
            found.append(Break(**{**entry, "tests": tuple(entry["tests"])}))
        except (KeyError, TypeError) as error:
            raise BreaksError(f"break {number}: {error}") from error
        if not found[-1].tests or found[-1].old == found[-1].new:
            raise BreaksError(f"break {number} has no tests, or changes nothing")
    if len({each.name for each in found}) != len(found) or not found:
        raise BreaksError("no breaks, or two of one name")
    return tuple(found)


def broken(source: str, made: Break) -> str:
    """Return ``source`` with the line replaced, at every place where it is.

    Raises:
        BreaksError: The line is nowhere.
    """
    lines = source.splitlines(keepends=True)
    if f"{made.old}\n" not in lines:
        raise BreaksError(
            f"{made.file}: no line {made.old.strip()!r}; put the line that now does its work"
            f" into {FILE.name} ({made.name})"
        )
    return "".join(f"{made.new}\n" if line == f"{made.old}\n" else line for line in lines)


def main() -> None:
    """Try every break, one after another."""
    options = _options()
    try:
        breaks = [b for b in read(options.breaks.read_text()) if options.only in b.name]
        if not breaks:
            raise BreaksError(f"no break's name has {options.only!r} in it")
        with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
            copy = Path(folder) / "tree"
            _copy(options.tree.resolve(), copy)
            _check_whole(copy, breaks)
            results = [_try(copy, each) for each in breaks]
    except (BreaksError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"breaks: {error}\n")
        sys.exit(2)
    caught = sum(result.caught for result in results)
    if options.json:
        text = json.dumps([asdict(result) for result in results], indent=2)
    else:
        rows = [f"{'caught' if r.caught else 'MISSED'}  {r.name}\n        {r.by}" for r in results]
        text = "\n".join([*rows, f"{caught} of {len(results)} breaks are caught"])
    sys.stdout.write(f"{text}\n")
    sys.exit(0 if caught == len(results) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.breaks", description=__doc__)
    parser.add_argument("--only", default="", help="breaks with this in their name")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to break (a copy)")
    parser.add_argument("--breaks", type=Path, default=FILE, help="another list, for another tree")
    parser.add_argument("--json", action="store_true", help="a JSON list in place of the lines")
    return parser.parse_args()


def _copy(tree: Path, copy: Path) -> None:
    """Copy what git knows of, and link what is installed beside it."""
    command = ["git", "-C", str(tree), "ls-files", "-z", "--cached", "--others"]
    listed = subprocess.run([*command, "--exclude-standard"], check=True, capture_output=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (tree / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, copy / name)
    for name in _LINKED:
        if (tree / name).exists():
            (copy / name).symlink_to(tree / name)


def _check_whole(copy: Path, breaks: Sequence[Break]) -> None:
    """See every test file pass before anything is broken: else nothing that fails means anything.

    Raises:
        BreaksError: A test fails, or a line is not there.
    """
    for each in breaks:
        broken((copy / each.file).read_text(), each)
    files = sorted({file for each in breaks for file in each.tests})
    sys.stderr.write(f"breaks: {len(files)} files and tests, unbroken\n")
    ended = _pytest(copy, files)
    if ended.returncode != 0:
        raise BreaksError(f"the tests fail without a break:\n{ended.stdout}{ended.stderr}")


def _try(copy: Path, made: Break) -> Result:
    """Break, run, restore. Only failing tests (pytest's status 1) count as caught."""
    path = copy / made.file
    source = path.read_text()
    sys.stderr.write(f"breaks: {made.name}\n")
    path.write_text(broken(source, made))
    try:
        ended = _pytest(copy, made.tests)
    except subprocess.TimeoutExpired:
        return Result(made.name, caught=False, by=f"no result within {LONGEST_SECONDS} s")
    finally:
        path.write_text(source)
    failed = [line for line in ended.stdout.splitlines() if _SUMMARY.match(line)]
    by = failed[0] if failed else f"pytest ended with status {ended.returncode}"
    return Result(made.name, ended.returncode == 1 and bool(failed), by)


def _pytest(copy: Path, files: Sequence[str]) -> subprocess.CompletedProcess[str]:
    options = ["-q", "-x", "-rfE", "--no-header", "-p", "no:cacheprovider", "--tb=line"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=copy,
        env=_environment(copy),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def _environment(copy: Path) -> dict[str, Any]:
    """Return the environment in which the copy is imported, by subprocesses of tests too."""
    parts = [copy, copy / "devtools", copy / "packages" / "envoy-extauthz-lint" / "src"]
    # Without .pyc files, a line changed within one second is never taken for the one before.
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, parts)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


if __name__ == "__main__":
    main()
