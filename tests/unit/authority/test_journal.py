"""A command that dies anywhere leaves a set that readers accept, and the next one completes it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError

from sidecar.authority import home as authority
from sidecar.authority import journal
from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import FileWrite
from sidecar.authority.open_home import Home
from sidecar.core.documents import Withdrawal, WithdrawalKind
from tests.unit.authority.helpers import Pin, withdrawn
from tests.unit.authority.reader import NOW

ENTRY = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "tainted")
DECIDED = "the change was decided but is not fully published yet"


class _Disk:
    """Lets ``left`` renames through and fails the next one, as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        self.done: list[str] = []
        self._really = Path.replace
        monkeypatch.setattr(Path, "replace", self._replace_of())

    def _replace_of(self) -> Callable[[Path, Path], Path]:
        def replace(path: Path, target: Path) -> Path:
            if self.left == 0:
                raise OSError(28, "No space left on device")
            self.left -= 1
            self.done.append(target.name)
            return self._really(path, target)

        return replace


def _withdraw(home: Home) -> None:
    authority.withdraw(home, ENTRY.kind, ENTRY.subject, ENTRY.reason, None, NOW)


@pytest.mark.parametrize("left", range(7))
def test_readers_never_see_a_broken_set_while_a_withdrawal_is_published(
    acme: Home, pinned: Pin, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    reader, late = pinned(acme), pinned(acme)
    with monkeypatch.context() as patch:
        disk = _Disk(patch, left)
        if left < 6:
            with pytest.raises(AuthorityError, match="No space left on device") as caught:
                _withdraw(acme)
            assert (DECIDED in str(caught.value)) == (left > 0)
        else:
            _withdraw(acme)
        assert (
            [name.split(".", 1)[-1] for name in disk.done]
            == [
                "json",  # the journal
                "sha256",
                "withdrawals.json",
                "targets.json",
                "snapshot.json",
                "json",  # the timestamp
            ][:left]
        )
        assert reader.documents("acme")[1] == withdrawn(*([ENTRY] if left >= 6 else []))
    # The next command, whichever it is, completes what was decided.
    assert authority.load(acme.path) == acme
    assert not (acme.path / "journal.json").exists()
    expected = withdrawn(*([ENTRY] if left > 0 else []))
    assert reader.documents("acme")[1] == late.documents("acme")[1] == expected


def _rotated(home: Home, which: str) -> bool:
    try:
        authority.rotate(home, which, NOW)
    except AuthorityError as error:
        if DECIDED not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("which", ["root", "targets", "online", "attestation"])
def test_a_rotation_that_died_anywhere_is_completed_by_the_next_command(
    acme: Home, pinned: Pin, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    reader = pinned(acme)
    for left in range(1, 20):
        reader.read()
        number = authority.describe(acme).versions["timestamp"]
        with monkeypatch.context() as patch:
            disk = _Disk(patch, left)
            if _rotated(acme, which):
                break
            assert disk.left == 0
        assert authority.publish(acme, NOW).version == number + 2
        reader.read()
    assert left > 3  # it died at least at each of its files


def test_only_an_online_key_rotation_has_a_moment_that_readers_must_retry(
    acme: Home, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the new root and the new timestamp; the reader refuses, and keeps what it had."""
    reader = pinned(acme)
    reader.read()
    with monkeypatch.context() as patch:
        _Disk(patch, 5)  # journal, settings, last, snapshot, root
        with pytest.raises(AuthorityError, match=DECIDED):
            authority.rotate(acme, "online", NOW)
    with pytest.raises(RepositoryError):
        reader.read()
    authority.load(acme.path)
    assert reader.documents("acme")[1] == withdrawn()


def test_an_authority_whose_creation_died_is_there_once_its_journal_is(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _Disk(patch, 3)
        with pytest.raises(AuthorityError, match=DECIDED):
            authority.init(tmp_path / "h", "acme", now=NOW)
    home = authority.load(tmp_path / "h")
    assert authority.describe(home).versions == {
        "root": 1,
        "targets": 1,
        "snapshot": 1,
        "timestamp": 1,
    }


def test_a_process_killed_while_publishing_loses_nothing(acme: Home, pinned: Pin) -> None:
    code = f"""
import os, sys
from datetime import datetime
from pathlib import Path
from sidecar.authority import home as authority
from sidecar.core.documents import WithdrawalKind
really, left = Path.replace, 4
def replace(path, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    return really(path, target)
Path.replace = replace
home = authority.load(Path(sys.argv[1]))
now = datetime.fromisoformat("{NOW.isoformat()}")
authority.withdraw(home, WithdrawalKind.RUN, "ftjob-1", "tainted", None, now)
"""
    child = subprocess.run([sys.executable, "-c", code, str(acme.path)], check=False)
    assert child.returncode == -9
    assert (acme.path / "journal.json").exists()
    authority.load(acme.path)
    assert pinned(acme).documents("acme")[1] == withdrawn(ENTRY)


def test_a_broken_journal_is_named_and_nothing_is_done(acme: Home) -> None:
    (acme.path / "journal.json").write_bytes(b"{")
    with pytest.raises(AuthorityError, match=r"journal\.json cannot be read"):
        authority.publish(acme, NOW)
    assert (acme.path / "journal.json").read_bytes() == b"{"


def test_writes_happen_in_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        disk = _Disk(patch, 10)
        journal.commit(tmp_path, [FileWrite(f"x/{name}", b"") for name in ("c", "a", "b")])
    assert disk.done == ["journal.json", "c", "a", "b"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c", "x"]


def test_a_home_that_cannot_be_written_says_so(acme: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AuthorityError, match=f"cannot lock {acme.path}: Read-only file system"):
        authority.publish(acme, NOW)
