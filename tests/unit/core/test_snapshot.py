"""A key agrees while it is active and in its window; a view is stale once it was not heard."""

from __future__ import annotations

from dataclasses import replace

from tests.support.simulator.constants import NOW
from tests.support.simulator.world import admitted_world


def test_a_key_agrees_only_while_active_and_in_its_window() -> None:
    record = next(iter(admitted_world().state().keys.values()))
    times = (record.window.not_before, NOW, record.window.not_after)
    assert [record.agrees(at) for at in times] == [True, True, False]
    assert not replace(record, retired=True).agrees(NOW)


def test_every_authority_of_the_operator_has_its_view_under_its_own_name() -> None:
    state = admitted_world().state()
    assert {name: view.name for name, view in state.authorities.items()} == {
        name: name for name in state.operator.grants
    }
