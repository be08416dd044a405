"""What is remembered in tables is what was recalled into them."""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.core import memory
from sidecar.core.documents import WithdrawalKind
from sidecar.core.grants import OperatorTrust
from sidecar.core.memory_tables import RememberedTables, added, merged, recall, recalled
from sidecar.core.tables import Drafts
from tests.support.simulator.party import grant

GRANT = grant("customer", environments=("**",))
OPERATOR = OperatorTrust({"customer": (GRANT,)})
A, B, C, D = "a" * 64, "b" * 64, "c" * 64, "d" * 64
NODE = memory.LineageNode(WithdrawalKind.MANIFEST, C)
WHOLE = memory.Memory(
    takeovers=(memory.Takeover(A, B, "spiffe://x/1"), memory.Takeover(A, C, "spiffe://x/1")),
    successors=(
        memory.Successor(A, B, (("maker", "sha256:1"),), (NODE,)),
        memory.Successor(A, C, (), ()),
        memory.Successor(D, B, (), (NODE,)),
    ),
    statements=(memory.Statements(C, (NODE,)),),
    adapted=("openai/a", "openai/b"),
    declared=tuple(
        memory.DeclaredScope("spiffe://x/1", who, "finance", "eu") for who in ("customer", "nobody")
    ),
    withdrawn=tuple(
        memory.WithdrawnStatement(
            WithdrawalKind.APPROVAL,
            digest,
            "office",
            f'["approval","{C}","regulator"]',
            datetime(2026, 1, 1, tzinfo=UTC),
        )
        for digest in (A, B)
    ),
)


def test_what_is_recalled_is_remembered() -> None:
    tables = recalled(WHOLE, OPERATOR)
    held = RememberedTables(tables)
    assert held.whole() == WHOLE
    assert memory.read(held.write()) == WHOLE


def test_what_is_recalled_can_be_looked_up_from_each_side() -> None:
    tables = recalled(WHOLE, OPERATOR)
    assert dict(tables.successors) == {A: WHOLE.successors[:2], D: WHOLE.successors[2:]}
    assert dict(tables.succeeds) == {B: (A, D), C: (A,)}
    assert dict(tables.declared) == {"spiffe://x/1": (("finance", "eu"),)}
    assert (set(tables.took), dict(tables.taken_over)) == (
        {(B, "spiffe://x/1"), (C, "spiffe://x/1")},
        {(A, "spiffe://x/1"): (B, C)},
    )
    assert dict(tables.withdrawn_as) == {
        (WithdrawalKind.APPROVAL, each.digest): (each,) for each in WHOLE.withdrawn
    }


def test_what_a_step_adds_and_what_was_before_make_the_whole() -> None:
    before = memory.Memory(
        takeovers=WHOLE.takeovers[:1],
        successors=WHOLE.successors[:1],
        adapted=WHOLE.adapted[:1],
        declared=WHOLE.declared[:1],
        withdrawn=WHOLE.withdrawn[:1],
    )
    drafts = Drafts.of(recalled(before, OPERATOR))
    recall(drafts, WHOLE, OPERATOR)
    new = added(drafts)
    assert new == memory.Memory(
        takeovers=WHOLE.takeovers[1:],
        successors=WHOLE.successors[1:],
        statements=WHOLE.statements,
        adapted=WHOLE.adapted[1:],
        declared=WHOLE.declared[1:],
        withdrawn=WHOLE.withdrawn[1:],
    )
    assert merged((before, new, new)) == WHOLE
    assert added(Drafts.of(recalled(WHOLE, OPERATOR))) == memory.Memory()
