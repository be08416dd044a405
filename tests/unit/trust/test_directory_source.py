"""The directory source gives capped bytes of what lies in its folder, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.trust.directory_source import DirectorySource, waits_for_timestamp
from sidecar.trust.source import SourceError, SourceMissingError

NAME = "metadata/timestamp.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "repository"
    (made / "metadata").mkdir(parents=True)
    (made / NAME).write_bytes(b"12345")
    (tmp_path / "secret").write_bytes(b"secret")
    return made


def test_a_file_is_read_up_to_its_cap(folder: Path) -> None:
    assert DirectorySource(folder).fetch(NAME, 5) == b"12345"
    with pytest.raises(SourceError) as caught:
        DirectorySource(folder).fetch(NAME, 4)
    assert str(caught.value) == f"{NAME} is larger than 4 bytes"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../secret",
        "metadata/../../secret",
        "metadata/./timestamp.json",
        "/etc/passwd",
        "metadata//timestamp.json",
        "metadata/",
        "metadata\\timestamp.json",
        "metadata/%2e%2e/secret",
        "metadata/time\0stamp",
        "metadata/time\nstamp",
        ".hidden",
    ],
)
def test_a_name_that_is_no_name_in_a_repository_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        DirectorySource(folder).fetch(name, 100)
    assert str(caught.value) == f"{name!r} is not a name in a repository"


def test_a_link_within_the_repository_is_followed(folder: Path) -> None:
    """Mounted configuration volumes consist of such links."""
    (folder / "metadata").rename(folder / "..2026")
    (folder / "metadata").symlink_to("..2026")
    assert DirectorySource(folder).fetch(NAME, 100) == b"12345"


def replaced_by_link(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("../../secret")


def folder_replaced_by_link(folder: Path) -> None:
    (folder / "metadata").rename(folder.parent / "elsewhere")
    (folder / "metadata").symlink_to(folder.parent / "elsewhere")


def loop(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("timestamp.json")


def fifo(folder: Path) -> None:
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)


def a_folder(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).mkdir()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (replaced_by_link, f"{NAME} leads out of the repository"),
        (folder_replaced_by_link, f"{NAME} leads out of the repository"),
        (loop, f"{NAME} cannot be read: Too many levels of symbolic links"),
        (fifo, f"{NAME} is not a regular file"),
        (a_folder, f"{NAME} is not a regular file"),
    ],
)
def test_what_is_no_file_of_the_repository_is_refused(
    folder: Path, spoil: Callable[[Path], None], why: str
) -> None:
    spoil(folder)
    with pytest.raises(SourceError) as caught:
        DirectorySource(folder).fetch(NAME, 100)
    assert (type(caught.value), str(caught.value)) == (SourceError, why)


@pytest.mark.parametrize("name", ["metadata/2.root.json", "targets/x.json", f"{NAME}/x"])
def test_what_is_not_there_is_missing(folder: Path, name: str) -> None:
    with pytest.raises(SourceMissingError) as caught:
        DirectorySource(folder).fetch(name, 100)
    assert str(caught.value) == f"{name} is not there"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError) as caught:
        DirectorySource(tmp_path / "nowhere").fetch(NAME, 100)
    assert str(caught.value) == f"there is no folder {tmp_path / 'nowhere'}"


@pytest.mark.parametrize(
    ("path", "waits"),
    [
        ("metadata/timestamp.json", False),
        ("metadata/3.root.json", False),
        ("metadata/root.json", False),
        ("metadata", False),
        ("..data", False),
        ("metadata/3.snapshot.json", True),
        ("metadata/3.targets.json", True),
        ("metadata/3.trust-domains.json", True),
        (f"targets/{'a' * 64}.withdrawals.json", True),
        ("metadata/.timestamp.json.tmp", True),
    ],
)
def test_files_that_a_timestamp_must_list_first_wait_for_it(path: str, waits: bool) -> None:
    assert waits_for_timestamp(f"/repository/{path}") is waits
