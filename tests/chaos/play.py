"""One seeded run: operations and faults in random order, then recovery without a person."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.editions import QUESTIONS
from tests.chaos.setups import Setup, drawn
from tests.chaos.stage import Stage, stage
from tests.chaos.steps import Steps

STEPS = 14
PAUSES = (0.05, 0.7)
START_SECONDS = RECOVERY_SECONDS = 90.0
RESTART_SECONDS = 1.0
"""Between an end of the gate by itself and its next start, as a supervisor would wait."""


@dataclass(slots=True)
class Outcome:
    """How a run ended: complaints by their kind, and what happened in it.

    Attributes:
        unsafe: Allows that no state which the gate may have had admits.
        unrecorded: Allows that are not in the decision log.
        lost: Withdrawals that are published and do not deny.
        stuck: Whether it did not start or recover by itself.
    """

    seed: int
    setup: Setup
    complaints: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    asked: int = 0
    admitted: int = 0
    unsafe: int = 0
    unrecorded: int = 0
    lost: int = 0
    stuck: bool = False
    recovery: float = 0.0


def play(seed: int, setup: Setup | None = None, steps: int = STEPS) -> Outcome:
    """Play a seed's run; the processes that it starts have ended when it returns."""
    random = Random(seed)
    outcome = Outcome(seed, setup or drawn(seed))
    with (
        tempfile.TemporaryDirectory(prefix="chaos") as folder,
        stage(Path(folder), outcome.setup) as made,
    ):
        made.launch()
        watching = list(made.watch())
        for each in watching:
            each.start()
        if not _settled(made, outcome, START_SECONDS):
            outcome.stuck = True
            outcome.complaints.append(f"did not start: {_answers(made)}; {_last_line(made)}")
            return outcome
        run = Steps(made, random, outcome.happened)
        for _ in range(steps):
            run.step()
            time.sleep(random.uniform(*PAUSES))
        run.heal()
        _recover(made, outcome)
        made.over.set()
        for each in watching:
            each.join(10)
        _judge(made, outcome)
    return outcome


def _recover(made: Stage, outcome: Outcome) -> None:
    began = made.clock()
    if not _settled(made, outcome, RECOVERY_SECONDS):
        outcome.stuck = True
        found = _answers(made)
        expected = made.record.expected()
        outcome.lost = sum(found[q] == "admitted" and not yes for q, yes in expected.items())
        outcome.complaints.append(f"did not recover: {found}; {_last_line(made)}")
    outcome.recovery = made.clock() - began


def _judge(made: Stage, outcome: Outcome) -> None:
    """Look at every answer, at the decision log, and at what outlives the gate."""
    left = made.end()
    if left:
        outcome.complaints.append(f"processes outlived their gate: {left}")
    outcome.asked = sum(call.answer is not None for call in made.record.asked)
    outcome.admitted = sum(call.admitted for call in made.record.asked)
    unsafe = made.record.unsafe()
    outcome.unsafe = len(unsafe)
    outcome.complaints += unsafe
    unrecorded, why = _unrecorded(made)
    outcome.unrecorded = unrecorded
    outcome.complaints += why


def _answers(made: Stage) -> dict[str, str | None]:
    """Return the last answer to each question."""
    last = {call.question: call.answer for call in made.record.asked[-20:]}
    return {question: last.get(question) for question in QUESTIONS}


def _settled(made: Stage, outcome: Outcome, seconds: float) -> bool:
    """Wait until the answers are those that what is published asks for; start it if it ended."""
    expected, until = made.record.expected(), made.clock() + seconds
    while made.clock() < until:
        if not made.running:
            outcome.happened.append(f"{made.clock():.2f} it had ended: {_last_line(made)}")
            made.launch()
            time.sleep(RESTART_SECONDS)
        found = _answers(made)
        if all((found[q] == "admitted") == admits for q, admits in expected.items()) and all(
            found[q] is not None and (admits or found[q] == "withdrawn")
            for q, admits in expected.items()
        ):
            return True
        time.sleep(0.05)
    return False


def _unrecorded(made: Stage) -> tuple[int, list[str]]:
    """Count the allows that the decision log misses, with a sentence about it."""
    known = set()
    for line in made.gate.decisions.read_bytes().splitlines():
        # A process that was killed leaves its last line unfinished; the next one ends it.
        with suppress(ValueError):
            known.add(json.loads(line)["id"])
    missing = sum(call.admitted and call.decision not in known for call in made.record.asked)
    return missing, ([f"{missing} admitted calls are not in the decision log"] if missing else [])


def _last_line(made: Stage) -> str:
    lines = made.gate.log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "its log is empty"
