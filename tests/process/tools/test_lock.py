"""Dependencies are locked by hash, wherever they come from; and `make` tells what it can do."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from admissibility_devtools.tools.places import repository_root

ROOT = repository_root()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD: list[str] = PROJECT["build-system"]["requires"]
RUNTIME: list[str] = PROJECT["project"]["dependencies"]
EXTRAS: list[str] = [
    each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra
]


def entries(name: str) -> list[str]:
    """Each requirement of a lock with all its hashes, as one line."""
    text = (ROOT / name).read_text(encoding="utf-8")
    joined = re.sub(r"[ \t]*\\\n[ \t]*", " ", text)
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("requirements.txt", BUILD + RUNTIME + EXTRAS),
        ("requirements-runtime.txt", BUILD + RUNTIME),
    ],
)
def test_every_dependency_is_locked_by_version_and_hash_and_nothing_else_is_said(
    lock: str, asked: list[str]
) -> None:
    pinned = re.compile(r"([a-z0-9-]+)==[0-9][0-9a-z.]*( --hash=sha256:[0-9a-f]{64})+")
    matches = [(line, pinned.fullmatch(line)) for line in entries(lock)]
    assert [line for line, match in matches if match is None] == []
    names = {match.group(1) for _, match in matches if match is not None}
    assert {name_of(each) for each in asked} - names == set()


def test_the_image_gets_the_same_versions_that_the_tests_ran_with() -> None:
    runtime = entries("requirements-runtime.txt")
    names = {name_of(line) for line in runtime}
    assert runtime == [line for line in entries("requirements.txt") if name_of(line) in names]


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    targets = [line.split()[1] for line in listed]
    assert targets == phony.group(1).split()
