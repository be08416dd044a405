"""Checks policies before they are merged and runs their tests.

Each check is a command of the real OPA. Every problem has the same four fields, for people and for
programs.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from sidecar.opa import capabilities, executable
from sidecar.opa.errors import PolicyError
from sidecar.opa.tree import CAPABILITIES, require_policies
from sidecar.policy import more_evidence
from sidecar.policy.leftovers import leftovers

SCHEMAS = "schemas"
PARAMS = "params"
LINT = "lint"
_UNDEFINED = re.compile(r"(?:rego_type_error: )?undefined function (\S+)")
_INSTEAD = "; the time is input.now, and data.lib.dates compares with it"
_DATA_PROBLEMS = (
    "[[id, error.field, error.desc] | some id, value in input.params;"
    " some error in json.match_schema(value, input.schemas[id])[1]]"
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: file (relative to the tree), row (0 for the whole file), rule code, message."""

    file: str
    row: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of one check: its name, its problems, its duration in seconds.

    ``done`` is false if OPA cannot parse the policies; then the types check names the file and the
    reason.
    """

    name: str
    problems: tuple[Problem, ...]
    seconds: float
    done: bool = True


def check(program: Path, policies: Path) -> Iterator[Checked]:
    """Yield each check as it is done: ``format``, ``types``, ``data``, ``lint``, ``evidence``.

    Args:
        program: OPA.
        policies: The folder.

    Raises:
        PolicyError: OPA cannot be run, or the folder lacks its schemas, capabilities or lint.
    """
    require_policies(policies)
    tree = policies.absolute()
    for needed in (SCHEMAS, LINT):
        if not (tree / needed).exists():
            raise PolicyError(f"{policies / needed}: there is no such file")
    steps: tuple[tuple[str, Callable[[Path, Path], list[Problem] | None]], ...] = (
        ("format", _format),
        ("types", _types),
        ("data", data_problems),
        ("lint", _lint),
        ("evidence", _evidence),
    )
    readable = True
    for name, step in steps:
        began = time.perf_counter()
        found = step(program, tree) if readable or step is not _evidence else None
        readable = readable and not (name == "types" and found)
        problems = tuple(sorted(set(found or ())))
        yield Checked(name, problems, time.perf_counter() - began, done=found is not None)


def require_types(program: Path, policies: Path) -> None:
    """Require that policies pass the types check; a folder without schemas is not checked.

    OPA serves a rule that misspells a fact, and it never fires: what such policies answer shows
    nothing. Schemas are not served, so a folder that was made from a bundle has none.

    Raises:
        PolicyError: They do not, or OPA cannot be run; the message has the first problem.
    """
    tree = policies.absolute()
    found = sorted(_types(program, tree)) if (tree / SCHEMAS).is_dir() else []
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more)" if found[1:] else ""
        raise PolicyError(
            f"{policies / first.file}:{first.row}: {' '.join(first.message.split())}{more};"
            " `admit policy check` shows them all"
        )


def _format(program: Path, tree: Path) -> list[Problem] | None:
    ran = executable.run(program, "fmt", "--list", "--fail", ".", folder=tree)
    if ran.returncode == 0:
        return []
    unlike = "not formatted: opa fmt --write mends it"
    # What cannot be parsed cannot be formatted; the next check names the place.
    found = [Problem(file, 0, "", unlike) for file in ran.stdout.split() if file.endswith(".rego")]
    return found or None


def _types(program: Path, tree: Path) -> list[Problem]:
    ran = executable.run(
        program, "check", "--strict", "--bundle", "--schema", SCHEMAS,
        "--capabilities", CAPABILITIES, "--format", "json", ".", folder=tree,
    )  # fmt: skip
    if ran.returncode == 0:
        return []
    problems = _errors(ran)
    if not any(_UNDEFINED.fullmatch(problem.message) for problem in problems):
        return problems
    refused = capabilities.nondeterministic(program)
    return [replace(one, message=_named(one.message, refused)) for one in problems]


def _named(message: str, refused: frozenset[str]) -> str:
    """Rewrite OPA's message about a built-in function that the capabilities leave out."""
    undefined = _UNDEFINED.fullmatch(message)
    if undefined is None or undefined[1] not in refused:
        return message
    instead = _INSTEAD if undefined[1].startswith("time.") else ""
    return (
        f"a policy may not call {undefined[1]}: its result depends on more than the facts"
        f" (network, clock, randomness or environment){instead}"
    )


def _errors(ran: CompletedProcess[str]) -> list[Problem]:
    try:
        errors = json.loads(ran.stderr or ran.stdout)["errors"]
        return [
            Problem(
                str(error.get("location", {}).get("file", "")),
                int(error.get("location", {}).get("row", 0)),
                "",
                str(error["message"]) + _expected(error),
            )
            for error in errors
        ]
    except (ValueError, KeyError, TypeError):
        return [Problem("", 0, "", executable.refusal(ran))]


def _expected(error: dict[str, Any]) -> str:
    """Return the names that the schema has where a reference is undefined; empty for the rest."""
    details = error.get("details")
    wanted = details.get("oneOf") if isinstance(details, dict) else None
    if not isinstance(wanted, list) or not wanted:
        return ""
    return f"; expected one of {', '.join(map(str, wanted))}"


def data_problems(program: Path, tree: Path) -> list[Problem]:
    """Validate the data of each package against its schema, and that there is such a package."""
    params = {path.parent.name: path for path in (tree / PARAMS).glob("*/data.json")}
    schemas = {
        path.name.split(".")[1]: path for path in (tree / SCHEMAS).glob(f"{PARAMS}.*.schema.json")
    }
    lone = [
        Problem(path.relative_to(tree).as_posix(), 0, "", f"schemas/params.{name}.schema.json")
        for name, path in params.items()
        if name not in schemas
    ]
    problems = [Problem(p.file, 0, "", f"there is no {p.message}") for p in lone]
    both = sorted(params.keys() & schemas.keys())
    question = {
        "params": {name: _json(params[name]) for name in both},
        "schemas": {name: _json(schemas[name]) for name in both},
    }
    for name, field, why in _evaluate(program, question, _DATA_PROBLEMS):
        file = params[name].relative_to(tree).as_posix()
        problems.append(Problem(file, 0, "", f"{field}: {why}"))
    files = (*params.items(), *schemas.items())
    return problems or [
        Problem(path.relative_to(tree).as_posix(), 0, "", why)
        for path, why in leftovers(tree, files, question["params"])
    ]


def _lint(program: Path, tree: Path) -> list[Problem] | None:
    modules = parsed(program, tree)
    if any(module is None for module in modules.values()):
        return None
    return lint_problems(program, modules, tree / LINT)


def _evidence(program: Path, tree: Path) -> list[Problem] | None:
    """Report rules that deny a call for one result or approval more, after the types are right."""
    samples = more_evidence.admissible_calls(program, tree)
    untested = "its tests name no call that it admits (admissible), so no rule is checked with more"
    problems = [
        Problem(f"jurisdiction/{package}", 0, "", f"{untested} evidence")
        for package, calls in samples.items()
        if not calls
    ]
    return problems + [
        Problem(
            f"jurisdiction/{one.package}",
            0,
            one.code,
            f"denies an admissible call of the tests for {one.added} in addition: ask whether"
            " there is one that satisfies the rule, or losing this file would admit the call",
        )
        for one in more_evidence.contradictions(program, tree, samples)
    ]


def lint_problems(program: Path, modules: Mapping[str, Any], lint: Path) -> list[Problem]:
    """Run the lint, a folder of policies, on modules as ``parsed`` returns them."""
    policies = [
        path for path in sorted(lint.glob("*.rego")) if not path.name.endswith("_test.rego")
    ]
    found = _evaluate(program, {"modules": modules}, "data.lint.problems", policies)
    return [Problem(one["file"], int(one["row"]), one["code"], one["message"]) for one in found]


def parsed(program: Path, tree: Path) -> dict[str, Any]:
    """Parse every Rego file below ``tree``; return modules by name, None where OPA cannot."""
    files = sorted(path for path in tree.rglob("*.rego") if not path.is_symlink())
    with ThreadPoolExecutor(2) as pool:
        modules = pool.map(lambda path: _parsed(program, path), files)
        named = zip(files, modules, strict=True)
        return {path.relative_to(tree).as_posix(): module for path, module in named}


def _parsed(program: Path, path: Path) -> Any:  # noqa: ANN401 - JSON
    ran = executable.run(
        program, "parse", "--format", "json", "--json-include", "locations,comments", path
    )
    return json.loads(ran.stdout) if ran.returncode == 0 else None


def _evaluate(
    program: Path, question: object, query: str, policies: Iterable[Path] = ()
) -> list[Any]:
    with tempfile.TemporaryDirectory(prefix="admit-policy-") as folder:
        asked = Path(folder) / "input.json"
        asked.write_text(json.dumps(question))
        answer = executable.run_json(
            program, "eval", "--format", "json", "--strict-builtin-errors",
            *(word for path in policies for word in ("--data", path)), "--input", asked, query,
        )  # fmt: skip
    try:
        found: list[Any] = answer["result"][0]["expressions"][0]["value"]
    except (KeyError, IndexError) as error:
        raise PolicyError(f"OPA has no answer to {query}") from error
    return found


def _json(path: Path) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: not JSON: {error}") from error


# ---- tests ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """The result of one policy test."""

    package: str
    name: str
    passed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The results of the tests of a tree.

    Attributes:
        cases: Every test, by package and name.
        coverage: Coverage of all rules in percent; ``None`` unless every test ran and passed.
        uncovered: Rows that no test reaches, by file.
    """

    cases: tuple[Case, ...]
    coverage: float | None
    uncovered: dict[str, tuple[tuple[int, int], ...]]

    @property
    def failed(self) -> tuple[Case, ...]:
        """Return the tests that do not pass."""
        return tuple(case for case in self.cases if not case.passed)


def run_tests(program: Path, policies: Path, pattern: str | None = None) -> Report:
    """Run the tests beside the rules.

    Args:
        program: OPA.
        policies: The folder.
        pattern: A regular expression over ``package.name``; coverage is measured without one only.

    Raises:
        PolicyError: The policies do not compile, or there is no such test.
    """
    require_policies(policies)
    words = (
        "test", "--bundle", "--schema", SCHEMAS, "--capabilities", CAPABILITIES, "--format", "json"
    )  # fmt: skip
    chosen = () if pattern is None else ("--run", pattern)
    ran = executable.run(program, *words, *chosen, ".", folder=policies.absolute())
    cases = _cases(ran)
    if pattern is not None or not all(case.passed for case in cases):
        return Report(cases, None, {})
    report = executable.run_json(program, *words, "--coverage", ".", folder=policies.absolute())
    uncovered = {
        name: tuple(
            dict.fromkeys(
                (rows["start"]["row"], rows["end"]["row"]) for rows in file["not_covered"]
            )
        )
        for name, file in report["files"].items()
        if file.get("not_covered")
    }
    return Report(cases, float(report["coverage"]), uncovered)


def _cases(ran: CompletedProcess[str]) -> tuple[Case, ...]:
    try:
        results = json.loads(ran.stdout)
    except ValueError as error:
        raise PolicyError(f"OPA refuses the policies: {executable.refusal(ran)}") from error
    if not results:
        raise PolicyError("there is no such test")
    cases = (
        Case(
            package=re.sub(r'\["([^"]+)"\]', r".\1", str(one["package"])).removeprefix("data."),
            name=str(one["name"]),
            passed=not (one.get("fail") or one.get("error") or one.get("skip")),
            seconds=one.get("duration", 0) / 1e9,
        )
        for one in results
    )
    return tuple(sorted(cases, key=lambda case: (case.package, case.name)))
