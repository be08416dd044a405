"""The folder of a managed OPA: its user's alone, and not there for ever after a kill."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sidecar.opa.errors import PolicyError
from sidecar.opa.private_folder import PREFIX, private_folder
from tests.process.policies.opa import ROOT

_OWNER = """
import sys, time
from pathlib import Path
from sidecar.opa.private_folder import private_folder
made = private_folder(Path(sys.argv[1]))
(made.path / "bundle.tar.gz").write_bytes(b"policies")
print(made.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_folder_others_can_reach_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "run"
    parent.mkdir(mode=0o750)
    parent.chmod(0o750)
    with pytest.raises(PolicyError) as caught:
        private_folder(parent)
    assert str(caught.value) == f"{parent}: must be this user's alone (chmod 0700)"


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "run").path
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)]
    assert modes == [0o700, 0o700]


def test_a_folder_is_removed_once_its_process_was_killed_and_not_before(place: Path) -> None:
    command = [sys.executable, "-c", _OWNER, str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            theirs = Path(owner.stdout.readline().strip())
            ours = private_folder(place)
            assert {*place.iterdir()} == {theirs, ours.path}
        finally:
            owner.kill()
    again = private_folder(place)
    assert {*place.iterdir()} == {ours.path, again.path}
    ours.remove()
    assert {*place.iterdir()} == {again.path}


def test_a_folder_in_the_making_may_be_taken_for_an_abandoned_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its lock, another gate may find it unlocked and remove it."""
    create, removed = tempfile.mkdtemp, list[str]()

    def overtaken(prefix: str, dir: Path) -> str:  # noqa: A002 - as mkdtemp calls it
        made = create(prefix=prefix, dir=dir)
        if not removed:
            removed.append(made)
            Path(made).rmdir()
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", overtaken)
    made = private_folder(place)
    assert [made.path] == [*place.iterdir()]
    assert str(made.path) not in removed


def test_a_folder_that_was_replaced_before_it_was_locked_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, replaced = fcntl.flock, list[Path]()

    def overtaken(folder: int, how: int) -> None:
        if not replaced:
            (found,) = place.iterdir()
            replaced.append(found)
            found.rename(place / "elsewhere")
        lock(folder, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    made = private_folder(place)
    assert made.path not in replaced
    assert made.path.is_dir()


def test_what_is_not_this_programs_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a file, folders of an earlier release and of other programs, and other users'."""
    beside = place / "beside"
    beside.mkdir()
    (place / f"{PREFIX}link").symlink_to(beside)
    (place / f"{PREFIX}file").write_text("")
    (place / "admit-opa-k2j8h3x1").mkdir()
    (place / "admit-demo.k2j8h3x1").mkdir()
    before = {*place.iterdir()}
    made = private_folder(place).path
    assert {*place.iterdir()} == {*before, made}

    monkeypatch.setattr(tempfile, "tempdir", str(place))
    theirs = place / f"{PREFIX}theirs"
    theirs.mkdir()
    other = os.geteuid() + 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: other)
        made.chmod(0o700)
        private_folder(None)
    assert theirs.exists()
    private_folder(None)
    assert not theirs.exists()
