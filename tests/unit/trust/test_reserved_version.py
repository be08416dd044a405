"""A no that counted and could not be kept: a restart does not make a yes of it."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from sidecar.core.snapshot import AuthorityView
from sidecar.trust.refresher import AuthorityRefresher
from sidecar.trust.reserved_version import DamagedVersionError, ReservedVersion, SetVersion
from tests.unit.trust.durable import disk_of
from tests.unit.trust.refreshing import KEY, fresh
from tests.unit.trust.repository import Repository, keys_per_role, now

IN_PLACE = 1024
"""A disk that is full, on which what is there can be overwritten."""


class Gate:
    """One authority of a gate that is restarted, and the mirror that it reads.

    Attributes:
        room: Bytes of a file that the gate can write; None where its disk is not full.
    """

    def __init__(self, repo: Repository, state: Path, copies: Path) -> None:
        self.repo, self._state, self._copies = repo, state, copies
        self.room: int | None = None
        self.restart()

    def restart(self) -> AuthorityView | None:
        self.refresher = AuthorityRefresher(self.repo.trusted(), self._state)
        return self.refresher.recall()

    def copy(self) -> Path:
        """Return what the mirror has now, to be replayed."""
        self._copies.mkdir(exist_ok=True)
        return shutil.copytree(self.repo.folder, self._copies / str(len([*self._copies.iterdir()])))

    def replay(self, copy: Path) -> tuple[int, bool] | None:
        """Read a mirror that has that; return the withdrawals, and whether it is heard."""
        shutil.rmtree(self.repo.folder)
        shutil.copytree(copy, self.repo.folder)
        return self.read()

    def read(self) -> tuple[int, bool] | None:
        with disk_of(self.room):
            view = self.refresher.refresh()
        return None if view is None else (len(view.withdrawals.entries), view.heard_since_start)

    @property
    def error(self) -> str:
        return self.refresher.status.error or ""


@pytest.fixture
def gate(state: Path, tmp_path: Path) -> Gate:
    """Its authority has so many keys that no file of its metadata fits on the full disk."""
    many = [CryptoSigner.generate_ed25519() for _ in range(6)]
    repo = Repository(tmp_path / "many", "acme", keys_per_role() | {"timestamp": many})
    repo.publish()
    made = Gate(repo, state, tmp_path / "copies")
    assert made.read() == (0, True)
    return made


@pytest.mark.parametrize("room", [IN_PLACE, None])
def test_law_1_a_withdrawal_that_could_not_be_kept_outlives_a_restart(
    gate: Gate, room: int | None
) -> None:
    """Full disk, restart, a mirror that replays; with the disk still full, and not any more."""
    first = gate.copy()
    gate.repo.withdraw("key", KEY)
    second, gate.room = gate.copy(), IN_PLACE
    assert gate.read() == (1, True)
    assert gate.error.endswith("after a restart nothing counts until this version is read again")
    gate.room = room
    assert gate.restart() is None
    assert gate.replay(first) is None
    assert gate.error == (
        "timestamp version 1 must be >= 2, which was verified before and is not kept; version 2 "
        "was verified before, and version 1 is what was kept; nothing older counts"
    )
    assert gate.replay(second) == (1, True)
    assert (gate.restart() is None) is bool(room)


def test_law_1_the_same_where_a_new_root_came_meanwhile(gate: Gate) -> None:
    """It vouches for the replayed set too, unless it replaced the keys that signed that."""
    first = gate.copy()
    gate.repo.withdraw("key", KEY)
    gate.room = IN_PLACE
    assert gate.read() == (1, True)
    gate.room = None
    (first / "metadata/2.root.json").write_bytes(gate.repo.rotate_root())
    gate.restart()
    assert gate.replay(first) is None
    gate.repo.rotate_root({"timestamp": [CryptoSigner.generate_ed25519()]})
    gate.repo.publish(timestamp=1)
    assert gate.read() == (1, True)
    gate.repo.publish(timestamp=3)
    gate.room = IN_PLACE
    assert gate.read() == (1, True)
    gate.room = None
    assert gate.restart() is None
    assert gate.read() == (1, True)
    assert gate.restart() is not None


def test_law_1_of_what_not_even_the_version_can_be_kept_only_the_no_counts(
    gate: Gate, state: Path
) -> None:
    gate.repo.withdraw("key", KEY)
    gate.room = 0
    assert gate.read() == (1, False)
    assert "its agreement does not count" in gate.error
    assert "was not kept" in gate.refresher.status.stale(now())
    gate.room = None
    assert gate.read() == (1, True)
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"x")):
        spoil(state / "acme/reserved-version")
        gate.repo.publish()
        gate.room = IN_PLACE
        assert gate.read() == (1, False)
        gate.room = None
        assert gate.read() == (1, True)
    reserved = state / "acme/reserved-version"
    reserved.unlink()
    reserved.mkdir()
    assert gate.restart() is None
    assert gate.read() is None
    assert gate.error == f"{reserved}: Is a directory"
    reserved.rmdir()
    assert gate.read() == (1, True)
    assert gate.error == ""


def test_law_1_what_cannot_be_understood_ends_agreement_also_on_a_full_disk(gate: Gate) -> None:
    first = gate.copy()
    gate.repo.publish(gate.repo.documents | {"withdrawals.json": b"{}"})
    gate.room = IN_PLACE
    assert gate.read() == (0, False)
    assert gate.error.startswith("its newest documents cannot be understood: withdrawals.json")
    assert gate.replay(first) == (0, False)
    gate.room = None
    assert gate.restart() is None
    assert gate.replay(first) is None
    assert gate.error.startswith("timestamp version 1 must be >= 2")


def test_half_a_publication_raises_the_floor_also_on_a_full_disk(gate: Gate) -> None:
    first = gate.copy()
    files = gate.repo.next_set()
    gate.repo.write({"metadata/timestamp.json": files["metadata/timestamp.json"]})
    gate.room = IN_PLACE
    assert gate.read() == (0, True)
    assert gate.error == "metadata/2.snapshot.json is not there"
    assert gate.replay(first) == (0, True)
    assert gate.error.startswith("timestamp version 1 must be >= 2")
    assert gate.restart() is None
    assert gate.replay(first) is None
    assert gate.error.startswith("timestamp version 1 must be >= 2")


def test_a_trust_domain_that_was_taken_back_vouches_no_more_also_on_a_full_disk(gate: Gate) -> None:
    def named() -> list[str]:
        gate.read()
        published = gate.refresher.recall()
        assert published is not None
        return [each.name for each in published.domains]

    gate.repo.online = [CryptoSigner.generate_ed25519() for _ in range(6)]
    gate.repo.domains = [{"name": "lost.example"}, {"name": "other.example"}]
    gate.repo.publish()
    assert named() == ["lost.example", "other.example"]
    gate.repo.domains.pop(0)
    gate.repo.domains_version += 1
    gate.repo.publish()
    gate.room = IN_PLACE
    assert named() == ["other.example"]
    assert "trust-domains.json: cannot be kept" in gate.error


def test_law_1_a_set_that_was_removed_is_no_first_start(gate: Gate, state: Path) -> None:
    first = gate.copy()
    gate.repo.withdraw("key", KEY)
    assert gate.read() == (1, True)
    (state / "acme/last-good.json").unlink()
    assert gate.restart() is None
    assert gate.replay(first) is None
    assert gate.error == f"{state}/acme: the last complete set was removed"
    shutil.rmtree(state / "acme")
    assert gate.read() == (0, True)


def test_law_1_a_set_that_was_put_back_by_itself_is_older_than_what_was_verified(
    gate: Gate, state: Path
) -> None:
    """From a backup, or another machine."""
    first, kept = gate.copy(), state / "acme/last-good.json"
    before = kept.read_bytes()
    gate.repo.withdraw("key", KEY)
    second = gate.copy()
    assert gate.read() == (1, True)
    kept.write_bytes(before)
    assert gate.restart() is None
    assert gate.replay(first) is None
    assert gate.error.startswith("timestamp version 1 must be >= 2")
    assert gate.replay(second) == (1, True)


def test_the_room_for_a_version_is_reserved_once_and_written_in_place(
    repo: Repository, state: Path
) -> None:
    fresh(repo, state)
    path = state / "acme/reserved-version"
    before = path.stat()
    repo.publish()
    fresh(repo, state)
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, IN_PLACE)


def test_a_torn_write_leaves_the_version_before_it(tmp_path: Path) -> None:
    reserved = ReservedVersion(tmp_path / "version")
    versions = [SetVersion(1, "ab" * 32, number) for number in range(1, 5)]
    reserved.follow(versions[0])
    for before, version in itertools.pairwise(versions):
        whole = reserved.path.read_bytes()
        reserved.write(version)
        written = reserved.path.read_bytes()
        assert reserved.read() == version
        changed = [at for at, byte in enumerate(whole) if byte != written[at]]
        torn = written[: changed[0] + 40] + whole[changed[0] + 40 :]
        reserved.path.write_bytes(torn)
        assert reserved.read() == before
        reserved.path.write_bytes(written)


def test_law_1_damage_under_a_running_gate_holds_up_no_withdrawal(gate: Gate, state: Path) -> None:
    """It has the floor in memory, and keeps it again."""
    for name in ("last-good.json", "reserved-version"):
        (state / "acme" / name).write_bytes(b"x")
    gate.repo.withdraw("key", KEY)
    assert gate.read() == (1, True)
    assert gate.error == ""
    view = gate.restart()
    assert view is not None
    assert view.version == 2


@pytest.mark.parametrize("content", [b"", b"x" * IN_PLACE, b" " * 512 + b"x" * 512])
def test_a_damaged_version_is_no_floor_and_not_guessed(
    gate: Gate, state: Path, content: bytes
) -> None:
    path = state / "acme/reserved-version"
    path.write_bytes(content)
    with pytest.raises(DamagedVersionError):
        ReservedVersion(path).read()
    assert gate.restart() is None
    gate.repo.publish()
    assert gate.read() is None
    assert gate.error == f"{path} is damaged"
