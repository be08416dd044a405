"""Every table of a command is whole at 80 columns: no cell ends in an ellipsis."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from admissibility_devtools.tools.places import repository_root
from envoy_extauthz_lint import RULES, LintFinding, LintReport
from sidecar.cli import envoy

ROOT = repository_root()
WIDTH, MESSAGE = 80, "q" * 200


def shown(table: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=WIDTH).print(table)
    return stream.getvalue()


def test_the_linters_table_has_every_rule_whole() -> None:
    found = tuple(
        LintFinding(
            rule.id, rule.severity, f"{rule.id} {MESSAGE}", "r" * 200, "w" * 300, "/", 12345
        )
        for rule in RULES
    )
    report = LintReport(
        found,
        dumped=False,
        listeners=1,
        routes=1,
        gate="gate",
        providers=(),
        clusters=(),
        types=(),
        hosts=(),
    )
    text = shown(envoy._table(report))
    assert "…" not in text
    assert {rule.id for rule in RULES} <= set(text.split())
    assert text.count("q") >= 200 * len(found)


def columns() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((ROOT / "sidecar").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_column":
                yield path.name, node


@pytest.mark.slow
def test_no_column_is_cut_by_default() -> None:
    for name, call in columns():
        # rich cuts a column with an ellipsis if nothing else is asked for.
        assert {"overflow", "no_wrap"} & {each.arg for each in call.keywords}, (name, call.lineno)
    assert {name for name, _ in columns()} == {
        "assessment_view.py",
        "docs.py",
        "dry_run.py",
        "envoy.py",
        "policy_view.py",
        "tables.py",
    }
