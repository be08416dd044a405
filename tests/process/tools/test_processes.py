"""Long commands show that they are alive; an Envoy that cannot start says why."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_process import EnvoyProcess
from admissibility_devtools.tools.progress import run_shown
from sidecar.opa.errors import ProgramError


def test_a_long_command_shows_what_it_does_and_that_it_ended(tmp_path: Path) -> None:
    out = io.StringIO()
    run_shown(
        ["sh", "-c", "echo one; echo two >&2"],
        label="making it",
        log=tmp_path / "log" / "it.log",
        summary=lambda log: f"{len(log.splitlines())} lines",
        out=out,
    )
    first, *_, last = out.getvalue().splitlines()
    assert (first.startswith("making it: 0 s, "), last.startswith("making it: done in ")) == (
        True,
        True,
    )
    assert (tmp_path / "log" / "it.log").read_text(encoding="utf-8") == "one\ntwo\n"


def test_a_command_that_fails_is_reported_in_one_line_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    with pytest.raises(ProgramError) as caught:
        run_shown(["sh", "-c", "echo a; echo why; exit 4"], label="it", log=log, out=io.StringIO())
    assert str(caught.value) == f"it failed: why (all of it: {log})"


def test_a_command_that_is_not_there_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="it: /no/such cannot be run"):
        run_shown(["/no/such"], label="it", log=tmp_path / "it.log", out=io.StringIO())


def test_an_envoy_that_cannot_start_says_why_and_leaves_no_child(tmp_path: Path) -> None:
    envoy = EnvoyProcess("nonsense: true\n", tmp_path)
    with pytest.raises(ProgramError, match=r"Envoy ended with 1: .*nonsense"):
        envoy.start()
    assert envoy.pid is None
