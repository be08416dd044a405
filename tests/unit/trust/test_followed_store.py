"""A process that reads what another one writes: the same state, or nothing to rely on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import pytest

from sidecar.core.grants import OperatorTrust
from sidecar.core.kinds import kind_of
from sidecar.core.snapshot import TrustState
from sidecar.core.trust_state import Change
from sidecar.core.withdrawals import AuthoredNode
from sidecar.trust import epoch_page, step_records
from sidecar.trust.epoch_page import EpochPage
from sidecar.trust.followed_store import FollowedStore, NotInForceError
from sidecar.trust.verified_store import VerifiedStore
from tests.support.laws import check
from tests.support.laws.driver import Gate
from tests.support.laws.tables import differences
from tests.support.simulator.world import World, admitted_world
from tests.unit.trust.durable import Kept, whole


class Shared(VerifiedStore):
    """The writer's own environment: LMDB lets a process open one only once."""

    def __init__(self, kept: Kept) -> None:
        store = kept.durable._store
        self._environment, self._databases = store._environment, store._databases
        self._cache = store._cache

    def close(self) -> None:
        """Leave it to the writer."""


class Writer:
    """A durable state whose epochs are put in force, and the reader that follows them."""

    def __init__(self, folder: Path, kept: Kept) -> None:
        self.kept, self.page = kept, EpochPage(folder)
        self.page.begin(continues=False)
        self.page.open()
        self.publish()
        self.follower = FollowedStore(folder, lambda _: Shared(self.kept))

    def publish(self) -> None:
        durable = self.kept.durable
        self.page.publish(durable.epoch, durable.identity(), written=durable.written)
        self.page.beat()

    def restart(self, operator: OperatorTrust, **options: Any) -> None:
        """Start a new writer; a reader has the store open all the time."""
        self.kept = self.kept.restarted(operator, **options)
        if self.follower._store is not None:
            self.follower._store = Shared(self.kept)

    def advance(self, change: Change) -> None:
        self.kept.advance(change)
        self.publish()

    def problem(self) -> str:
        with pytest.raises(NotInForceError) as raised:
            self.follower.current()
        return str(raised.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def world() -> World:
    return admitted_world()


@pytest.fixture
def writer(folder: Path, world: World) -> Iterator[Writer]:
    written = Writer(folder, whole(folder, world))
    yield written
    written.follower.close()
    written.kept.durable.close()


def different(found: TrustState, kept: Kept) -> list[str]:
    """Names of what differs between a followed state and the writer's, withdrawals looked up."""
    expected, names = kept.snapshot, differences(found, kept.snapshot, "withdrawals", "rejected")
    nodes = {
        AuthoredNode(kind_of(item.predicate).withdrawal, digest, signer.authority)
        for digest, item in kept.state.tables.evidence.items()
        for signer in item.signers
    }
    nodes |= {node for index in expected.withdrawals.values() for node in index.authored}
    for name in {*found.withdrawals, *expected.withdrawals}:
        one, other = found.withdrawals[name], expected.withdrawals[name]
        same = (one.entries, one.exact, one.patterns) == (
            other.entries,
            other.exact,
            other.patterns,
        )
        hits = all(set(one.hits(node)) == set(other.hits(node)) for node in nodes)
        names += [] if same and hits else [f"withdrawals of {name}"]
    return names


@pytest.mark.parametrize("seed", range(3_000_000, 3_000_012))
def test_after_every_step_a_reader_has_the_writers_state(folder: Path, seed: int) -> None:
    writers: list[Writer] = []

    def compare(gate: Gate) -> None:
        assert gate.state is not None
        if not writers:
            writers.append(Writer(folder, Kept(folder, gate.state.operator)))
        elif gate.state.operator != writers[0].kept.operator or gate.epoch % 5 == 0:
            writers[0].restart(gate.state.operator)
        (writer,) = writers
        held = writer.kept.state.tables.files
        views = {name: None for name in writer.kept.state.views if name not in gate.views}
        gone = (*gate.change.removed, *(digest for digest in held if digest not in gate.files))
        writer.advance(Change({**gate.change.views, **views}, gate.change.added, gone))
        assert different(writer.follower.current(), writer.kept) == []

    check.play(seed, after=compare)
    writers[0].kept.durable.close()


def test_a_look_at_what_did_not_change_returns_the_same_state(writer: Writer) -> None:
    first = writer.follower.current()
    assert writer.follower.current() is first
    assert different(first, writer.kept) == []


def test_the_next_look_after_a_step_sees_it_and_keeps_views_that_did_not_change(
    writer: Writer, world: World
) -> None:
    before = writer.follower.current()
    world.parties["regulator"].withdraw("corpus", "e" * 64)
    writer.advance(Change({"regulator": world.parties["regulator"].view()}))
    after = writer.follower.current()
    assert [len(each.authorities["regulator"].withdrawals.entries) for each in (before, after)] == [
        0,
        1,
    ]
    assert after.authorities["customer"] is before.authorities["customer"]
    assert after.epoch == before.epoch + 1


@contextmanager
def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    """Look at the clock that much later."""
    now = epoch_page.since_boot
    with monkeypatch.context() as patched:
        patched.setattr(epoch_page, "since_boot", lambda: now() + int(seconds * 1e9))
        yield


def test_a_silent_writer_is_relied_on_until_its_bound_and_again_once_it_is_heard(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = writer.follower.current()
    with at(monkeypatch, epoch_page.SILENT_SECONDS - 5):
        assert writer.follower.current() is first
    with at(monkeypatch, epoch_page.SILENT_SECONDS + 5):
        assert writer.problem() == "the control path has been silent for 50 s"
        writer.page.beat()
        assert writer.follower.current() is first


def test_nothing_is_relied_on_before_every_authority_was_asked(writer: Writer) -> None:
    assert not writer.page.problem()
    writer.page.begin(continues=False)
    assert "has not asked every authority" in writer.problem()
    writer.page.begin(continues=True)
    writer.follower.current()


def test_a_page_of_another_boot_or_version_is_not_relied_on(
    writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_page, "_boot_id", lambda: 7)
    assert "no control path has run" in EpochPage(folder).problem()
    monkeypatch.undo()
    monkeypatch.setattr(epoch_page, "_FORMAT", 7)
    assert "was written by another version" in writer.problem()


def test_a_change_that_cannot_be_written_denies_until_it_is(
    writer: Writer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step_records, "changed", full)
        world.parties["regulator"].withdraw("corpus", "e" * 64)
        writer.advance(Change({"regulator": world.parties["regulator"].view()}))
        assert "cannot be written" in writer.problem()
    writer.kept.durable.write_again()
    writer.publish()
    assert different(writer.follower.current(), writer.kept) == []


def test_the_configuration_is_read_with_the_tables_that_follow_from_it(
    writer: Writer, world: World
) -> None:
    before = writer.follower.current()
    del world.grants["producer"]
    writer.restart(world.operator())
    writer.publish()
    after = writer.follower.current()
    assert (len(before.operator.grants), len(after.operator.grants)) == (
        len(world.grants) + 1,
        len(world.grants),
    )
    assert dict(after.manifests) == {}
    assert different(after, writer.kept) == []


def test_a_store_of_another_format_or_a_damaged_one_is_not_relied_on(
    writer: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unread = "the epoch in force cannot be read; see the log"
    monkeypatch.setattr("sidecar.trust.followed_store.FORMAT", "next")
    caplog.set_level("INFO")
    assert writer.problem() == unread
    assert "this version reads next" in caplog.text
    monkeypatch.undo()
    store = writer.kept.durable._store
    with store._environment.begin(write=True) as transaction:
        transaction.put(b"operator", b"torn", db=store._databases["meta"])
    assert writer.problem() == unread
    assert "configuration cannot be read" in caplog.text


def test_a_page_that_was_removed_is_made_again_and_found(
    writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = writer.follower.current()
    (folder / epoch_page.NAME).unlink()
    assert writer.page.restored()
    assert not writer.page.restored()
    with at(monkeypatch, epoch_page.SILENT_SECONDS + 5):
        writer.page.beat()
        assert different(writer.follower.current(), writer.kept) == []
    assert first.epoch == writer.kept.durable.epoch


def test_who_was_heard_stays_heard_only_where_a_writer_continues(
    writer: Writer, world: World
) -> None:
    views = {name: replace(party.view(), version=9) for name, party in world.parties.items()}
    views["regulator"] = replace(views["regulator"], heard_since_start=False)
    writer.advance(Change(views))

    def heard(**options: Any) -> set[str]:
        writer.restart(writer.kept.operator, **options)
        found = writer.kept.snapshot.authorities.items()
        return {name for name, view in found if view.heard_since_start}

    assert heard(continues=True) == {*world.parties} - {"regulator"}
    assert heard() == set()
