"""Histories against the code: generate, compare after every operation, shrink, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from sidecar.core.assessment import Assessment
from tests.support.laws import endings, laboratory, policies, requirements, universe
from tests.support.laws.driver import Gate
from tests.support.laws.generate import Author
from tests.support.laws.history import Operation, Require, Restart, Run
from tests.support.laws.laws import Watch
from tests.support.laws.model import answer
from tests.support.laws.nouns import Question
from tests.support.laws.policies import Policy
from tests.support.laws.reading import Reading
from tests.support.laws.ruling import Ruling

SHORTEST, LONGEST = 4, 14


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong after the first ``at`` operations of a history."""

    at: int
    question: Question
    text: str


@dataclass(slots=True)
class Played:
    """A history as far as it was played: its operations, and the complaint that ended it."""

    seed: int
    operations: list[Operation]
    complaint: Complaint | None = None
    admitted: int = 0
    asked: int = 0
    sandbox: bool = False
    requires: bool = False


@dataclass(slots=True)
class Watches:
    """Looks at each step: of the predicate, and of the whole decision under a policy, if any."""

    policy: Policy | None
    structure: Watch = field(default_factory=Watch)
    whole: Watch = field(default_factory=Watch)

    def wrong(
        self, ruling: Ruling, gate: Gate, run: Run, reading: Reading, operation: Operation | None
    ) -> str | None:
        """What is wrong with the answers to the question of a reading, if anything."""
        question = reading.question
        found = gate.ask(run, question)
        text = _difference(ruling, found)
        text = text or self.structure.broken(run, question, operation, ruling)
        if text is not None or self.policy is None:
            return text
        if ruling.admitted:
            ruling = answer(reading, self.policy)
            allowed = gate.allowed(run, question, found, self.policy)
            if ruling.admitted is not allowed:
                model = f"{ruling.step} {ruling.why}"
                return f"under a policy: model: {model}; code: allowed is {allowed}"
        return self.whole.broken_by_files(question, operation, ruling)


def play(
    seed: int,
    operations: Sequence[Operation] | None = None,
    after: Callable[[Gate], None] = lambda _: None,
    *,
    sandbox: bool | None = None,
    requires: bool | None = None,
    ask: bool = True,
) -> Played:
    """Play a seed's history, or the operations given, from the world in which it begins.

    After every operation model and code answer every question, and the laws are looked at as
    properties of the step. Ends at the first complaint. ``after`` sees the gate after each;
    ``sandbox`` states whether there is a laboratory, and ``requires`` whether the operator requires
    specifications and changes what it requires; else both go with the seed. Without ``ask`` nothing
    is asked, for a test that looks at the gate alone.
    """
    rng, required = Random(seed), requirements.drawn(seed) if requires is None else requires
    made = universe.start(rng, specified=required)
    run, gate, watches = Run(made.world), Gate(), Watches(policies.drawn(seed))
    opened = laboratory.drawn(seed) if sandbox is None else sandbox
    draws = Random(f"sandbox {seed}")
    if opened:
        laboratory.open_for(made, draws)
    author = Author(rng, made, run)
    questions = author.questions(2)
    if opened:
        questions = [questions[0], laboratory.question(draws)]
    if rng.random() < 0.15:
        # An authority that this gate has never heard yet.
        run.hung.add(rng.choice(sorted(made.world.published)))
    length = rng.randint(SHORTEST, LONGEST) if operations is None else len(operations)
    ends = length + (0 if operations is not None else endings.drawn(seed))
    played = Played(seed, [], sandbox=opened, requires=required)
    drawn = _drawn(author, requirements.changes(seed, length) if required else {}, operations)
    run.refresh()
    for at in range(ends + 1):
        operation = None
        if at == length + 1:
            endings.begin(author, seed)
        if at > 0:
            operation = drawn(at)
            played.operations.append(operation)
            run.apply(operation)
            if isinstance(operation, Restart):
                gate.restart()
        gate.take(run)
        after(gate)
        world = Reading(run.world, questions[0], run.now)
        for question in questions if ask else ():
            reading = world.asked(question)
            ruling = answer(reading)
            text = watches.wrong(ruling, gate, run, reading, operation)
            played.asked += 1
            played.admitted += ruling.admitted
            if text is not None:
                played.complaint = Complaint(at, question, text)
                return played
    return played


def _drawn(
    author: Author, changes: dict[int, Require], operations: Sequence[Operation] | None
) -> Callable[[int], Operation]:
    """Return what the operation with a number is: the given one, the operator's, or an author's."""
    if operations is not None:
        return lambda at: operations[at - 1]
    return lambda at: changes.get(at) or author.next()


def _difference(ruling: Ruling, found: Assessment) -> str | None:
    failed = found.failed
    step, reason = (8, "admitted") if failed is None else (failed.step, str(failed.reason))
    waived = frozenset(each.waiver.digest for each in found.waivers if found.admissible)
    if (ruling.step, ruling.why, ruling.waivers) == (step, reason, waived):
        return None
    code = f"{step} {reason}: {'' if failed is None else failed.detail} {sorted(waived) or ''}"
    noes = sorted(map(str, ruling.noes)) or ""
    return f"model: {ruling.step} {ruling.why} {noes}; code: {code}"


def shrunk(played: Played) -> Played:
    """Fewer operations that still end in a complaint: dropped one at a time, last first."""
    kept = played
    at = len(kept.operations) - 1
    while at >= 0:
        rest = kept.operations[:at] + kept.operations[at + 1 :]
        fewer = play(kept.seed, rest, sandbox=kept.sandbox, requires=kept.requires)
        if fewer.complaint is not None:
            kept = fewer
            at = min(at, len(kept.operations))
        at -= 1
    return kept


def told(played: Played) -> str:
    """The seed, the operations and what is wrong."""
    assert played.complaint is not None
    steps = [f"  {n}. {operation}" for n, operation in enumerate(played.operations, 1)]
    return "\n".join(
        [
            f"seed {played.seed}, after {played.complaint.at} operations: "
            f"{played.complaint.question}",
            *steps,
            f"  {played.complaint.text}",
        ]
    )


def search(
    seeds: Iterable[int], most: int = 3, each: Callable[[Played], None] = lambda _: None
) -> list[str]:
    """Shrunk reports of the first seeds whose histories end in a complaint."""
    found: list[str] = []
    for seed in seeds:
        played = play(seed)
        each(played)
        if played.complaint is not None:
            found.append(told(shrunk(played)))
            if len(found) == most:
                break
    return found
