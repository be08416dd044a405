"""The lint of ``policies/lint``, and the schemas of the data, over a tree with the real OPA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.policies.opa import POLICIES, opa


def modules(tree: Path) -> dict[str, Any]:
    """What OPA parses of every Rego file below ``tree``, by path."""
    return {
        path.relative_to(tree).as_posix(): _parsed(path) for path in sorted(tree.rglob("*.rego"))
    }


def _parsed(path: Path) -> Any:
    done = opa("parse", "--format", "json", "--json-include", "locations,comments", path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


_MATCH = """[problem |
    some name, value in input.params
    some error in json.match_schema(value, input.schemas[name])[1]
    problem := {
        "file": sprintf("params/%s/data.json", [name]), "row": 1, "code": "",
        "message": sprintf("%s: %s", [error.field, error.desc])
    }
]"""


def data_problems(tree: Path, folder: Path) -> list[dict[str, Any]]:
    """Where the data of ``tree`` is not as its schemas say; ``folder`` is a place for the input."""
    params = {
        path.parent.name: json.loads(path.read_text())
        for path in sorted((tree / "params").glob("*/data.json"))
    }
    schemas = {
        name: json.loads(path.read_text())
        for name in params
        if (path := tree / "schemas" / f"params.{name}.schema.json").exists()
    }
    question = folder / "params.json"
    question.write_text(json.dumps({"params": params, "schemas": schemas}))
    # The engine may match schemas here: it asks on a command line, not in a bundle.
    done = opa("eval", "--format", "json", "--strict-builtin-errors", "--input", question, _MATCH)
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    missing = [
        {
            "file": f"params/{name}/data.json",
            "row": 1,
            "code": "",
            "message": f"there is no schemas/params.{name}.schema.json",
        }
        for name in params
        if name not in schemas
    ]
    return found + missing


def problems(tree: Path, folder: Path) -> list[dict[str, Any]]:
    """Everything the lint finds in ``tree``; ``folder`` is a place for its input."""
    return judged(modules(tree), folder)


def judged(parsed: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Everything the lint finds in modules that are parsed already."""
    question = folder / "modules.json"
    question.write_text(json.dumps({"modules": parsed}))
    done = opa(
        "eval", "--format", "json", "--strict-builtin-errors",
        "--data", POLICIES / "lint" / "lint.rego", "--input", question, "data.lint.problems",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    return found
