"""Evidence folders: what is read, what is left out and said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.trust.evidence_folder import EvidenceFiles, read
from sidecar.trust.limits import EVIDENCE, EvidenceLimits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "evidence"
    (made / "a/b").mkdir(parents=True)
    (made / "one.json").write_bytes(b"1")
    (made / "a/b/two.dsse.json").write_bytes(b"2")
    return made


def left_out(folder: Path, *problems: str) -> None:
    """The two good files are read, and exactly these problems are told."""
    assert read(folder) == EvidenceFiles(frozenset({b"1", b"2"}), tuple(sorted(problems)))


def test_folders_are_read_at_any_depth(folder: Path) -> None:
    left_out(folder)


def test_what_bind_writes_beside_an_envelope_is_passed_over(folder: Path) -> None:
    for suffix in ("statement", "artifact"):
        (folder / f"manifest-0123456789ab.{suffix}.json").write_bytes(b"{}")
    left_out(folder)


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == EvidenceFiles(frozenset(), ())


def test_a_folder_that_is_none_is_told(folder: Path) -> None:
    path = folder / "one.json"
    assert read(path) == EvidenceFiles(frozenset(), (f"{path}: Not a directory",))


def test_a_file_that_is_removed_meanwhile_is_no_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was listed before; the system's own answer decides."""
    path = folder / "x.json"
    path.write_bytes(b"x")
    real = os.open

    def remove_first(name: os.PathLike[str], *arguments: int) -> int:
        path.unlink(missing_ok=True)
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", remove_first)
    found = read(folder)
    assert found.problems == ()
    assert found.files <= {b"1", b"2", b"x"}
    assert read(folder) == EvidenceFiles(frozenset({b"1", b"2"}), ())


def test_other_files_are_no_evidence(folder: Path) -> None:
    for name in ("x.txt", "json", "x.json.tmp", "x.JSON"):
        (folder / name).write_bytes(b"x")
    left_out(folder)


def test_what_is_not_json_is_left_to_the_verifier(folder: Path) -> None:
    (folder / "x.json").write_bytes(b"\xff")
    assert read(folder) == EvidenceFiles(frozenset({b"1", b"2", b"\xff"}), ())


def test_an_oversized_file_is_left_out(folder: Path) -> None:
    with (folder / "x.json").open("wb") as file:
        file.truncate(1 << 34)
    left_out(folder, f"{folder}/x.json: larger than {EVIDENCE.file} bytes")


def test_a_file_of_the_largest_size_is_read(folder: Path) -> None:
    data = b"x" * EVIDENCE.file
    (folder / "x.json").write_bytes(data)
    assert read(folder) == EvidenceFiles(frozenset({b"1", b"2", data}), ())


def test_an_unreadable_file_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser can read everything, so the refusal is the kernel's for another reason."""
    path = folder / "x.json"
    path.write_bytes(b"x")
    real = os.open

    def refuse(name: os.PathLike[str], *arguments: int) -> int:
        if Path(name) == path:
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    left_out(folder, f"{path}: Permission denied")


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(b"s")
    (folder / "x.json").symlink_to(tmp_path / "secret.json")
    (folder / "linked").symlink_to(tmp_path)
    left_out(folder, f"{folder}/x.json: a link; links are not followed")


def test_a_pipe_does_not_hold_up_the_reading(folder: Path) -> None:
    os.mkfifo(folder / "x.json")
    left_out(folder, f"{folder}/x.json: not a regular file")


def test_too_many_entries_are_told(folder: Path) -> None:
    assert read(folder, EvidenceLimits(entries=1)) == EvidenceFiles(
        frozenset(), (f"{folder}: more than 1 entries; the rest is left out",)
    )


def test_too_many_bytes_are_told(folder: Path) -> None:
    found = read(folder, EvidenceLimits(total=1))
    assert len(found.files) == 1
    assert found.problems == (f"{folder}: more than 1 bytes together; the rest is left out",)
