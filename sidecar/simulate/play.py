"""Plays a history: takes each step, asks every question, and compares with what was expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sidecar.core.assessment import Assessment
from sidecar.core.reasons import Reason, remedy
from sidecar.simulate.acts import take
from sidecar.simulate.entries import Declare
from sidecar.simulate.history_file import History, HistoryError
from sidecar.simulate.statements import declared
from sidecar.simulate.world import STEP, World

ADMITTED = Reason.ADMITTED
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The answer to one question after a step.

    Attributes:
        reason: ``admitted``, or the reason code of the first step of the predicate that failed.
        step: The number of that step; None where it is admitted.
        detail: Why, in the names of the history.
        remedy: What would mend it; empty where it is admitted.
        expected: What the history expects, if anything.
    """

    reason: Reason
    step: int | None
    detail: str
    remedy: str
    expected: str | None

    @property
    def met(self) -> bool:
        """Whether it came out as expected."""
        return self.expected in (None, self.reason)


@dataclass(frozen=True, slots=True)
class Played:
    """One step that was taken, with the answer to every question after it."""

    number: int
    line: int
    at: datetime
    happened: str
    note: str | None
    outcomes: Mapping[str, StepOutcome]


@dataclass(frozen=True, slots=True)
class Simulation:
    """A history that was played to its end."""

    title: str
    steps: tuple[Played, ...]

    @property
    def unmet(self) -> tuple[tuple[Played, str], ...]:
        """Steps and questions whose outcome is not the expected one."""
        return tuple(
            (step, name)
            for step in self.steps
            for name, outcome in step.outcomes.items()
            if not outcome.met
        )


def simulate(history: History) -> Simulation:
    """Play a history from its beginning to its end.

    Raises:
        HistoryError: A step names something that does not exist, or cannot be done.
    """
    world = World.of(history)
    _check_questions(history)
    for name, entry in world.environments.items():
        party = world.parties[entry.by]
        statement = declared(world, Declare(by=entry.by, environment=name))
        world.put(party.sign(statement, "declaration", name))
    world.refresh()
    for step in history.setup:
        world.now += STEP
        take(world, step)
    steps = [_played(world, 0, 1, "at the beginning", None, history.expect)]
    for number, step in enumerate(history.steps, 1):
        world.now += STEP
        happened = take(world, step)
        steps.append(_played(world, number, step.line, happened, step.note, step.expect))
    return Simulation(history.settings.title, tuple(steps))


def _played(
    world: World, number: int, line: int, happened: str, note: str | None, expect: Mapping[str, str]
) -> Played:
    names = _names(world)
    outcomes = {
        name: _outcome(world.ask(question), names, expect.get(name))
        for name, question in world.history.settings.questions.items()
    }
    return Played(number, line, world.now, happened, note, outcomes)


def _outcome(assessment: Assessment, names: Mapping[str, str], expected: str | None) -> StepOutcome:
    failed = assessment.failed
    if failed is None or failed.reason is None:
        return StepOutcome(ADMITTED, None, "every step holds", "", expected)
    detail = _DIGEST.sub(lambda found: names.get(found[0], found[0]), failed.detail)
    return StepOutcome(failed.reason, failed.step, detail, remedy(failed.reason), expected)


def _names(world: World) -> dict[str, str]:
    """Return what the history calls each digest and each key."""
    names = {digest: name for (_, name), digest in world.subjects.items()}
    for party in world.parties.values():
        names |= {file.digest: file.after_kind for file in party.signed}
        names |= {key.fingerprint: f"{party.name}'s key {n}" for n, key in enumerate(party.keys, 1)}
    return names


def _check_questions(history: History) -> None:
    known = history.settings.environments
    for name, question in history.settings.questions.items():
        if question.environment not in known:
            raise HistoryError(
                history.line("questions", name),
                f"{question.environment!r} is not an environment; "
                f"expected one of {', '.join(known)}",
            )
