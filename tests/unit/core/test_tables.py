"""The tables that the rest of the repository reads: one row per kind of evidence and per reason."""

from __future__ import annotations

from typing import get_args

import pytest

from sidecar.cli.authority import Signs
from sidecar.core import memory
from sidecar.core.documents import WithdrawalKind
from sidecar.core.kinds import BY_NOUN, BY_URN, KINDS, kind_of
from sidecar.core.memory import (
    LineageNode,
    Memory,
    Statements,
    Successor,
    Takeover,
    WithdrawnStatement,
)
from sidecar.core.predicates import Predicate
from sidecar.core.reasons import REASONS, EvidenceError, Reason
from tests.support.simulator.predicates import NOW

A, B = "a" * 64, "b" * 64


def test_every_kind_of_predicate_has_exactly_one_row() -> None:
    assert {kind.predicate for kind in KINDS} == set(get_args(Predicate))
    assert len(KINDS) == len(BY_URN) == len(BY_NOUN) == len(get_args(Predicate))
    assert [sign.value for sign in Signs] == list(BY_NOUN)
    assert len({kind.withdrawal for kind in KINDS}) == len(KINDS)


def test_a_predicate_without_a_row_is_an_error_and_not_some_other_kind() -> None:
    with pytest.raises(KeyError):
        kind_of(object())  # type: ignore[arg-type]


def test_every_reason_has_exactly_one_row_and_its_step_grows_with_the_order() -> None:
    assert list(REASONS) == list(Reason)
    steps = [row.step for row in REASONS.values() if row.step is not None]
    assert steps == sorted(steps)
    assert set(steps) == set(range(8))
    assert [reason for reason, row in REASONS.items() if row.status == 200] == [Reason.ADMITTED]
    assert all(row.remedy.endswith(".") for row in REASONS.values())


def test_memory_reads_back_what_it_wrote() -> None:
    nodes = (LineageNode(WithdrawalKind.CORPUS, A),)
    held = Memory(
        takeovers=(Takeover(A, B, "spiffe://acme.example/env/prod"),),
        successors=(Successor(A, B, (("producer", "sha256:" + A),), nodes),),
        statements=(Statements(A, (LineageNode(WithdrawalKind.APPROVAL, B),)),),
        adapted=("openai/ft:x",),
        withdrawn=(WithdrawnStatement(WithdrawalKind.RESULT, A, "lab", "[]", NOW),),
    )
    assert memory.read(held.write()) == held


def test_damaged_memory_is_refused_and_never_taken_for_an_empty_one() -> None:
    for data in (b"", b"{", b"[]", b'{"type":"urn:admissibility:memory:v2"}'):
        with pytest.raises(EvidenceError, match=r"^memory: "):
            memory.read(data)
