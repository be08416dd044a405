"""The state on disk is the state: through restarts, crashes, damage and a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from sidecar.core import dsse
from sidecar.core.grants import OperatorTrust
from sidecar.core.memory import Memory
from sidecar.core.trust_state import Change
from sidecar.trust import memory_journal, step_records, verified_store
from sidecar.trust.config import TrustConfigError
from sidecar.trust.durable_state import remembered
from tests.support.laws import check
from tests.support.laws.driver import Gate
from tests.support.laws.tables import differences
from tests.support.simulator.constants import APPROVERS
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World, admitted_world
from tests.unit.trust.durable import Kept, flip, whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize("seed", range(2_000_000, 2_000_012))
def test_after_every_step_and_restart_it_equals_the_state_in_memory(
    folder: Path, seed: int
) -> None:
    kept: list[Kept] = []

    def compare(gate: Gate) -> None:
        assert gate.state is not None
        if not kept:
            kept.append(Kept(folder, gate.state.operator))
        elif gate.state.operator != kept[0].operator or gate.epoch % 3 == 0:
            kept[0] = kept[0].restarted(gate.state.operator)
        held = kept[0].state.tables.files
        views = {name: None for name in kept[0].state.views if name not in gate.views}
        change = Change(
            {**gate.change.views, **views},
            gate.change.added,
            (*gate.change.removed, *(digest for digest in held if digest not in gate.files)),
        )
        kept[0].advance(change)
        found = kept[0].snapshot
        assert differences(found, gate.state, "epoch", "rejected") == []

    check.play(seed, after=compare)
    kept[0].durable.close()


def test_a_restart_tries_no_signature_again_and_counts_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = admitted_world()
    kept, expected = whole(folder, world), world.state()
    monkeypatch.setattr(dsse, "verified_by", None)
    again = kept.restarted()
    assert again.durable.epoch == kept.durable.epoch
    unheard = ("epoch", "authorities")
    assert differences(again.snapshot, expected, *unheard) == []
    assert {view.heard_since_start for view in again.snapshot.authorities.values()} == {False}
    again.durable.close()


def test_another_configuration_computes_the_tables_again_from_what_is_verified(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = admitted_world()
    kept = whole(folder, world)
    monkeypatch.setattr(dsse, "verified_by", None)
    del world.grants["producer"]
    again = kept.restarted(world.operator())
    assert dict(again.snapshot.manifests) == {}
    assert [each.why for each in again.snapshot.rejected] == [
        "no key of a known authority signed it"
    ]
    assert len(again.snapshot.approvals[world.digests["manifest"]]) == len(APPROVERS)
    again.durable.close()


def test_an_epoch_stays_whole_while_others_are_committed(folder: Path) -> None:
    world = admitted_world()
    kept = whole(folder, world)
    before = kept.snapshot
    digest = world.digests["manifest"]
    kept.advance(Change(removed=tuple(kept.state.tables.files)))
    assert (len(before.approvals[digest]), len(before.manifests)) == (3, 1)
    assert (kept.snapshot.approvals.get(digest), len(kept.snapshot.manifests)) == (None, 0)
    kept.durable.close()


def test_what_did_not_change_is_the_same_object_in_the_next_epoch(folder: Path) -> None:
    world = admitted_world()
    kept = whole(folder, world)
    before, digest = kept.snapshot, world.digests["manifest"]
    one = before.approvals[digest], before.manifests["openai", world_model(world)]
    world.parties["regulator"].withdraw("corpus", "e" * 64)
    kept.advance(Change({"regulator": world.parties["regulator"].view()}))
    after = kept.snapshot
    assert after.approvals is not before.approvals
    assert after.approvals[digest] is one[0]
    assert after.manifests["openai", world_model(world)] is one[1]
    kept.durable.close()


def world_model(world: World) -> str:
    ((_, model),) = world.state().manifests
    return model


CRASH = """
import os, sys
from pathlib import Path
from tests.unit.trust.test_durable_state import Change, Steps, admitted_world, whole
world = admitted_world()
kept = whole(Path(sys.argv[1]), world)
print(kept.durable.epoch, len(kept.state.tables.files), flush=True)
kept.durable._store._environment.begin(write=True).put(b"torn", b"torn", db=None)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_its_last_step(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    ran = subprocess.run(
        [sys.executable, "-c", CRASH, str(folder)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -9, ran.stderr
    epoch, files = map(int, ran.stdout.split())
    store = verified_store.open_store(folder)
    meta = store.meta()
    assert meta is not None
    assert (meta.epoch, len(store.epoch().tables().files)) == (epoch, files)
    store.close()


def test_a_flipped_bit_is_found_and_the_store_is_filled_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = whole(folder, admitted_world())
    adapted = kept.snapshot.memory.adapted
    kept.durable.close()
    flip(folder / verified_store.NAME / "data.mdb")
    again = Kept(folder, kept.operator)
    assert "its checksums do not hold; it is filled again from the sources" in caplog.text
    assert (len(again.snapshot.manifests), again.snapshot.memory.adapted) == (0, adapted)
    again.durable.close()


def test_a_record_that_is_lost_is_found(folder: Path) -> None:
    kept = whole(folder, admitted_world())
    store = kept.durable._store
    with store._environment.begin(write=True) as transaction:
        cursor = transaction.cursor(db=store._databases["approvals"])
        assert cursor.first()
        cursor.delete()
    assert store.problem() == "is damaged: its checksums do not hold"
    kept.durable.close()


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_file_that_is_no_store_is_replaced(folder: Path, content: bytes) -> None:
    kept = whole(folder, admitted_world())
    kept.durable.close()
    (folder / verified_store.NAME / "data.mdb").write_bytes(content)
    again = Kept(folder, kept.operator)
    assert len(again.snapshot.manifests) == 0
    again.durable.close()


def test_another_format_is_filled_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = whole(folder, admitted_world())
    monkeypatch.setattr(verified_store, "FORMAT", "next")
    again = kept.restarted()
    assert len(again.snapshot.manifests) == 0
    assert len(again.snapshot.memory.adapted) == 1
    again.durable.close()


def test_a_full_disk_holds_up_nothing_and_is_written_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = admitted_world()
    kept, steps = whole(folder, world), Steps(world)
    world.approve("customer", label="more", signer="customer", window=window(2, 20))
    lost = world.evidence["approval:regulator"]

    def full(*_: object, **__: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    monkeypatch.setattr(step_records, "changed", full)
    kept.advance(Change(added=(steps.file(world.evidence["more"]),)))
    gone = steps.file(lost).file_digest
    kept.advance(Change(removed=(gone,)))
    assert "No space left on device" in kept.durable.problems["store"]
    del world.evidence["approval:regulator"]
    expected = world.state()
    assert differences(kept.snapshot, expected, "epoch") == []
    monkeypatch.undo()
    kept.advance(Change(added=(steps.file(lost),)))
    assert kept.durable.problems["store"] == ""
    kept.advance(Change(removed=(gone,)))
    again = kept.restarted()
    assert differences(again.snapshot, expected, "epoch", "authorities") == []
    again.durable.close()


def test_what_is_remembered_is_written_when_the_disk_has_room_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        kept = whole(folder, admitted_world())
        adapted = kept.snapshot.memory.adapted
        assert "No space left on device" in kept.durable.problems["journal"]
        assert remembered(folder).adapted == ()
    kept.durable.save_again()
    assert kept.durable.problems["journal"] == ""
    assert remembered(folder).adapted == adapted
    kept.durable.close()


@pytest.mark.parametrize("regranted", [False, True])
def test_law_7_what_only_the_store_could_remember_is_in_the_journal_after_a_restart(
    folder: Path, monkeypatch: pytest.MonkeyPatch, regranted: bool
) -> None:
    """The store is a cache: it is removed where it is damaged, or of another version."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    world = admitted_world()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        kept = whole(folder, world)
        adapted = kept.snapshot.memory.adapted
        kept = kept.restarted()
        assert remembered(folder).adapted == ()
    if regranted:
        world.join("more", grant("customer"))
    again = kept.restarted(world.operator())
    assert remembered(folder).adapted == adapted != ()
    again.durable.close()


def test_what_the_journal_has_and_the_store_has_not_is_added_at_the_start(folder: Path) -> None:
    """A crash between the two: the store is as it was before."""
    world = admitted_world()
    kept = Kept(folder, world.operator())
    kept.durable.close()
    shutil.copytree(folder, folder.with_name("before"))
    more = whole(folder, world)
    adapted = more.snapshot.memory.adapted
    more.durable.close()
    shutil.rmtree(folder / verified_store.NAME)
    shutil.copytree(folder.with_name("before") / verified_store.NAME, folder / verified_store.NAME)
    again = Kept(folder, kept.operator)
    assert again.snapshot.memory.adapted == adapted
    assert set(again.snapshot.adapted) == set(adapted)
    again.durable.close()


def test_law_7_a_store_of_another_journal_takes_nothing_away(folder: Path) -> None:
    """A store that is put back counted bytes of a journal that was written anew since."""
    world = admitted_world()
    kept = whole(folder, world)
    remembers = remembered(folder)
    kept.durable.close()
    journal = folder / memory_journal.NAME
    size = journal.stat().st_size
    journal.unlink()
    memory_journal.append(folder, 0, Memory(adapted=("openai/ft:" + "x" * size,)))
    memory_journal.append(folder, journal.stat().st_size, remembers)
    again = Kept(folder, kept.operator)
    assert {*again.snapshot.memory.adapted} > {*remembers.adapted}
    assert again.snapshot.memory.takeovers == remembers.takeovers
    again.durable.close()
    journal.write_bytes(b"x" * size + b"\n")
    with pytest.raises(TrustConfigError, match="is damaged"):
        Kept(folder, kept.operator)


HOLD = """
import sys
from pathlib import Path
from tests.unit.trust.test_durable_state import admitted_world, whole
world = admitted_world()
kept = whole(Path(sys.argv[1]), world)
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.parametrize("written", [verified_store.FORMAT, "next"])
def test_a_gate_beside_another_begins_with_what_that_wrote_and_takes_the_store_over(
    folder: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of the two worlds differ, so that what each of them wrote can be told apart."""
    same = written == verified_store.FORMAT
    monkeypatch.setattr(verified_store, "FORMAT", written)
    folder.mkdir(mode=0o700)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "written\n"
        world = admitted_world()
        beside = Kept(folder, world.operator())
        first = dict(beside.state.tables.files)
        assert len(beside.snapshot.manifests) == same
        assert len(beside.snapshot.memory.adapted) == 1
        steps = Steps(world)
        views = {name: party.view() for name, party in world.parties.items()}
        files = tuple(map(steps.file, world.evidence.values()))
        beside.advance(Change(views, files, tuple(first)))
        expected = world.state()
        assert differences(beside.snapshot, expected, "epoch", "memory") == []
        other.communicate("end\n")
    beside.state = beside.durable.take_over(beside.state)
    assert differences(beside.snapshot, expected, "epoch", "memory") == []
    again = beside.restarted()
    assert differences(again.snapshot, expected, "epoch", "memory", "authorities") == []
    again.durable.close()


@pytest.mark.parametrize("put_back", [b"", None])
def test_law_7_a_journal_that_was_removed_or_put_back_is_written_again_from_the_store(
    folder: Path, put_back: bytes | None
) -> None:
    kept = whole(folder, admitted_world())
    adapted = kept.snapshot.memory.adapted
    kept.durable.close()
    journal = folder / memory_journal.NAME
    journal.unlink()
    if put_back is not None:
        journal.write_bytes(put_back)
    again = Kept(folder, kept.operator)
    assert remembered(folder).adapted == adapted != ()
    again.advance(Change(removed=tuple(again.state.tables.files)))
    assert again.snapshot.memory.adapted == adapted
    again.durable.close()
    journal.unlink()
    shutil.rmtree(folder / verified_store.NAME)
    assert Kept(folder, kept.operator).snapshot.memory.adapted == ()


def test_a_last_line_without_its_end_is_cut_off(folder: Path) -> None:
    kept = whole(folder, admitted_world())
    adapted = kept.snapshot.memory.adapted
    path = folder / memory_journal.NAME
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    again = kept.restarted()
    assert again.snapshot.memory.adapted == adapted
    again.durable.close()


@pytest.mark.parametrize("name", [memory_journal.NAME, "memory.json"])
@pytest.mark.parametrize("content", [b"[]\n", b"00 {}\n", b"\xff\n"])
def test_a_damaged_memory_is_not_guessed(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(mode=0o700)
    path = folder / name
    path.write_bytes(content)
    for use in (lambda: Kept(folder, OperatorTrust({})), lambda: remembered(folder)):
        with pytest.raises(TrustConfigError) as caught:
            use()
        assert str(caught.value).startswith(f"{path}: is damaged: ")
        assert "restore it from a backup, or remove it" in str(caught.value)


def test_what_an_earlier_version_remembered_is_taken_over(folder: Path) -> None:
    world = admitted_world()
    folder.mkdir(mode=0o700)
    (folder / "memory.json").write_bytes(world.state().memory.write())
    assert remembered(folder).adapted == world.memory.adapted
    kept = Kept(folder, world.operator())
    (folder / "memory.json").unlink()
    assert kept.restarted().snapshot.memory.adapted == world.memory.adapted
