"""What happens in a run: what authorities publish, and faults that begin and are taken away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

from sidecar.formats.evidence_index import INDEX_FILE
from sidecar.gate.clock import SETTLE_SECONDS
from sidecar.trust import verified_store
from tests.chaos import evidence, faults
from tests.chaos.proxy import LOSSES
from tests.chaos.stage import Stage
from tests.chaos.transports import files_of, web_server
from tests.unit.trust.transports import FAULTS

GONE_SECONDS = 0.6
"""Until a gate may have dropped a file that is not listed any more."""
SHORT_LIFE = timedelta(seconds=4)
COMMIT_SECONDS = 3.0
"""How long a change may take to be written, where a kill waits for that."""
YEAR_SECONDS = 365 * 86_400.0
CLOCK_STEPS = (60.0, 7200.0, 3 * YEAR_SECONDS, -60.0, -7200.0, -3 * YEAR_SECONDS)
Step = Callable[[], None]


class Steps:
    """The steps of one run; what was begun and must be ended is in ``_ends``."""

    def __init__(self, made: Stage, random: Random, happened: list[str]) -> None:
        self._made, self._random, self._happened = made, random, happened
        self._ends: list[tuple[str, Step]] = []
        self._relied_on = False

    def step(self) -> None:
        """Do one thing, drawn by its weight; a gate that is down is often started again."""
        made, random = self._made, self._random
        if not made.running and random.random() < 0.7:
            self._did("start", made.launch)
            return
        choices: list[tuple[int, Step]] = [
            (5, self._change),
            (2, self._renew),
            (2, self._expire),
            (3, self._content),
            (3, self._loss),
            (2, self._kill_in_commit),
            (3, self._kill_process),
            (2, self._kill_opa),
            (1, self._kill),
            (3, self._limit),
            (1, self._stop),
            (1, self._hang_opa),
            (3, self._end_one),
        ]
        if made.setup.remote_evidence:
            choices.append((4, self._serve_evidence))
        else:
            choices += [(2, self._lose), (2, self._junk)]
        if made.transport.kills():
            choices.append((2, self._kill_server))
        if web_server(made.transport) is not None:
            choices.append((2, self._misbehave))
        if made.policies is not None:
            choices.append((3, self._lose_policies))
        if made.wall is not None:
            choices.append((5, self._set_clock))
        weights = [weight for weight, _ in choices]
        random.choices([each for _, each in choices], weights)[0]()

    def heal(self) -> None:
        """Take every fault away; publish what expires soon; start the gate if it is down."""
        while self._ends:
            self._end_one()
        self._made.transport.catch_up()
        if self._made.setup.remote_evidence:
            self._made.publish_evidence()
        for name in self._made.authorities:
            self._made.publish(name)
        if not self._made.running:
            self._did("start", self._made.launch)

    def _did(self, what: str, do: Callable[[], object]) -> None:
        self._happened.append(f"{self._made.clock():.2f} {what}")
        do()

    def _began(self, what: str, end: Step) -> None:
        """Note a fault that has begun, and how it ends."""
        self._did(what, lambda: None)
        self._ends.append((f"end of {what}", end))

    def _end_one(self) -> None:
        if self._ends:
            what, end = self._ends.pop(self._random.randrange(len(self._ends)))
            self._did(what, end)

    # ---- What authorities do -------------------------------------------------------------------

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

    # ---- Sources -------------------------------------------------------------------------------

    def _content(self) -> None:
        """Serve something else of one authority: older, mixed, forked, cut, endless, none."""
        made, random = self._made, self._random
        name = random.choice(made.authorities)
        what, fault = random.choice(sorted(FAULTS.items()))
        new = files_of(made.site.repositories[name].folder)
        old = files_of(random.choice(made.copies[name]))
        served = dict(fault(new, old, made.forks[name]))

        def end() -> None:
            made.transport.serve(name, files_of(made.site.repositories[name].folder))

        self._did(f"source {name}: {what}", lambda: made.transport.serve(name, served))
        self._ends.append((f"source {name}: the right one", end))

    def _loss(self) -> None:
        how, proxy = self._random.choice(LOSSES), self._made.transport.proxy
        proxy.lose(how, self._random.randrange(1 << 16))
        self._began(f"connections to {self._made.transport.name}: {how}", proxy.heal)

    def _misbehave(self) -> None:
        """Answer a share of the requests for one authority's files wrongly."""
        random, server = self._random, web_server(self._made.transport)
        assert server is not None
        name = random.choice(self._made.authorities)
        how, share = random.choice(faults.ANSWERS), random.choice((1.0, 1.0, 0.5))
        faults.misbehave(server, name, how, share)
        self._began(f"web server, {name}: {how.__name__.strip('_')} of {share:.0%}", server.behave)

    def _kill_server(self) -> None:
        name, kill, start = self._random.choice(self._made.transport.kills())
        kill()
        self._began(f"kill -9 {name}", start)

    # ---- Evidence ------------------------------------------------------------------------------

    def _lose(self) -> None:
        """Take a file of evidence away, and bring it back later."""
        folder = self._made.site.folder / "evidence"
        found = sorted(folder.glob("*.dsse.json"))
        if not found:
            return
        path = self._random.choice(found)
        aside = path.with_suffix(".aside")
        path.rename(aside)
        self._began(f"loss of {path.name}", partial(_rename, aside, path))

    def _junk(self) -> None:
        """Add files that are no evidence, and a torn copy of one that is."""
        folder, random = self._made.site.folder / "evidence", self._random
        data = next(iter(self._made.site.world.evidence.values()))
        for number in range(20):
            torn = data[: random.randrange(len(data))]
            (folder / f"junk-{random.randrange(10**9)}-{number}.json").write_bytes(torn)
        self._did("junk", lambda: None)

    def _serve_evidence(self) -> None:
        """Serve something else as evidence: cut, endless, replayed, with a chunk missing, none."""
        made, random = self._made, self._random
        victim = random.choice(sorted(made.evidence_files().keys() - {INDEX_FILE}))
        old = made.evidence_files(without=victim)
        made.transport.serve_evidence(old)
        made.over.wait(GONE_SECONDS)
        new = made.evidence_files()
        if made.setup.transport == "nats" and random.random() < 0.3:
            what, lost, served = "loses a chunk", victim, new
        else:
            what, fault = random.choice(sorted(evidence.FAULTS.items()))
            lost, served = "", fault(new, old, victim, random)
        made.transport.serve_evidence(served, lost)
        self._began(f"evidence: {what}", partial(made.publish_evidence))

    # ---- Processes -----------------------------------------------------------------------------

    def _kill(self) -> None:
        if self._made.running:
            self._did("kill -9 gate", self._made.kill)

    def _kill_process(self) -> None:
        """Kill the writer, a worker or the policies process, where there are such."""
        made = self._made
        role = self._random.choice(("writer", "worker", "policies"))
        for pid in made.processes(role)[:1]:
            self._did(f"kill -9 {role}", partial(_signal, pid, signal.SIGKILL))

    def _kill_in_commit(self) -> None:
        """Publish something, and kill who writes it as soon as the first page is written."""
        made, name = self._made, self._random.choice(self._made.authorities)
        if not made.running:
            return
        several = made.setup.workers > 1
        writers = made.processes("writer") if several else [made.gate.pid]
        data = made.site.folder / "state" / verified_store.NAME / "data.mdb"
        for pid in writers:
            if data.exists():
                made.publish(name)
                killed = faults.killed_when_it_writes(pid, data, COMMIT_SECONDS)
                self._did(f"kill -9 in a commit: {killed}", lambda: None)

    def _kill_opa(self) -> None:
        for pid in self._opas():
            self._did("kill -9 opa", partial(_signal, pid, signal.SIGKILL))

    def _hang_opa(self) -> None:
        for pid in self._opas():
            self._began("SIGSTOP opa", faults.stopped(pid))

    def _opas(self) -> list[int]:
        if not self._made.running:
            return []
        found = faults.descendants(self._made.gate.pid)
        return [pid for pid, name in found.items() if name == "opa"]

    def _some_process(self) -> int:
        """The gate's process, or one of its own of several."""
        pid = self._made.gate.pid
        below = [each for each, name in faults.descendants(pid).items() if name != "opa"]
        return self._random.choice([pid, *sorted(below)])

    def _limit(self) -> None:
        """Let a process open or write no more files, or fill the disk of the trust state."""
        made = self._made
        if not made.running:
            return
        state = made.site.folder / "state"
        if made.setup.own_disk and state.is_mount() and self._random.random() < 0.6:
            self._began("full disk of the state", faults.filled(state))
            return
        fault, pid = self._random.choice((faults.no_more_files, faults.full_disk)), 0
        pid = self._some_process()
        try:
            self._began(f"{fault.__name__} for {pid}", fault(pid))
        except OSError:
            self._did(f"{fault.__name__}: {pid} has ended", lambda: None)

    def _stop(self) -> None:
        if self._made.running:
            pid = self._some_process()
            try:
                self._began(f"SIGSTOP {pid}", faults.stopped(pid))
            except ProcessLookupError:
                self._did(f"SIGSTOP: {pid} has ended", lambda: None)

    # ---- Policies and time ---------------------------------------------------------------------

    def _lose_policies(self) -> None:
        proxy = self._made.policies
        assert proxy is not None
        how = self._random.choice(LOSSES)
        proxy.lose(how, self._random.randrange(1 << 16))
        self._began(f"connections to OPA: {how}", proxy.heal)

    def _set_clock(self) -> None:
        """Set the gate's wall clock by minutes or years, and back later."""
        wall = self._made.wall
        assert wall is not None
        seconds = self._random.choice(CLOCK_STEPS)
        wall.step(seconds)
        self._began(f"the clock is set by {seconds:+.0f} s", partial(wall.step, 0))
        if not self._relied_on and self._random.random() < 0.5:
            # Until the gate relies on it: once in a run, since that takes so long.
            self._relied_on = True
            self._made.over.wait(SETTLE_SECONDS + 3)


def _signal(pid: int, number: signal.Signals) -> None:
    # It may have ended meanwhile.
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _rename(path: Path, name: Path) -> None:
    path.rename(name)
