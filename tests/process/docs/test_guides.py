"""The commands of the guides do what the guides say: each page in one shell, in an empty folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admit_server import admit_on_path
from tests.support.guides import SHELLS, blocks, pages, problems, run, steps

RUN = [
    page
    for page in pages()
    if any(block.language in SHELLS and not block.why for block in blocks(page))
]


@pytest.fixture(scope="module")
def admit() -> Iterator[dict[str, str]]:
    """``admit`` for shells; in a folder of its own, because a socket's path must be short."""
    with tempfile.TemporaryDirectory() as folder, admit_on_path(Path(folder)) as variables:
        yield variables


@pytest.mark.parametrize("page", RUN)
def test_every_command_of_the_page_does_what_the_page_says(
    page: str, tmp_path: Path, admit: dict[str, str]
) -> None:
    todo = [
        step
        for block in blocks(page)
        if block.language in SHELLS and not block.why
        for step in steps(block)
    ]
    assert "\n\n".join(problems(run(todo, tmp_path, **admit))) == ""


def test_a_command_that_fails_or_prints_something_else_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ false\n$ echo one two\none … three\n```\n\n"
        "```sh\nX=1\nls /nowhere\necho $X\n```\n\n"
        "```console\n$ echo a\\\n>  b\na b\n$ echo $X\n1\n```\n"
    )
    ran = run([step for block in blocks(str(page)) for step in steps(block)], tmp_path)
    found = list(problems(ran))
    assert [line.partition(": ")[0].rpartition(":")[2] for line in found] == ["2", "3", "7"]
