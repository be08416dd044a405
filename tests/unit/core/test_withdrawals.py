"""An index finds every entry that withdraws a node: by subject, by pattern, by a later word."""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.memory import LineageNode
from sidecar.core.withdrawals import AuthoredNode, WithdrawalIndex, matter
from tests.support.simulator.predicates import window
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World, admitted_world

CORPUS, APPROVAL = WithdrawalKind.CORPUS, WithdrawalKind.APPROVAL
BASE = WithdrawalKind.BASE_MODEL
A, B = "a" * 64, "b" * 64


def entry(kind: WithdrawalKind, subject: str) -> Withdrawal:
    return Withdrawal(kind, subject, "a reason", datetime(2026, 11, 1, tzinfo=UTC))


def test_an_entry_hits_its_own_kind_and_subject_and_nothing_else() -> None:
    corpus, pattern = entry(CORPUS, A), entry(BASE, "openai/gpt-4o-*")
    index = WithdrawalIndex.of((corpus, pattern))
    found = [
        index.hits(LineageNode(*node))
        for node in (
            (CORPUS, A),
            (CORPUS, B),
            (APPROVAL, A),
            (BASE, "openai/gpt-4o-mini"),
            (BASE, "azure/gpt-4o-mini"),
        )
    ]
    assert (index.entries, found) == (2, [(corpus,), (), (), (pattern,), ()])


def renewed() -> tuple[World, str, str]:
    """The regulator approved twice; digests of the older and the newer approval."""
    world = admitted_world()
    (before,) = approvals_of(world)
    world.approve("regulator", label="renewal", window=window(0, 25))
    (newer,) = approvals_of(world) - {before}
    return world, before, newer


def approvals_of(world: World) -> set[str]:
    return {
        item.digest
        for items in world.state().approvals.values()
        for item in items
        if item.predicate.role == "regulator"
    }


def reached(world: World, digest: str) -> list[tuple[str, str, int]]:
    """Which authority's withdrawals hit an approval, as whom signed, and by how many entries."""
    state = world.state()
    return [
        (name, author, len(found))
        for name, index in sorted(state.withdrawals.items())
        for author in ("customer", "regulator")
        if (found := index.hits(AuthoredNode(APPROVAL, digest, author)))
    ]


def test_withdrawing_the_newer_approval_reaches_the_older_also_once_its_file_is_lost() -> None:
    world, older, newer = renewed()
    world.parties["regulator"].withdraw("approval", newer)
    assert reached(world, older) == [("regulator", "regulator", 1)]
    assert world.state().withdrawals["regulator"].hits(LineageNode(APPROVAL, older)) == ()
    del world.evidence["renewal"]
    assert reached(world, older) == [("regulator", "regulator", 1)]


def test_anybody_who_withdraws_the_newer_approval_reaches_the_older_by_the_same_author() -> None:
    world, older, newer = renewed()
    world.parties["customer"].withdraw("approval", newer)
    world.parties["regulator"].withdraw("approval", newer)
    expected = [("customer", "regulator", 1), ("regulator", "regulator", 1)]
    assert reached(world, older) == expected
    assert reached(world, newer) == []


def test_withdrawing_the_older_approval_leaves_the_newer_alone() -> None:
    world, older, newer = renewed()
    world.parties["regulator"].withdraw("approval", older)
    assert (reached(world, older), reached(world, newer)) == ([], [])


def test_an_older_approval_that_is_lost_is_reached_no_more_and_again_when_it_returns() -> None:
    world, older, newer = renewed()
    world.parties["regulator"].withdraw("approval", newer)
    first = world.state()
    held = world.evidence.pop("approval:regulator")
    steps = Steps(world)
    assert steps.reached(older) == 0
    assert steps.add(held).reached(older) == 1
    assert steps.remove(held).reached(older) == 0
    assert first.withdrawals["regulator"].hits(AuthoredNode(APPROVAL, older, "regulator"))


def test_a_withdrawn_approval_that_comes_late_reaches_the_older_one_also_once_it_is_lost() -> None:
    world, older, newer = renewed()
    world.parties["regulator"].withdraw("approval", newer)
    late = world.evidence.pop("renewal")
    steps = Steps(world)
    assert steps.reached(older) == 0
    assert steps.add(late).reached(older) == 1
    assert steps.remove(late).reached(older) == 1


def test_what_reaches_an_approval_is_in_the_order_in_which_the_newer_ones_begin() -> None:
    world, older, _ = renewed()
    newer = [
        world.approve("regulator", label=f"renewal {n}", window=window(1 - n / 10, 25))
        for n in range(1, 5)
    ]
    for digest in newer:
        world.parties["regulator"].withdraw(APPROVAL, digest)
    found = world.state().withdrawals["regulator"].hits(AuthoredNode(APPROVAL, older, "regulator"))
    assert [each.subject for each in found] == newer != sorted(newer)


def test_a_manifest_is_a_statement_by_itself_and_an_approval_is_about_its_manifest() -> None:
    world = admitted_world()
    state = world.state()
    (manifest,) = state.manifests_by_digest.values()
    assert matter(manifest) is None
    about = [matter(item) for item in state.approvals[manifest.digest]]
    assert all(each is not None and manifest.digest in each for each in about)


def test_an_index_that_reaches_the_same_is_the_same() -> None:
    """What was decided by it can be reused: only the regulator withdrew on the matter."""
    world = admitted_world()
    held = world.evidence["approval:regulator"]
    newer = world.approve("regulator", label="renewal", window=window(0, 25))
    world.parties["regulator"].withdraw(APPROVAL, newer)
    world.parties["customer"].withdraw(CORPUS, A)
    steps = Steps(world)
    before = steps.state.withdrawals
    after = steps.remove(held).state.withdrawals
    assert after["customer"] is before["customer"]
    assert after["regulator"] is not before["regulator"]
