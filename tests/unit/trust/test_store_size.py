"""The store does not grow for as long as what it holds does not."""

from __future__ import annotations

from pathlib import Path

from sidecar.core.trust_state import Change
from sidecar.trust import verified_store
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import admitted_world
from tests.unit.trust.durable import whole


def test_a_step_is_written_to_pages_of_epochs_that_ended(tmp_path: Path) -> None:
    world = admitted_world()
    kept = whole(tmp_path / "state", world)
    files = tuple(map(Steps(world).file, world.evidence.values()))
    store, sizes = tmp_path / "state" / verified_store.NAME / "data.mdb", list[int]()
    for _ in range(30):
        kept.advance(Change(removed=tuple(kept.state.tables.files)))
        kept.advance(Change(added=files))
        sizes.append(store.stat().st_size)
    kept.durable.close()
    assert sizes[10:] == [sizes[10]] * 20
