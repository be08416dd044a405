"""``admit docs``: every page and section that a message names is there, also in an installation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sidecar import resources
from sidecar.cli.docs import section_of
from sidecar.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
NAMED = re.compile(r"admit docs ([\w/-]+)(?: ([\w-]+))?")
_FILE = re.compile(r"\bdocs/[\w/-]+\.md\b")


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["docs", *arguments])
    return found.exit_code, found.stdout


def texts() -> Iterator[tuple[str, str]]:
    """Every text in the code that is no docstring and no help: file, text."""
    for root in ("sidecar", "packages/envoy-extauthz-lint/src"):
        for path in sorted((ROOT / root).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            documented = {
                id(node.body[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and node.body
                and isinstance(node.body[0], ast.Expr)
            }
            for node in ast.walk(tree):
                value = node.value if isinstance(node, ast.Constant) else None
                if isinstance(value, str) and id(node) not in documented:
                    yield path.relative_to(ROOT).as_posix(), value


@pytest.mark.slow
def test_a_message_names_no_file_of_the_repository_that_an_installation_lacks() -> None:
    found = {(path, text) for path, text in texts() if _FILE.search(text)}
    assert {path for path, _ in found} == {"sidecar/cli/docs.py"}


@pytest.mark.slow
def test_every_page_and_section_that_a_message_names_can_be_printed() -> None:
    named = {each for _, text in texts() for each in NAMED.findall(text)}
    assert {page for page, _ in named} >= {"trust", "envoy-lint", "operations", "sre"}
    for page, section in named:
        status, text = run(page, *([section] if section else []))
        assert (status, "# " in text) == (0, True), (page, section)


def test_a_runbook_of_an_alert_is_printed_as_the_alert_names_it() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
    books = {each["annotations"]["runbook"] for group in rules["groups"] for each in group["rules"]}
    assert "docs/sre.md#gatesilent" in books
    for book in books:
        status, text = run(book)
        assert (status, text.splitlines()[0].lower()) == (0, f"#### {book.partition('#')[2]}")


def test_a_section_ends_where_the_next_of_its_depth_begins() -> None:
    page = "# A\n\n## B (x)\n\n```sh\n# no heading\n```\n\n### C\n\ntext\n\n## D\n\nend\n"
    assert section_of(page, "b-x") == "## B (x)\n\n```sh\n# no heading\n```\n\n### C\n\ntext\n"
    assert section_of(page, "D") == "## D\n\nend\n"
    assert section_of(page, "no heading") == ""


def test_the_list_has_every_page_with_its_title() -> None:
    status, text = run("--json")
    assert status == 0
    assert [*yaml.safe_load(text)] == [*resources.guides()]
    assert all(yaml.safe_load(text).values())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(("sree",), "did you mean sre?"), (("sre", "nothing"), "sre has no section 'nothing'")],
)
def test_a_page_that_is_not_there_is_one_line(arguments: tuple[str, ...], why: str) -> None:
    found = CliRunner().invoke(app, ["docs", *arguments])
    assert why in str(found.exception)
