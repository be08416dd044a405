"""A store that cannot be relied on is filled again, unless it alone remembers a denial."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sidecar.core.grants import OperatorTrust
from sidecar.core.memory import Memory
from sidecar.core.trust_state import Change
from sidecar.trust import memory_journal, verified_store
from sidecar.trust.config import TrustConfigError
from sidecar.trust.durable_state import remembered
from sidecar.trust.writer_lock import WriterLock
from tests.support.simulator.party import grant
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import admitted_world
from tests.unit.trust.durable import Kept, disk_of, flip, whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def unjournaled(folder: Path) -> Kept:
    """Its last step is in the store alone: the disk is full for the longer file, the journal."""
    world, path = admitted_world(), folder / memory_journal.NAME
    kept, steps = Kept(folder, world.operator()), Steps(world)
    others = tuple(f"openai/{number:0200}" for number in range(100))
    memory_journal.append(folder, 0, Memory(adapted=others))
    path.write_bytes(path.read_bytes() * 40)
    kept = kept.restarted()
    with disk_of(path.stat().st_size):
        kept.advance(Change({name: party.view() for name, party in world.parties.items()}))
        kept.advance(Change(added=tuple(map(steps.file, world.evidence.values()))))
        assert kept.durable.problems["store"] == ""
        assert "cannot be written: File too large" in kept.durable.problems["journal"]
    assert remembered(folder).adapted == others
    assert len(kept.snapshot.memory.adapted) == len(others) + 1
    return kept


@pytest.mark.parametrize("how", ["format", "format beside", "damage"])
def test_law_2_a_store_that_alone_remembers_is_not_removed(
    folder: Path, unjournaled: Kept, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full disk, upgrade, lost evidence: what took over, or was withdrawn, would be forgotten."""
    expected = unjournaled.snapshot.memory.write()
    unjournaled.durable.close()
    before = shutil.copytree(folder, folder.with_name("before"))
    lock = WriterLock(folder)
    if how == "damage":
        flip(folder / verified_store.NAME / "data.mdb")
    else:
        monkeypatch.setattr(verified_store, "FORMAT", "next")
        assert how == "format" or lock.acquire()
    for _ in range(2):
        with pytest.raises(TrustConfigError, match=r"memory\.jsonl lacks what it remembers"):
            Kept(folder, unjournaled.operator)
    lock.release()
    monkeypatch.undo()
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    again = Kept(folder, unjournaled.operator)
    monkeypatch.setattr(verified_store, "FORMAT", "next")
    again = again.restarted()
    assert (len(again.snapshot.manifests), again.snapshot.memory.write()) == (0, expected)
    again.durable.close()


def test_law_2_a_store_of_another_configuration_is_not_removed_while_it_alone_remembers(
    folder: Path, unjournaled: Kept
) -> None:
    """It would be computed again in an empty store, on a disk that is full."""
    expected = unjournaled.snapshot.memory.write()
    other = OperatorTrust({**unjournaled.operator.grants, "more": (grant("customer"),)})
    unjournaled.durable.close()
    for _ in range(2):
        with (
            disk_of((folder / memory_journal.NAME).stat().st_size),
            pytest.raises(TrustConfigError, match=r"another configuration, and .* lacks what"),
        ):
            Kept(folder, other)
    again = Kept(folder, other)
    assert again.snapshot.memory.write() == expected
    assert remembered(folder).write() == expected
    again.durable.close()


def test_a_store_may_be_removed_once_the_journal_has_all_of_it(
    unjournaled: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = unjournaled.snapshot.memory.write()
    unjournaled.durable.save_again()
    monkeypatch.setattr(verified_store, "FORMAT", "next")
    again = unjournaled.restarted()
    assert (len(again.snapshot.manifests), again.snapshot.memory.write()) == (0, expected)
    again.durable.close()


def test_a_damaged_header_is_no_empty_store(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its tables would go on counting, also under another configuration."""
    world = admitted_world()
    kept = whole(folder, world)
    store = kept.durable._store
    with store._environment.begin(write=True) as transaction:
        transaction.put(b"meta", b"x" * 40, db=store._databases["meta"])
    del world.grants["producer"]
    again = kept.restarted(world.operator())
    assert "is damaged: its header cannot be read" in caplog.text
    assert len(again.snapshot.manifests) == 0
    again.durable.close()
