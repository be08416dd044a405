"""Every step of a state equals the state assembled from everything, table by table.

Over random histories: files come and go, keys are rotated, authorities publish, gates are started
anew. ``whole`` states the same rules over all evidence at once.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import settings

from sidecar.core.memory import Remembered
from sidecar.core.snapshot import TrustState
from sidecar.core.withdrawals import WithdrawalIndex
from tests.support.laws import check
from tests.support.laws.driver import Gate
from tests.support.laws.whole import assemble_whole

PARTS = 4


def table(value: Any) -> Any:
    """A table as plain values that compare by content; withdrawals of one node in no order."""
    if isinstance(value, WithdrawalIndex):
        authored = {node: sorted(map(repr, found)) for node, found in value.authored.items()}
        return value.entries, dict(value.exact), value.patterns, authored
    if hasattr(value, "takeovers"):
        return remembered(value)
    if hasattr(value, "items"):
        return {key: table(each) for key, each in value.items()}
    return frozenset(value) if hasattr(value, "isdisjoint") else value


def remembered(memory: Remembered) -> tuple[Any, ...]:
    return (
        memory.takeovers,
        memory.successors,
        memory.statements,
        memory.adapted,
        memory.withdrawn,
        memory.declared,
    )


def compare(gate: Gate) -> None:
    assert gate.state is not None
    expected = assemble_whole(
        epoch=gate.epoch,
        operator=gate.state.operator,
        views=gate.views.values(),
        files=gate.files.values(),
        rejected=gate.junk,
        memory=gate.remembered,
    )
    for each in fields(TrustState):
        found, wanted = getattr(gate.state, each.name), getattr(expected, each.name)
        assert table(found) == table(wanted), each.name


@pytest.mark.parametrize("part", range(PARTS))
def test_a_step_gives_what_assembling_everything_gives(part: int) -> None:
    # Apart from those that the model is compared with, so that both together see more.
    for seed in range(1_000_000 + part, 1_000_000 + 3 * settings().max_examples, PARTS):
        assert check.play(seed, after=compare).complaint is None
