"""What must not be forgotten outlives kills and power failures: at each moment of a refresh."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.view import NoViewError, read_kept
from tests.unit.trust.lost_writes import LostWrites, lost_writes
from tests.unit.trust.refreshing import KEY, fresh, refused
from tests.unit.trust.repository import Repository


@pytest.fixture
def disk(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LostWrites]:
    with lost_writes(state, monkeypatch) as made:
        yield made


class Crashes:
    """Folders that a crash leaves, each for one look."""

    def __init__(self, disk: LostWrites, folder: Path) -> None:
        self._disk, self._folder, self._number = disk, folder, count()
        folder.mkdir()

    def now(self) -> tuple[Path, Path]:
        """Return what a power failure leaves now, in either order of entries and bytes."""
        number = next(self._number)
        return (
            self._disk.leave(self._folder / f"{number}-late"),
            self._disk.leave(self._folder / f"{number}-early", early=True),
        )


def withdrawals(repo: Repository, state: Path) -> int:
    return len(read_kept(repo.trusted(), state).view.withdrawals.entries)


def older(repo: Repository, into: Path) -> DirectorySource:
    shutil.copytree(repo.folder, into)
    return DirectorySource(into)


def test_law_1_a_withdrawal_that_was_handed_on_outlives_lost_writes(
    repo: Repository, state: Path, disk: LostWrites, tmp_path: Path
) -> None:
    """Both the withdrawal and the floor: the source rolls back after the power failure."""
    crashes, first = Crashes(disk, tmp_path / "crashes"), older(repo, tmp_path / "first")
    fresh(repo, state)
    repo.withdraw("key", KEY)
    fresh(repo, state)
    for left in crashes.now():
        assert withdrawals(repo, left) == 1
        with pytest.raises(RefreshError, match="New timestamp version 1 must be >= 2"):
            refresh(repo.trusted(), first, left)
        assert withdrawals(repo, left) == 1
        repo.publish()
        assert len(fresh(repo, left).withdrawals.entries) == 1


def test_lost_writes_in_a_refresh_leave_the_set_before_or_after_it(
    repo: Repository, state: Path, disk: LostWrites, tmp_path: Path
) -> None:
    """At every sync; nothing is damaged, and the next refresh needs nobody."""
    crashes, left = Crashes(disk, tmp_path / "crashes"), list[Path]()
    fresh(repo, state)
    repo.rotate_root({"timestamp": [CryptoSigner.generate_ed25519()]})
    repo.withdraw("key", KEY)
    disk.after_sync = lambda: left.extend(crashes.now())
    fresh(repo, state)
    assert len(left) >= 8
    found = []
    for each in left:
        found.append(withdrawals(repo, each))
        assert len(fresh(repo, each).withdrawals.entries) == 1
    assert {*found} == {0, 1}
    assert found[-1] == 1


def test_half_a_publication_raises_the_floor_across_lost_writes(
    repo: Repository, state: Path, disk: LostWrites, tmp_path: Path
) -> None:
    crashes, first = Crashes(disk, tmp_path / "crashes"), older(repo, tmp_path / "first")
    fresh(repo, state)
    files = repo.next_set()
    repo.write({"metadata/timestamp.json": files["metadata/timestamp.json"]})
    assert refused(repo, state) == "metadata/2.snapshot.json is not there"
    for left in crashes.now():
        with pytest.raises(RefreshError, match="New timestamp version 1 must be >= 2"):
            refresh(repo.trusted(), first, left)
    repo.write(files)
    fresh(repo, state)
    assert [path.name for path in (state / "acme/metadata").glob("*.json")] == []
    for left in crashes.now():
        with pytest.raises(RefreshError, match="New timestamp version 1 must be >= 2"):
            refresh(repo.trusted(), first, left)


def test_a_floor_that_was_dropped_with_its_keys_stays_dropped(
    repo: Repository, state: Path, disk: LostWrites, tmp_path: Path
) -> None:
    """A fast-forward of which only half came; replacing the snapshot key recovers from it."""
    crashes = Crashes(disk, tmp_path / "crashes")
    fresh(repo, state)
    repo.versions |= {"timestamp": 2**31 - 1, "snapshot": 2**31 - 1}
    files = repo.next_set()
    repo.write({"metadata/timestamp.json": files["metadata/timestamp.json"]})
    refused(repo, state)
    repo.versions |= {"timestamp": 1, "snapshot": 1}
    repo.rotate_root({"snapshot": [CryptoSigner.generate_ed25519()]})
    repo.publish()
    left: list[Path] = []
    disk.after_sync = lambda: left.extend(crashes.now())
    fresh(repo, state)
    assert len(left) >= 8
    for each in left:
        assert fresh(repo, each).version == 2


def test_a_kill_at_any_sync_leaves_a_set_that_a_refresh_goes_on_from(
    repo: Repository, state: Path, tmp_path: Path
) -> None:
    fresh(repo, state)
    repo.withdraw("key", KEY)
    for number in count():
        left = tmp_path / f"killed-{number}"
        shutil.copytree(state, left)
        killed = _killed_at(number, repo, left)
        assert withdrawals(repo, left) in (0, 1)
        assert len(fresh(repo, left).withdrawals.entries) == 1
        if not killed:
            break
    assert number >= 2


def _killed_at(number: int, repo: Repository, state: Path) -> bool:
    """Refresh in a process that is killed at its nth sync; return whether it came to that."""
    pid = os.fork()
    if pid == 0:
        syncs = count()
        real = os.fsync

        def fsync(descriptor: Any) -> None:
            if next(syncs) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)

        os.fsync = fsync  # type: ignore[assignment]
        try:
            fresh(repo, state)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def test_a_set_that_was_never_synced_is_no_view(
    repo: Repository, state: Path, disk: LostWrites, tmp_path: Path
) -> None:
    """The judge of the tests above loses what is not synced."""
    crashes = Crashes(disk, tmp_path / "crashes")
    fresh(repo, state)
    (state / "acme/last-good.json").write_bytes((state / "acme/last-good.json").read_bytes())
    copy = state / "acme/copy"
    shutil.copyfile(state / "acme/last-good.json", copy)
    copy.rename(state / "acme/last-good.json")
    late, early = crashes.now()
    assert withdrawals(repo, late) == 0
    with pytest.raises(NoViewError, match="damaged"):
        read_kept(repo.trusted(), early)
