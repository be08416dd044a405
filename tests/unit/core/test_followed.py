"""Another process's state, made from its tables and views, is the state itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.core import followed
from sidecar.core.documents import WithdrawalKind
from sidecar.core.followed import FollowedViews, ReachedStatements
from sidecar.core.memory import LineageNode
from sidecar.core.reads import recording
from sidecar.core.snapshot import TrustState
from sidecar.core.withdrawals import AuthoredNode
from tests.support.laws.tables import differences
from tests.support.simulator.constants import NOW
from tests.support.simulator.predicates import window
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World, admitted_world

NOTHING = FollowedViews()


def follow(steps: Steps, before: FollowedViews = NOTHING) -> tuple[FollowedViews, TrustState]:
    """Take the views over that are not the same as before, and make the state."""
    views = steps.verified.views
    changed = {name: view for name, view in views.items() if before.views.get(name) is not view}
    gone = dict.fromkeys({*before.views} - {*views})
    now = before.with_changes({**changed, **gone})
    return now, now.state(steps.verified.operator, steps.verified.tables, steps.epoch)


def renewed() -> tuple[Steps, AuthoredNode]:
    """A regulator withdrew its newer approval, which reaches the older one."""
    world = admitted_world()
    before = approvals(world)
    world.approve("regulator", label="renewal", window=window(0, 25))
    (newer,) = approvals(world) - before
    (older,) = before
    steps = Steps(world)
    world.parties["regulator"].withdraw("approval", newer)
    steps.publish("regulator")
    return steps, AuthoredNode(WithdrawalKind.APPROVAL, older, "regulator")


def approvals(world: World) -> set[str]:
    found = (item for items in world.state().approvals.values() for item in items)
    return {item.digest for item in found if item.predicate.role == "regulator"}


def test_without_withdrawn_statements_the_state_is_that_of_the_writer() -> None:
    steps = Steps(admitted_world())
    views, state = follow(steps)
    assert differences(state, steps.state) == []
    assert state.withdrawals["regulator"] is views.indexes["regulator"]


def test_a_withdrawal_reaches_the_earlier_statements_that_the_tables_have() -> None:
    steps, older = renewed()
    _, state = follow(steps)
    index, expected = state.withdrawals["regulator"], steps.state.withdrawals["regulator"]
    assert isinstance(index.authored, ReachedStatements)
    assert len(index.hits(older)) == 1
    assert index.hits(older) == index.authored[older] == expected.hits(older)
    assert index.hits(replace_digest(older)) == ()
    ((kind, newer),) = expected.exact
    assert index.hits(LineageNode(kind, newer)) == expected.exact[kind, newer]
    assert len(expected.exact[kind, newer]) == 1
    for whole in (len, list):
        with pytest.raises(NotImplementedError):
            whole(index.authored)


def replace_digest(node: AuthoredNode) -> AuthoredNode:
    return node._replace(digest="0" * 64)


def test_what_was_found_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed, "_MOST_FOUND", 1)
    steps, older = renewed()
    index = follow(steps)[1].withdrawals["regulator"]
    assert [len(index.hits(node)) for node in (older, replace_digest(older), older)] == [1, 0, 1]


def test_what_was_read_is_compared_with_the_next_epoch_by_value() -> None:
    steps, older = renewed()
    _, state = follow(steps)
    recorded, reads = recording(state)
    assert len(recorded.withdrawals["regulator"].hits(older)) == 1
    assert reads.unchanged(state, NOW)
    assert reads.unchanged(follow(steps)[1], NOW)
    steps.world.parties["regulator"].withdrawals.clear()
    steps.publish("regulator")
    assert not reads.unchanged(follow(steps)[1], NOW)


def test_views_that_changed_or_went_are_followed() -> None:
    steps = Steps(admitted_world())
    views, _ = follow(steps)
    producer = steps.world.parties["producer"].view()
    without_keys = replace(producer, document=replace(producer.document, keys=()))
    unchanged = views.with_changes({"producer": replace(producer, version=9), "nobody": None})
    assert (unchanged.keys, unchanged.indexes) == (views.keys, views.indexes)
    assert unchanged.views["producer"].version == 9
    keyless = views.with_changes({"producer": without_keys})
    assert {signer.authority for signer in {*views.keys} - {*keyless.keys}} == {"producer"}
    gone = views.with_changes({"producer": None})
    for table in (gone.views, gone.indexes):
        assert {*views.views} - {*table} == {"producer"}
    assert gone.keys == keyless.keys
