"""Every step of a state equals the state assembled from everything, table by table.

Over random histories: files come and go, keys are rotated, authorities publish, gates are started
anew. ``whole`` states the same rules over all evidence at once.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.laws import check
from tests.support.laws.driver import Gate
from tests.support.laws.tables import differences
from tests.support.laws.whole import assemble_whole

PARTS = 4


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
    assert differences(gate.state, expected) == []


@pytest.mark.parametrize("part", range(PARTS))
def test_a_step_gives_what_assembling_everything_gives(part: int) -> None:
    # Apart from those that the model is compared with, so that both together see more.
    for seed in range(1_000_000 + part, 1_000_000 + 3 * settings().max_examples, PARTS):
        # What the model and the code answer, their own test compares.
        check.play(seed, after=compare, ask=False)
