"""Plays the scenes that every story of the demo begins with: up to the admitted state.

A change of evidence reaches the gate by file notification, so after each act the application calls
until the reply is the expected one, for a bounded time; the last reply is printed.
"""

from __future__ import annotations

import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admissibility_devtools.demo.authorities import Scenario, now
from admissibility_devtools.demo.caller import Application, SdkReply
from admissibility_devtools.demo.evaluator import results, run_suites
from admissibility_devtools.demo.gate_process import StageError
from admissibility_devtools.demo.show import Line, StoryPrinter
from admissibility_devtools.demo.stage import Stage
from sidecar.authority import home as authority
from sidecar.binding.job import KnownManifest
from sidecar.cli.main import run

PATIENCE_SECONDS = 20.0
_REINSTATE = "--reinstate"
_PAUSE_SECONDS = 0.01
Call = Callable[[], SdkReply]


@dataclass
class Scenes(ABC):
    """Plays scenes on a stage.

    ``bound`` is the model's manifest once it is bound; ``approval`` is the digest of the last
    approval that it needed, the regulator's.
    """

    stage: Stage
    printer: StoryPrinter
    bound: KnownManifest | None = None
    approval: str = ""

    @property
    def model(self) -> str:
        """Model id of the adapted model, once it is bound."""
        return self._bound().manifest.model.id

    def prepare(self) -> None:
        """Play scenes 1 to 4, up to the admitted state."""
        self.authorities_come_to_be()
        self.a_run_is_bound()
        self.the_envelope_is_countersigned()
        self.the_three_approve()

    @abstractmethod
    def play(self) -> None:
        """Play all scenes."""

    @abstractmethod
    def a_run_is_bound(self) -> None:
        """Play scene 2: what a finished run made is bound into a signed manifest."""

    def authorities_come_to_be(self) -> None:
        """Play scene 1: authorities come to be."""
        self.printer.scene(1, "Authorities come to be")
        self.stage.found_authorities()
        for name, home in self.stage.organisations.homes.items():
            fingerprint = authority.describe(home).keys["attestation"].fingerprint()
            role = self.stage.scenario.role_of(name)
            self.printer.note(f"{role:<10} {name:<22} key {fingerprint[:23]}…")
        self.stage.start()
        self.printer.note(f"gate {self.stage.listen}, gateway {self.stage.gateway}, OPA its child")

    def the_envelope_is_countersigned(self) -> None:
        """Play scene 3: the evaluator runs the declared envelope, and countersigns it."""
        self.printer.scene(3, "The evaluator runs the envelope in the sandbox, and countersigns it")
        here = self.stage.evaluator(self.stage.gateway)
        self._until(
            "the evaluator, in production", "environment_not_covered", self._from(here.chat)
        )
        with self.stage.sandbox() as url:
            prod = Application(url, self.stage.application().credential)
            self._until("production, in the sandbox", "sandbox_not_granted", self._from(prod.chat))
            lab = self.stage.evaluator(url)
            self._until("the evaluator, in the sandbox", "admitted", self._from(lab.chat))
            self._evaluate(lab, self._bound(), "result-v3")
        self._until("chat with the evaluated model", "approval_missing", self._chat)

    def the_three_approve(self) -> None:
        """Play scene 4: provider, customer and regulator approve, one by one."""
        self.printer.scene(4, "Provider, customer and regulator approve, one by one")
        approvers = self.stage.scenario.approvers
        for name in approvers:
            role = self.stage.scenario.role_of(name)
            self.approval = self._approve(name, role)
            last = name == approvers[-1]
            expected = "admitted" if last else "approval_missing"
            lacking = None if last else _after(self.stage.scenario, name)
            self._until(f"after the {role} approved", expected, self._chat, lacking)
        stream = self.stage.application().stream
        self._until("the answer as a stream", "admitted", lambda: stream(self.model))

    def _approve(self, name: str, role: str) -> str:
        """Sign the approval of the bound manifest; return its digest."""
        return self.stage.organisations.approve(name, self._bound(), f"approval-{role}")

    def _evaluate(self, evaluator: Application, manifest: KnownManifest, label: str) -> None:
        """Run the declared suites over the sandbox route, and sign the result."""
        model = manifest.manifest.model.id
        graded = run_suites(evaluator, model)
        self.printer.note("each case is one call by the SDK, so that the demo needs no download;")
        self.printer.note("`admit evaluate run` does the same on Inspect AI, an extra of 350 MB")
        for each in graded:
            self.printer.note(
                f"{each.suite.name}: score {each.score:g} over {len(each.cases)} cases,"
                f" threshold {each.suite.threshold:g}"
            )
        self.stage.organisations.countersign(manifest, results(graded, model), label)

    def heartbeat(self) -> None:
        """Publish every authority's metadata anew, so that a running stage stays admitted."""
        for name in self.stage.organisations.homes:
            authority.publish(self.stage.organisations.homes[name], now())

    def _bound(self) -> KnownManifest:
        if self.bound is None:
            raise RuntimeError("nothing is bound yet")
        return self.bound

    def _chat(self) -> SdkReply:
        return self.stage.application().chat(self.model)

    def _from(self, chat: Callable[[str], SdkReply]) -> Call:
        return lambda: chat(self.model)

    def _admit(self, *arguments: object) -> tuple[int, Any]:
        """Run a command in this process; return its exit status, 0 or 1, and what it printed.

        Raises:
            StageError: It ended otherwise.
        """
        words = [str(each) for each in arguments]
        command = " ".join([words[0], Path(words[1]).name, "…", *({_REINSTATE} & set(words))])
        self.printer.note(f"$ admit {command}")
        printed, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(errors):
            status = run([*words, "--json"])
        if status not in {0, 1}:
            raise StageError(f"admit {words[0]}: {errors.getvalue().strip()}")
        return status, json.loads(printed.getvalue())

    def _until(self, tried: str, expected: str, call: Call, lacking: str | None = None) -> None:
        """Call until the reply is the expected one (and names what is lacking), or time is up."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        outcome = call()
        while not _is(outcome, expected, lacking) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            outcome = call()
        reason = "" if _is(outcome, expected, lacking) else f"{expected}, lacking {lacking}"
        note = f"{1000 * outcome.seconds:.0f} ms"
        self.printer.call(Line(tried, reason or expected, outcome, note))


def _is(outcome: SdkReply, expected: str, lacking: str | None) -> bool:
    return outcome.reason == expected and (lacking is None or lacking in outcome.text)


def _after(scenario: Scenario, name: str) -> str:
    """Return what the message must still name as lacking once ``name`` approved."""
    approvers = scenario.approvers
    rest = [scenario.role_of(other) for other in approvers[approvers.index(name) + 1 :]]
    rest = sorted(f"{role} for eu" if role == "regulator" else role for role in rest)
    return "no approval by " + ", ".join(rest)
