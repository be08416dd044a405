"""Mistakes in a history are told with their line; nothing is guessed."""

from __future__ import annotations

import pytest

from sidecar.simulate import history_file
from sidecar.simulate.history_file import HistoryError
from sidecar.simulate.play import simulate
from tests.unit.simulate.samples import GOOD


def played(text: str) -> list[tuple[str, str]]:
    simulation = simulate(history_file.read(text.encode()))
    return [(step.happened, step.outcomes["call"].reason) for step in simulation.steps]


def refused(text: str) -> str:
    with pytest.raises(HistoryError) as caught:
        played(text)
    return str(caught.value)


def test_a_history_is_played() -> None:
    assert played(GOOD) == [
        ("at the beginning", "admitted"),
        ("regulator withdraws corpus tickets", "withdrawn"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: A small one\n", "", "line 1: title: is missing"),
        ("title: A small one", "title: [", "line 3: expected ',' or ']', but got ':'"),
        ("steps:", "stepss:", "line 16: stepss: is not a key here"),
        ("role: evaluator", "rule: evaluator", "line 6: authorities.lab.0.rule: is not a key here"),
        ("  lab:", "  acme:", "line 6: the key 'acme' is given twice"),
        ("by: acme, j", "by: acne, j", "line 9: 'acne' is not an authority; expected one of "),
        ("withdraw:", "withdarw:", "line 17: 'withdarw' is not a step; expected one of declare, "),
        ("    expect: withdrawn", "    restart: gate", "line 17: a step does one thing, and this"),
        ("    expect: withdrawn", "    expect: {cal: x}", "line 18: expect: 'cal' is not a "),
        ("    expect: withdrawn", "    expect: [x]", "line 18: expect: expected 'admitted', a "),
        ("    expect: withdrawn", "    note: [x]", "line 17: note: expected text"),
        (
            "regulator, corpus",
            "regulater, corpus",
            "line 17: withdraw: unknown authority 'regulater'",
        ),
        ("corpus: tickets}", "corpus: ticket}", "line 17: withdraw: unknown corpus 'ticket'; "),
        (", corpus: tickets}", "}", "line 17: withdraw: expected exactly one thing that is with"),
        ("model: support}", "model: support, deployment: x}", "line 14: questions.call: expected "),
        ("environment: prod", "environment: live", "line 14: 'live' is not an environment; "),
        (
            "withdraw: {by: regulator, corpus: tickets}",
            "wait: soon",
            "line 17: wait: expected a duration such as 90m, 6h or 7d",
        ),
        (
            "withdraw: {by: regulator, corpus: tickets}",
            "take-back: {by: regulator, corpus: tickets}",
            "line 17: take-back: regulator has not withdrawn corpus tickets",
        ),
        (
            "withdraw: {by: regulator, corpus: tickets}",
            "lose: {approval: support, of: lab}",
            "line 17: lose: there is no approval of 'support' by lab",
        ),
        (
            "withdraw: {by: regulator, corpus: tickets}",
            "bind: {by: acme-ml, manifest: support}",
            "line 17: bind: a manifest is called 'support' already; give it another name",
        ),
        ("  prod: {by: acme,", "  prod: {by: acme, id: x,", "line 9: 'x' is not a workload's SPI"),
    ],
)
def test_a_mistake_is_reported_with_its_line(old: str, new: str, told: str) -> None:
    assert old in GOOD
    assert refused(GOOD.replace(old, new)).startswith(told)


def test_what_is_no_history_is_refused() -> None:
    assert refused("") == "line 1: the file is empty; it begins with 'title:'"
    assert refused("- x\n") == "line 1: expected a mapping that begins with 'title:'"
    assert refused("a: \x00") == "line 1: is not YAML in UTF-8"
    assert refused("x" * (history_file.MAX_HISTORY_BYTES + 1)).startswith("line 1: the file is l")
