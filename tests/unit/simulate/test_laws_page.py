"""Each law of ``docs/laws.md`` is shown by a history that comes out as the page states."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.simulate import history_file
from sidecar.simulate.play import simulate
from tests.unit.simulate.pages import HISTORIES, PAGE, block, shown_on_the_page


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_the_page_shows_what_the_history_prints(path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert shown_on_the_page(path.stem, page) == block(path), (
        "run python -m tests.unit.simulate.pages"
    )


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_every_step_of_a_law_states_what_it_expects_and_it_comes_out(path: Path) -> None:
    simulation = simulate(history_file.read(path.read_bytes()))
    outcomes = [outcome for step in simulation.steps for outcome in step.outcomes.values()]
    assert [(o.reason, o.expected) for o in outcomes if o.reason != o.expected] == []


def test_there_is_a_history_for_each_law() -> None:
    assert [path.stem for path in HISTORIES] == [f"law-{number}" for number in range(1, 9)]
