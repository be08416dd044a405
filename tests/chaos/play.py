"""One seeded run: operations and faults in random order, then recovery without a person."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

from tests.chaos import faults
from tests.chaos.editions import QUESTIONS
from tests.chaos.stage import Stage, stage

STEPS = 14
PAUSES = (0.05, 0.7)
START_SECONDS = RECOVERY_SECONDS = 60.0
RESTART_SECONDS = 1.0
"""Between an end of the gate by itself and its next start, as a supervisor would wait."""
SHORT_LIFE = timedelta(seconds=4)


@dataclass(slots=True)
class Outcome:
    """How a run ended: complaints, and what happened in it."""

    seed: int
    complaints: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    asked: int = 0
    admitted: int = 0
    recovery: float = 0.0


def play(seed: int) -> Outcome:
    """Play a seed's run; the processes that it starts have ended when it returns."""
    outcome, random = Outcome(seed), Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder, stage(Path(folder)) as made:
        made.launch()
        watching = list(made.watch())
        for each in watching:
            each.start()
        if not _settled(made, outcome, START_SECONDS):
            outcome.complaints.append(f"did not start: {_last_line(made)}")
            return outcome
        run = _Run(made, random, outcome)
        for _ in range(STEPS):
            run.step()
            time.sleep(random.uniform(*PAUSES))
        run.heal()
        began = made.clock()
        if not _settled(made, outcome, RECOVERY_SECONDS):
            outcome.complaints.append(f"did not recover: {_answers(made)}; {_last_line(made)}")
        outcome.recovery = made.clock() - began
        made.over.set()
        for each in watching:
            each.join(10)
        outcome.asked = sum(call.answer is not None for call in made.record.asked)
        outcome.admitted = sum(call.admitted for call in made.record.asked)
        outcome.complaints += made.record.unsafe()
        outcome.complaints += _unrecorded(made)
    return outcome


class _Run:
    """The steps of one run; what was begun and must be ended is in ``_ends``."""

    def __init__(self, made: Stage, random: Random, outcome: Outcome) -> None:
        self._made, self._random, self._outcome = made, random, outcome
        self._ends: list[tuple[str, Callable[[], None]]] = []

    def step(self) -> None:
        """Do one thing, drawn by its weight; a gate that is down is often started again."""
        made, random = self._made, self._random
        if not made.running and random.random() < 0.7:
            self._did("start", made.launch)
            return
        choices: tuple[tuple[int, Callable[[], None]], ...] = (
            (5, self._change),
            (2, self._renew),
            (2, self._expire),
            (4, self._source),
            (2, self._lose),
            (2, self._junk),
            (2, self._kill),
            (2, self._kill_opa),
            (2, self._limit),
            (1, self._stop),
            (1, self._hang_opa),
            (3, self._end_one),
        )
        weights = [weight for weight, _ in choices]
        random.choices([each for _, each in choices], weights)[0]()

    def heal(self) -> None:
        """Take every fault away; publish what expires soon; start the gate if it is down."""
        while self._ends:
            self._end_one()
        for name in self._made.authorities:
            self._made.publish(name)
        if not self._made.running:
            self._did("start", self._made.launch)

    def _did(self, what: str, do: Callable[[], object]) -> None:
        self._outcome.happened.append(f"{self._made.clock():.2f} {what}")
        do()

    def _change(self) -> None:
        made, noun = self._made, self._random.choice(self._made.nouns)
        back = noun in made.withdrawn
        (made.withdrawn.discard if back else made.withdrawn.add)(noun)
        what = "reinstate" if back else "withdraw"
        self._did(f"{noun.authority}: {what} {noun.kind}", lambda: made.publish(noun.authority))

    def _renew(self) -> None:
        name = self._random.choice(self._made.authorities)
        self._did(f"{name}: heartbeat", lambda: self._made.publish(name))

    def _expire(self) -> None:
        name = self._random.choice(self._made.authorities)
        self._did(f"{name}: expires soon", lambda: self._made.publish(name, SHORT_LIFE))

    def _source(self) -> None:
        """Begin a fault of one authority's source; another one ends with it."""
        made, random = self._made, self._random
        name, server = random.choice(made.authorities), made.server
        server.behave()
        if random.random() < 0.5:
            how, share = random.choice(faults.ANSWERS), random.choice((1.0, 1.0, 0.5))
            what = f"source {name}: {how.__name__.strip('_')} of {share:.0%}"
            self._did(what, lambda: faults.misbehave(server, name, how, share))
        else:
            old = random.choice(made.copies[name])
            only = random.choice(("", "timestamp", "snapshot"))
            what = f"source {name}: {only or 'everything'} of version {old.name}"
            self._did(what, lambda: faults.serve_from(server, name, old, only))
        self._ends.append(("source behaves", server.behave))

    def _lose(self) -> None:
        """Take a file of evidence away, and bring it back later."""
        folder = self._made.site.folder / "evidence"
        found = sorted(path for path in folder.iterdir() if path.suffix == ".json")
        if not found:
            return
        path = self._random.choice(found)
        aside = path.with_suffix(".aside")
        self._did(f"lose {path.name}", lambda: path.rename(aside))
        self._ends.append((f"find {path.name}", lambda: _rename(aside, path)))

    def _junk(self) -> None:
        """Add files that are no evidence, and a torn copy of one that is."""
        folder, random = self._made.site.folder / "evidence", self._random
        data = next(iter(self._made.site.world.evidence.values()))
        for number in range(20):
            torn = data[: random.randrange(len(data))]
            (folder / f"junk-{random.randrange(10**9)}-{number}.json").write_bytes(torn)
        self._did("junk", lambda: None)

    def _kill(self) -> None:
        if self._made.running:
            self._did("kill -9 gate", self._made.kill)

    def _kill_opa(self) -> None:
        if self._made.running:
            for pid in faults.children(self._made.gate.pid, "opa"):
                self._did("kill -9 opa", partial(os.kill, pid, signal.SIGKILL))

    def _hang_opa(self) -> None:
        if self._made.running:
            for pid in faults.children(self._made.gate.pid, "opa"):
                self._did("SIGSTOP opa", lambda: None)
                self._ends.append(("SIGCONT opa", faults.stopped(pid)))

    def _limit(self) -> None:
        if not self._made.running:
            return
        fault = self._random.choice((faults.no_more_files, faults.full_disk))
        self._did(fault.__name__, lambda: None)
        self._ends.append((f"end of {fault.__name__}", fault(self._made.gate.pid)))

    def _stop(self) -> None:
        if self._made.running:
            self._did("SIGSTOP", lambda: None)
            self._ends.append(("SIGCONT", faults.stopped(self._made.gate.pid)))

    def _end_one(self) -> None:
        if self._ends:
            what, end = self._ends.pop(self._random.randrange(len(self._ends)))
            self._did(what, end)


def _rename(path: Path, name: Path) -> None:
    path.rename(name)


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


def _unrecorded(made: Stage) -> list[str]:
    """Return a sentence if an allow is missing from the decision log."""
    lines = made.gate.decisions.read_bytes().splitlines()
    known = set()
    for line in lines:
        try:
            known.add(json.loads(line)["id"])
        except ValueError:
            return [f"the decision log has a broken line: {line[:80]!r}"]
    missing = [c for c in made.record.asked if c.admitted and c.decision not in known]
    return [f"{len(missing)} admitted calls are not in the decision log"] if missing else []


def _last_line(made: Stage) -> str:
    lines = made.gate.log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "its log is empty"
