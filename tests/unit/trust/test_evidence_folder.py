"""Evidence folders: what is read, what is left out and said."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sidecar.trust import evidence_folder
from sidecar.trust.evidence_folder import EvidenceFiles, EvidenceFolder, read
from sidecar.trust.limits import EVIDENCE


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


def test_an_absent_folder_is_empty_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert read(path) == EvidenceFiles(frozenset(), (f"{path}: there is no such folder",))


def test_a_folder_that_is_none_is_reported(folder: Path) -> None:
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


def test_an_unreadable_file_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


LINK = "a link that leads nowhere or out of the folder; put a copy here"


def test_links_out_of_the_folder_are_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_bytes(b"s")
    (folder / "x.json").symlink_to(tmp_path / "secret.json")
    (folder / "y.json").symlink_to("nowhere")
    (folder / "linked").symlink_to(tmp_path)
    left_out(folder, *(f"{folder}/{name}: {LINK}" for name in ("linked", "x.json", "y.json")))


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "a/again").symlink_to("../a")
    left_out(folder)


def mounted(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """Switch a volume to new content as the kubelet does: one rename of a link."""
    (folder / name).mkdir(parents=True)
    for path, data in files.items():
        (folder / name / path).parent.mkdir(exist_ok=True)
        (folder / name / path).write_bytes(data)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_a_mounted_config_map_is_read_and_followed_when_it_is_switched(tmp_path: Path) -> None:
    mounted(tmp_path, "..one", {"x.json": b"1", "sub/y.json": b"2"})
    (tmp_path / "x.json").symlink_to("..data/x.json")
    (tmp_path / "sub").symlink_to("..data/sub")
    followed = EvidenceFolder(tmp_path)
    assert found(followed) == ({b"1", b"2"}, set(), ())
    mounted(tmp_path, "..two", {"x.json": b"3", "sub/y.json": b"2"})
    followed.note([f"{tmp_path}/..data"])
    assert found(followed) == ({b"3"}, {sha(b"1")}, ())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def found(followed: EvidenceFolder) -> tuple[set[bytes], set[str], tuple[str, ...]]:
    news = followed.read()
    return {*news.added}, {*news.removed}, news.problems


def test_only_noted_paths_are_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = EvidenceFolder(folder)
    followed.read()
    (folder / "one.json").write_bytes(b"9")
    (folder / "new").mkdir()
    (folder / "new/three.json").write_bytes(b"3")
    (folder / "a/b/two.dsse.json").unlink()
    followed.note([f"{folder}/one.json", f"{folder}/new", f"{folder}/a/b/other.json"])
    assert found(followed) == ({b"9", b"3"}, {sha(b"1")}, ())
    followed.note([f"{folder}/a"])
    assert found(followed) == (set(), {sha(b"2")}, ())


def test_a_folder_that_is_gone_takes_its_files_and_one_that_is_moved_in_brings_them(
    folder: Path, tmp_path: Path
) -> None:
    followed = EvidenceFolder(folder)
    followed.read()
    (folder / "a").rename(tmp_path / "out")
    followed.note([f"{folder}/a"])
    assert found(followed) == (set(), {sha(b"2")}, ())
    (tmp_path / "out").rename(folder / "in")
    followed.note([f"{folder}/in"])
    assert found(followed) == ({b"2"}, set(), ())


def test_a_copy_elsewhere_keeps_a_file(folder: Path) -> None:
    (folder / "copy.json").write_bytes(b"1")
    followed = EvidenceFolder(folder)
    assert sorted(followed.read().added) == [b"1", b"2"]
    (folder / "one.json").unlink()
    assert found(followed) == (set(), set(), ())
    (folder / "copy.json").unlink()
    assert found(followed) == (set(), {sha(b"1")}, ())


def test_a_file_rewritten_within_the_clock_s_granularity_is_seen(folder: Path) -> None:
    """Same size, same times: the file system's clock had not moved on."""
    path = folder / "one.json"
    followed = EvidenceFolder(folder)
    followed.read()
    times = path.stat()
    path.write_bytes(b"9")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert found(followed) == ({b"9"}, {sha(b"1")}, ())


def test_a_restart_reads_what_is_not_verified_or_may_have_further_signers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.trust.evidence_folder._SETTLED_NS", -1 << 62)
    (folder / "both.json").write_bytes(b'{"sig" "sig"}')
    first = EvidenceFolder(folder)
    first.read()
    seen = {path: file for path, file in first.take_changed().items() if file is not None}
    (folder / "a/b/two.dsse.json").unlink()
    verified = {sha(b"1"), sha(b"2"), sha(b'{"sig" "sig"}')}
    again = EvidenceFolder(folder, verified.__contains__, seen=seen)
    assert found(again) == ({b'{"sig" "sig"}'}, {sha(b"2")}, ())
    assert again.has(sha(b"1"))
    unverified = EvidenceFolder(folder, seen=seen)
    assert found(unverified)[0] == {b"1", b'{"sig" "sig"}'}


def test_what_has_no_room_is_read_later_and_forgets_nothing(folder: Path) -> None:
    followed = EvidenceFolder(folder)
    first = followed.read(room=1)
    assert (len(first.added), first.more) == (1, True)
    second = followed.read(room=0)
    assert (second.added, second.removed, second.more) == ((), (), True)
    third = followed.read(room=9)
    assert ({*first.added, *third.added}, third.more) == ({b"1", b"2"}, False)
    for name in ("one.json", "a/b/two.dsse.json"):
        (folder / name).write_bytes(b"90")
    followed.note([f"{folder}/one.json", f"{folder}/a"])
    assert followed.read(room=1).more
    assert followed.due(0.0)
    assert found(followed)[2] == ()
    assert {file.digest for file in followed._seen.values()} == {sha(b"90")}


def test_a_walk_without_room_goes_on_where_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first load of many files lists each folder, and opens each file, once."""
    names = [f"{number}.json" for number in range(10)]
    for name in names:
        (folder / "a" / name).write_bytes(name.encode())
    opened: list[str] = []
    real = os.open

    def counted(path: str, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr("sidecar.trust.regular.os.open", counted)
    followed = EvidenceFolder(folder)
    news = followed.read(room=8)
    added = [*news.added]
    while news.more:
        news = followed.read(room=8)
        added += news.added
        assert 1 <= len(news.added) <= 3
    assert sorted(added) == sorted([b"1", b"2", *(name.encode() for name in names)])
    assert len([path for path in opened if path.endswith(".json")]) == len(added)
    assert found(followed) == (set(), set(), ())


def test_a_file_that_is_seen_again_is_looked_at_and_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.trust.evidence_folder._SETTLED_NS", -1 << 62)
    followed = EvidenceFolder(folder)
    followed.read()
    monkeypatch.setattr("sidecar.trust.regular.os.open", None)
    assert found(followed) == (set(), set(), ())


def test_a_file_that_is_gone_when_it_is_looked_at_again_is_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing of its folder and the look at it, here."""
    followed = EvidenceFolder(folder)
    followed.read()
    real = os.lstat

    def remove_first(path: str) -> os.stat_result:
        if path == f"{folder}/one.json":
            (folder / "one.json").unlink(missing_ok=True)
        return real(path)

    monkeypatch.setattr("sidecar.trust.folder_walk.os.lstat", remove_first)
    assert found(followed) == (set(), {sha(b"1")}, ())


def test_what_changes_while_a_walk_waits_for_room_is_read_at_once_and_stays(folder: Path) -> None:
    for name in "bcde":
        (folder / f"{name}.json").write_bytes(name.encode())
    followed = EvidenceFolder(folder)
    assert followed.read(room=2).added == (b"b", b"c")
    (folder / "new.json").write_bytes(b"new")
    (folder / "b.json").unlink()
    (folder / "c.json").write_bytes(b"again")
    followed.note([f"{folder}/{name}.json" for name in ("new", "b", "c")])
    news = followed.read()
    assert ({*news.added}, {*news.removed}) == ({b"new", b"again"}, {sha(b"b"), sha(b"c")})
    assert news.more
    assert found(followed) == ({b"d", b"e", b"1", b"2"}, set(), ())
    assert not followed.read().more
    assert followed.has(sha(b"new"))


def test_a_reading_ends_early_where_the_gate_ends_and_forgets_nothing(folder: Path) -> None:
    ending: list[bool] = []
    followed = EvidenceFolder(folder, stopping=lambda: bool(ending))
    followed.read()
    (folder / "one.json").unlink()
    ending.append(True)
    followed.note([f"{folder}/one.json", f"{folder}/a"])
    news = followed.read()
    assert (news.removed, news.more) == ((), True)
    ending.clear()
    assert found(followed) == (set(), {sha(b"1")}, ())


def test_many_new_files_are_handed_over_while_more_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that they are verified meanwhile; each once, and some with the news itself."""
    monkeypatch.setattr(evidence_folder, "_HANDED_FILES", 2)
    for number in range(5):
        (folder / f"more-{number}.json").write_bytes(b"more %d" % number)
    handed: list[tuple[bytes, ...]] = []
    news = EvidenceFolder(folder).read(hand=handed.append)
    assert [len(each) for each in handed] == [2, 2, 2]
    files = [data for each in (*handed, news.added) for data in each]
    assert sorted(files) == [b"1", b"2", *(b"more %d" % number for number in range(5))]


def test_a_pipe_does_not_hold_up_the_reading(folder: Path) -> None:
    os.mkfifo(folder / "x.json")
    left_out(folder, f"{folder}/x.json: not a regular file")
