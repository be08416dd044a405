"""Regal, the linter of the Rego community, finds nothing in the policies.

Where the program cannot be had, the tests that run it are skipped with the reason; the
configuration is checked in any case.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.tools.find import REGAL
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import locate
from tests.process.policies.opa import POLICIES, ROOT

CONFIGURATION = ROOT / ".regal" / "config.yaml"


def _regal() -> tuple[Path | None, str]:
    """The pinned program, or why it is not to be had."""
    try:
        return locate(REGAL), ""
    except ProgramError as error:
        return None, str(error)


PROGRAM, MISSING = _regal()
needs_regal = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


def violations(policies: Path) -> list[tuple[str, str]]:
    """Lint a tree: rule and file (below the tree) of every violation."""
    ran = subprocess.run(
        [str(PROGRAM), "lint", "--config-file", str(CONFIGURATION), "--format", "json", "."],
        cwd=policies, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["summary"]["files_scanned"] == len(list(policies.rglob("*.rego")))
    return [(one["title"], str(one["location"]["file"])) for one in report["violations"]]


@needs_regal
def test_regal_finds_nothing() -> None:
    assert violations(POLICIES) == []


@needs_regal
def test_regal_finds_an_expression_that_a_loop_repeats(tmp_path: Path) -> None:
    (tmp_path / "lib" / "facts").mkdir(parents=True)
    (tmp_path / "lib" / "facts" / "slow.rego").write_text(
        "package lib.facts\n\nslow if {\n\tsome adaptation in input.adaptations\n"
        '\tinput.request.provider == "openai"\n\tadaptation.base == "base-1"\n}\n'
    )
    assert violations(tmp_path) == [("non-loop-expression", "lib/facts/slow.rego")]


def test_each_rule_that_is_off_or_narrowed_has_its_reason() -> None:
    lines = CONFIGURATION.read_text().splitlines()
    rules = [place for place, line in enumerate(lines) if re.fullmatch(r" {4}[a-z-]+:", line)]
    assert len(rules) > 3
    for place in rules:
        assert re.match(r" {6}# \S+ \S+", lines[place + 1]), lines[place]
