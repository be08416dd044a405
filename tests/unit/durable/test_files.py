"""What a web server serves of a folder is told apart by its size and the second of its change."""

from __future__ import annotations

from pathlib import Path

from sidecar.authority import home as authority
from sidecar.core.documents import WithdrawalKind
from sidecar.destinations.directory import DirectoryDestination
from sidecar.durable.files import write_atomically
from tests.unit.authority.reader import NOW


def test_law_1_no_two_editions_of_a_folder_are_of_one_second(tmp_path: Path) -> None:
    """nginx, and a cache before it that asks nginx whether anything changed, would hide one."""
    to = DirectoryDestination(tmp_path)
    seconds = []
    for edition in (b"v41", b"v42", b"v43"):
        to.write("metadata/timestamp.json", edition)
        path = tmp_path / "metadata/timestamp.json"
        assert path.read_bytes() == edition
        seconds.append(int(path.stat().st_mtime))
    assert seconds == sorted(set(seconds))


def test_law_1_a_home_dates_its_withdrawal_later_than_the_edition_before(tmp_path: Path) -> None:
    acme = authority.init(tmp_path / "acme", "acme", now=NOW)
    (timestamp,) = tmp_path.glob("acme/**/timestamp.json")
    before = int(timestamp.stat().st_mtime)
    authority.withdraw(acme, WithdrawalKind.CORPUS, "ab" * 32, "unfit", None, NOW)
    assert int(timestamp.stat().st_mtime) > before


def test_other_files_have_the_time_at_which_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "record"
    for data in (b"1", b"2", b"3"):
        write_atomically(path, data, mode=0o600)
    (tmp_path / "now").touch()
    assert path.stat().st_mtime <= (tmp_path / "now").stat().st_mtime
