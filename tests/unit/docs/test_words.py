"""The guides use the words of the glossary, and names that the code has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.guides import ROOT, pages

OF_THEIR_TIME = ("docs/adr/", "CHANGELOG.md")
"""Pages that are never rewritten."""
REPLACED = re.compile(
    r"\b(?:doors?|carriers?|desk|passage|rehears\w*|told|tells?|anew|mend(?:s|ed)?"
    r"|riddles?|keyring|xfcc_from)\b",
    re.IGNORECASE,
)
"""Words that the project used for something that has a name in its field."""

OF_PEOPLE = re.compile(
    r"\b(?:who|whoever|nobody|somebody|anybody|everybody|tells?|told|says?|said|wants|knows"
    r"|stands? (?!in for)|brings?|ways?)\b"
)
"""Words for people: a value returns, holds or states; it does not tell, and no value is a who."""


def prose(page: str) -> str:
    """A page without its blocks of code and the targets of its links."""
    text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / page).read_text("utf-8"), flags=re.S | re.M)
    return re.sub(r"\]\([^()\s]*\)", "]", text)


def test_no_guide_uses_a_word_that_was_replaced() -> None:
    found = [
        f"{page}: {match[0]}: …{text[max(0, match.start() - 40) : match.end() + 20]}…"
        for page in pages()
        if not page.startswith(OF_THEIR_TIME)
        for text in [prose(page)]
        for match in REPLACED.finditer(text)
    ]
    assert "\n".join(found) == ""


def test_every_term_of_the_glossary_is_defined_once() -> None:
    text = (ROOT / "docs/concepts.md").read_text("utf-8")
    cells = re.findall(r"^\| (?!term|name|-)(.*?) \|", text, re.M)
    terms = [term.strip(" `") for cell in cells for term in cell.split(", ")]
    assert sorted({term for term in terms if terms.count(term) > 1}) == []
    assert len(terms) > 60


def test_every_name_of_the_glossary_is_one_of_the_code() -> None:
    section = (ROOT / "docs/concepts.md").read_text("utf-8").split("## Names in the code\n")[1]
    names = [
        name
        for cell in re.findall(r"^\| (`.*?) \|", section, re.M)
        for name in re.findall(r"`(\w+)`", cell)
    ]
    sources = "\n".join(
        f"{path.stem}\n{path.read_text('utf-8')}"
        for folder in ("sidecar", "packages")
        for path in Path(ROOT / folder).rglob("*.py")
    )
    assert len(names) > 25
    assert [name for name in names if not re.search(rf"\b{name}\b", sources)] == []


def test_no_first_line_of_a_docstring_speaks_of_a_value_as_of_a_person() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {first}"
        for folder in ("sidecar", "devtools", "packages/envoy-extauthz-lint/src")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "_pb" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for first in (ast.get_docstring(node) or "").splitlines()[:1]
        if OF_PEOPLE.search(first)
    ]
    assert "\n".join(found) == ""
