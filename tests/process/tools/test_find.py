"""What is found decides, and only the pinned version is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from admissibility_devtools.tools.find import ENVOY, NODE, go_path, pinned_go
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import OPA, Program, locate, opa_path, version_of
from tests.process.tools.conftest import Script

PINNED = "echo 'Version: 1.22.0'"
OTHER = "echo 'Version: 1.21.0'"


@pytest.fixture
def tools(bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    monkeypatch.setenv("ADMIT_TOOLS", str(folder))
    return folder


def test_the_operators_word_comes_before_tools_and_tools_before_path(
    tools: Path, bare_path: Path, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = script(bare_path / "opa", PINNED)
    found = [opa_path()]
    in_tools = script(tools / "bin" / "opa", PINNED)
    found.append(opa_path())
    named = script(tmp_path / "named", PINNED)
    monkeypatch.setenv("ADMIT_OPA", str(named))
    found.append(opa_path())
    assert found == [on_path, in_tools, named]


def test_another_version_is_an_error_and_not_a_reason_to_look_further(
    tools: Path, bare_path: Path, script: Script
) -> None:
    script(bare_path / "opa", PINNED)
    wrong = script(tools / "bin" / "opa", OTHER)
    with pytest.raises(ProgramError) as caught:
        opa_path()
    assert str(caught.value) == (
        f"{wrong} is opa 1.21.0, expected 1.22.0; run `make setup` or set ADMIT_OPA"
    )


@pytest.mark.parametrize("body", ["exit 0", "echo Version: 1.22.0 beta", f"{PINNED}; exit 1"])
def test_a_program_that_does_not_say_its_version_is_not_used(
    tools: Path, bare_path: Path, script: Script, body: str
) -> None:
    script(tools / "bin" / "opa", body)
    with pytest.raises(ProgramError, match=r"opa of unknown version, expected 1.22.0"):
        opa_path()


def test_a_binary_is_asked_again_once_its_file_is_another(tmp_path: Path) -> None:
    says, program = tmp_path / "says", tmp_path / "cat"
    shutil.copy(shutil.which("cat") or "", program)
    cat = Program("cat", "1", "CAT", (str(says),), r"^(\d)$")
    found = []
    for version in "1", "2":
        says.write_text(version)
        found.append(version_of(cat, program))
    os.utime(program)  # as a replacement with the same bytes has another time
    found.append(version_of(cat, program))
    assert found == ["1", "1", "2"]


def test_a_script_is_asked_each_time_because_what_it_runs_may_change(
    tools: Path, script: Script, tmp_path: Path
) -> None:
    says = tmp_path / "says"
    path = script(tools / "bin" / "opa", f"cat {says}")
    found = []
    for version in "1.22.0", "1.21.0":
        says.write_text(f"Version: {version}")
        found.append(version_of(OPA, path))
    assert found == ["1.22.0", "1.21.0"]


def test_a_missing_program_says_what_to_do(tools: Path, bare_path: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        locate(ENVOY)
    assert str(caught.value) == (
        f"envoy 1.40.0 is not in {tools / 'bin'} or on PATH; run `make setup`"
        " or set ADMIT_ENVOY to its path"
    )
    with pytest.raises(ProgramError) as caught:
        locate(NODE)
    assert str(caught.value) == (
        f"node 24.19.0 is not in {tools / 'bin'} or on PATH; run `make unit`"
        " or set ADMIT_NODE to its path"
    )
    with pytest.raises(ProgramError) as caught:
        go_path()
    assert str(caught.value) == "go is not here; run `make unit`, or install Go ≥ 1.26"


def test_any_go_on_path_is_taken_and_the_kept_one_else(
    tools: Path, bare_path: Path, script: Script
) -> None:
    kept = script(pinned_go(tools), "exit 0")
    found = [go_path()]
    on_path = script(bare_path / "go", "exit 0")
    assert [*found, go_path()] == [kept, on_path]


def test_a_path_that_cannot_be_run_is_one_clear_error(
    tools: Path, bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_OPA", str(tmp_path / "nothing"))
    with pytest.raises(ProgramError, match=r"nothing cannot be run .* run `make setup`"):
        locate(OPA)


def test_the_pinned_programs_of_this_checkout_are_what_they_say() -> None:
    assert [version_of(each, locate(each)) for each in (OPA, ENVOY, NODE)] == [
        *("1.22.0", "1.40.0", "24.19.0")
    ]
