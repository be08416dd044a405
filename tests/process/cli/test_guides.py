"""The guides for authorities and auditors name commands and options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import main

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = ("authorities.md", "verify-without-us.md")
GROUPS = {"authority", "declare", "evaluate", "job", "retirements", "suite"}


def commands(guide: str) -> list[list[str]]:
    """Every ``admit …`` in the guide's shell blocks, split as a shell would."""
    text = (DOCS / guide).read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`(admit [^`]+)`", text)
    return [
        shlex.split(line, comments=True)[1:]
        for line in (*lines, *inline)
        if line.startswith("admit ")
    ]


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_names_only_commands_and_options_that_exist(guide: str) -> None:
    found = commands(guide)
    assert found
    for words in found:
        path = words[:2] if words[0] in GROUPS else words[:1]
        shown = CliRunner().invoke(
            main.app, [*path, "--help"], prog_name="admit", env={"COLUMNS": "250"}
        )
        assert shown.exit_code == 0, words
        for word in words:
            if word.startswith("--"):
                assert re.search(rf"{re.escape(word)}\b", shown.output), (words, word)
