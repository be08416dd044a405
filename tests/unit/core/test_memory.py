"""What must outlive a lost file is written and read back whole, or refused."""

from __future__ import annotations

import pytest

from sidecar.core import memory
from sidecar.core.documents import WithdrawalKind
from sidecar.core.reasons import EvidenceError
from tests.support.simulator.constants import NOW

A, B = "a" * 64, "b" * 64


def test_memory_reads_back_what_it_wrote() -> None:
    nodes = (memory.LineageNode(WithdrawalKind.CORPUS, A),)
    held = memory.Memory(
        takeovers=(memory.Takeover(A, B, "spiffe://acme.example/env/prod"),),
        successors=(memory.Successor(A, B, (("producer", "sha256:" + A),), nodes),),
        statements=(memory.Statements(A, (memory.LineageNode(WithdrawalKind.APPROVAL, B),)),),
        adapted=("openai/ft:x",),
        withdrawn=(memory.WithdrawnStatement(WithdrawalKind.RESULT, A, "lab", "[]", NOW),),
        declared=(memory.DeclaredScope("spiffe://acme.example/env/prod", "acme", "finance", "eu"),),
    )
    assert memory.read(held.write()) == held


def test_damaged_memory_is_refused_and_never_taken_for_an_empty_one() -> None:
    for data in (b"", b"{", b"{}", b"[]", b'{"type":"urn:admissibility:memory:v2"}'):
        with pytest.raises(EvidenceError, match=r"^memory: "):
            memory.read(data)
