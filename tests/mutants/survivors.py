"""Read ``survivors.toml``: the mutants that no test needs to kill, each with the reason."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.mutants.survey import Change

FILE = Path(__file__).parent / "survivors.toml"
_FIELDS = {"function", "old", "new", "reason"}


def read(text: str) -> dict[Change, str]:
    """Return the reason of each recorded change.

    Raises:
        ValueError: not TOML, or an entry without exactly the four texts, or the same one twice.
    """
    reasons: dict[Change, str] = {}
    for number, entry in enumerate(tomllib.loads(text).get("survivor", []), start=1):
        if set(entry) != _FIELDS or not all(isinstance(v, str) for v in entry.values()):
            message = f"survivor {number} has {sorted(entry)}; expected texts {sorted(_FIELDS)}"
            raise ValueError(message)
        if not entry["reason"].strip():
            message = f"survivor {number} ({entry['function']}) has no reason"
            raise ValueError(message)
        change = _change(entry)
        if change in reasons:
            message = f"survivor {number} ({entry['function']}) is recorded twice"
            raise ValueError(message)
        reasons[change] = entry["reason"].strip()
    return reasons


def outdated(changes: Iterable[Change], root: Path) -> list[Change]:
    """Return the changes whose old lines are no longer in their function below ``root``."""
    return [change for change in changes if not _holds(change, root)]


def _change(entry: Mapping[str, Any]) -> Change:
    lines = (
        "\n".join(line.strip() for line in entry[k].strip().splitlines()) for k in ("old", "new")
    )
    return Change(entry["function"], *lines)


def _holds(change: Change, root: Path) -> bool:
    source = _source(change.function, root)
    return f"\n{change.old}\n" in "\n".join(["", *(li.strip() for li in source), ""])


def _source(function: str, root: Path) -> list[str]:
    """Return the lines of a function named as ``package.module[.Class].function``; none if gone."""
    parts = function.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        file = root.joinpath(*parts[:cut]).with_suffix(".py")
        if file.is_file():
            text = file.read_text()
            node: ast.AST = ast.parse(text)
            for name in parts[cut:]:
                found = [n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == name]
                if not found:
                    return []
                node = found[-1]
            assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            return text.splitlines()[node.lineno - 1 : node.end_lineno]
    return []
