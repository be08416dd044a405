"""An index finds every entry that withdraws a node: by subject, by pattern, by a later word."""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.memory import LineageNode
from sidecar.core.withdrawals import (
    AuthoredNode,
    WithdrawalIndex,
    earlier_statements,
    matter,
    withdrawn_statements,
)
from tests.support.simulator.world import World, admitted_world, window

CORPUS, APPROVAL = WithdrawalKind.CORPUS, WithdrawalKind.APPROVAL
BASE = WithdrawalKind.BASE_MODEL
A, B = "a" * 64, "b" * 64


def entry(kind: WithdrawalKind, subject: str) -> Withdrawal:
    return Withdrawal(kind, subject, "a reason", datetime(2026, 11, 1, tzinfo=UTC))


def test_an_entry_hits_its_own_kind_and_subject_and_nothing_else() -> None:
    corpus, pattern = entry(CORPUS, A), entry(BASE, "openai/gpt-4o-*")
    index = WithdrawalIndex.of((corpus, pattern), {})
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


def test_what_a_later_withdrawal_reaches_is_hit_only_as_that_author_signed_it() -> None:
    later = entry(APPROVAL, B)
    older = AuthoredNode(APPROVAL, A, "office")
    index = WithdrawalIndex.of((later,), {(APPROVAL, B): (older,)})
    assert index.hits(older) == (later,)
    assert index.hits(AuthoredNode(APPROVAL, A, "other")) == ()
    assert index.hits(LineageNode(APPROVAL, A)) == ()


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


def test_withdrawing_the_newer_approval_reaches_the_older_also_once_its_file_is_lost() -> None:
    world, older, newer = renewed()
    items = [item for items in world.state().approvals.values() for item in items]
    withdrawn = withdrawn_statements(items, [entry(APPROVAL, newer)], ())
    reached = {(APPROVAL, newer): (AuthoredNode(APPROVAL, older, "regulator"),)}
    left = [item for item in items if item.digest != newer]
    assert earlier_statements(items, withdrawn) == reached
    assert earlier_statements(left, withdrawn) == reached
    assert withdrawn_statements(left, [entry(APPROVAL, newer)], withdrawn) == withdrawn


def test_withdrawing_the_older_approval_leaves_the_newer_alone() -> None:
    world, older, _ = renewed()
    items = [item for items in world.state().approvals.values() for item in items]
    withdrawn = withdrawn_statements(items, [entry(APPROVAL, older)], ())
    assert earlier_statements(items, withdrawn) == {}


def test_a_manifest_is_a_statement_by_itself_and_an_approval_is_about_its_manifest() -> None:
    world = admitted_world()
    state = world.state()
    (manifest,) = state.manifests_by_digest.values()
    assert matter(manifest) is None
    about = [matter(item) for item in state.approvals[manifest.digest]]
    assert all(each is not None and manifest.digest in each for each in about)
