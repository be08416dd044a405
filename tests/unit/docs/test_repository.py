"""What people expect of a repository is there, and agrees with the code."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = next(path for path in Path(__file__).parents if (path / "mkdocs.yml").exists())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

LONGEST_ENTRY = 240
"""Characters of one change in the changelog: a sentence, not a paragraph."""


def loaded(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def workflows() -> dict[str, Any]:
    return {path.name: loaded(str(path)) for path in (ROOT / ".github/workflows").glob("*.yml")}


def test_ci_runs_everything_on_every_supported_python() -> None:
    job = workflows()["ci.yml"]["jobs"]["test"]
    versions = job["strategy"]["matrix"]["python"]
    oldest = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])
    assert oldest is not None
    assert versions == [f"3.{minor}" for minor in range(int(oldest[1]), 15)]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]


def test_ci_uses_actions_by_commit_and_the_least_permissions() -> None:
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {"contents": "read"}, name
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        used = [step["uses"] for step in steps if "uses" in step]
        assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []


def test_ci_builds_each_stage_that_is_an_image() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.M))
    job = workflows()["ci.yml"]["jobs"]["images"]
    assert set(job["strategy"]["matrix"]["target"]) == stages - {"build", "opa"}
    (build,) = [step["with"] for step in job["steps"] if "build-push" in step.get("uses", "")]
    assert (build["provenance"], build["sbom"]) == ("mode=max", True)


def test_ci_calls_only_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    runs = [
        step["run"].split()
        for workflow in workflows().values()
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("run", "").startswith("make ")
    ]
    called = {word for words in runs for word in words[1:] if "=" not in word}
    assert called - targets == set()


def test_hooks_before_a_commit_need_no_network() -> None:
    (repository,) = loaded(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    programs = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert programs == {".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/python"}


def test_every_room_is_on_the_map_and_no_owner_is_invented() -> None:
    text = (ROOT / ".github/CODEOWNERS").read_text("utf-8")
    rooms = set(re.findall(r"^#?(/\S+)", text, re.M))
    packages = {f"/sidecar/{path.parent.name}/" for path in ROOT.glob("sidecar/*/__init__.py")}
    packages |= {
        f"/{path.parent.relative_to(ROOT)}/" for path in ROOT.glob("packages/*/pyproject.toml")
    }
    assert packages - rooms == set()
    assert "@" not in re.sub(r"`[^`]*`", "", text)  # whom to name is the owner's to say


def test_every_room_on_the_map_exists() -> None:
    text = (ROOT / ".github/CODEOWNERS").read_text("utf-8")
    rooms = re.findall(r"^#?(/\S+)", text, re.M)
    assert [room for room in rooms if not (ROOT / room.strip("/")).exists()] == []


def test_every_helper_that_the_readme_of_the_tests_names_is_there() -> None:
    support = ROOT / "tests" / "support"
    text = (ROOT / "tests" / "README.md").read_text("utf-8")
    _, _, helpers = text.partition("## What to start from")
    packages = "|".join(path.parent.name for path in support.glob("*/__init__.py"))
    named = re.findall(rf"`({packages})\.([a-z0-9_]+)", helpers)
    assert len(named) > 10
    assert [name for name in named if not (support / name[0] / f"{name[1]}.py").exists()] == []


def test_no_file_holds_the_marks_of_a_conflict() -> None:
    marks = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    kinds = {".md", ".py", ".rego", ".toml", ".yaml", ".yml", ".json", ".proto", ""}
    folders = ("docs", "envoy", "policies", "sidecar", "tests", "devtools", "packages", "deploy")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    texts = [path for path in [*ROOT.glob("*"), *paths] if path.suffix in kinds and path.is_file()]
    assert len(texts) > 500
    assert [path for path in texts if marks.search(path.read_text("utf-8", "replace"))] == []


def test_every_decision_record_is_in_the_index_under_its_own_number() -> None:
    folder = ROOT / "docs" / "adr"
    files = sorted(path.name for path in folder.glob("[0-9]*.md"))
    rows = re.findall(
        r"^\| \[(\d{4})\]\((.*?)\) \|", (folder / "README.md").read_text("utf-8"), re.M
    )
    assert [name for _, name in rows] == files
    assert all(name.startswith(f"{number}-") for number, name in rows)
    numbers = [number for number, _ in rows]
    assert sorted(set(numbers)) == numbers


def test_the_changelog_has_one_line_for_a_change_and_the_version_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[?([^\]\s]+)\]?", text, re.M)
    assert headings[0] == "Unreleased"
    assert PROJECT["version"] in headings
    entries = [" ".join(found.split()) for found in re.findall(r"^- .*(?:\n  .*)*", text, re.M)]
    assert entries
    assert [entry for entry in entries if len(entry) > LONGEST_ENTRY] == []
    assert sorted({entry for entry in entries if entries.count(entry) > 1}) == []


def test_the_readme_says_that_no_licence_is_chosen_until_one_is() -> None:
    chosen = any(ROOT.glob("LICEN[CS]E*"))
    said = "has yet to choose a licence" in (ROOT / "README.md").read_text("utf-8")
    assert said is not chosen


def test_a_committed_link_leads_to_what_is_committed_too() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    links = [line.split("\t")[1] for line in listed.stdout.splitlines() if line[:6] == "120000"]
    files = {ROOT / line.split("\t")[1] for line in listed.stdout.splitlines()}
    committed = files | {folder for file in files for folder in file.parents}
    assert [
        link
        for link in links
        if (ROOT / link).readlink().is_absolute() or (ROOT / link).resolve() not in committed
    ] == [], "a link points outside of what a clone brings"
