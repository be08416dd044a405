"""An explanation names those whose withdrawals and silence count, and what floors add."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from sidecar.cli import assessment_view
from sidecar.core.assessment import Assessment
from sidecar.core.grants import Floor
from tests.support.simulator.constants import ENV, MODEL, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.world import admitted_world

ASKED = {"model": MODEL, "environment": ENV, "provider": "openai", "operation": OPERATION}


def with_floor() -> Assessment:
    """Denied: nobody approves as ``works-council``, and there is no suite for the US."""
    world = admitted_world()
    world.join("auditor", grant("auditor"))
    world.floors = (Floor((ENV,), jurisdictions=("eu", "us"), roles=("works-council",)),)
    return world.ask()


def test_an_explanation_for_programs_has_silence_and_floors() -> None:
    value = assessment_view.to_json(with_floor(), asked=ASKED)
    names = ["customer", "evaluator", "producer", "provider", "regulator"]
    assert {name: value[name] for name in ("objectors", "must_be_fresh", "jurisdictions")} == {
        "objectors": ["auditor", *names],
        "must_be_fresh": ["customer", "provider", "regulator"],
        "jurisdictions": ["eu", "us"],
    }
    assert value["floors"] == {"jurisdictions": ["us"], "roles": ["works-council"]}


def test_an_explanation_for_people_has_a_line_for_each_and_none_for_what_is_empty() -> None:
    assert lines(with_floor()) == [
        "constituents: customer, producer, provider",
        "objectors: auditor, customer, evaluator, producer, provider, regulator",
        "silence denies: customer, provider, regulator",
        "jurisdictions that floors add: us",
        "roles that floors require: works-council",
    ]
    assert not [line for line in lines(admitted_world().ask()) if "floors" in line]


def test_an_explanation_has_the_steps_in_their_order_reached_or_not() -> None:
    """Whatever the order in which they were taken, and where one in between was not reached."""
    found = with_floor()
    mixed = tuple(each for each in reversed(found.findings) if each.step != 3)
    shown = text(replace(found, findings=mixed))
    numbers = [int(line[1:].split(".")[0]) for line in shown if line[:1] in tuple("✓✗·")]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(8))
    value = assessment_view.to_json(replace(found, findings=mixed), asked=ASKED)
    steps = [step["step"] for step in value["steps"]]
    assert (steps == sorted(steps), 3 in value["not_reached"]) == (True, True)


def text(assessment: Assessment) -> list[str]:
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(assessment_view.steps_table(assessment, asked=ASKED))
    return [line.strip() for line in captured.get().splitlines()]


def lines(assessment: Assessment) -> list[str]:
    """The lines below the steps, without what they mean."""
    names = ("constituents:", "objectors:", "silence", "jurisdictions that", "roles that")
    return [line.split("  ")[0] for line in text(assessment) if line.startswith(names)]
