"""Plays the demo scene by scene; each call states the reason code that it expects.

A change of evidence reaches the gate by file notification, so after each act the application calls
until the reply is the expected one, for a bounded time; the last reply is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from admissibility_devtools.demo.authorities import (
    BASE_CLASS,
    CUSTOMER,
    EVALUATOR,
    GRANTS,
    LAB,
    LISTED_BASE,
    PROD,
    PROVIDER,
    REGULATOR,
    UNLISTED_BASE,
    now,
    role_of,
)
from admissibility_devtools.demo.caller import Application, SdkReply
from admissibility_devtools.demo.evaluator import results, run_suites
from admissibility_devtools.demo.gate_process import StageError
from admissibility_devtools.demo.show import Line, StoryPrinter
from admissibility_devtools.demo.stage import Stage
from sidecar.authority import home as authority
from sidecar.binding.job import KnownManifest
from sidecar.core.documents import WithdrawalKind

PATIENCE_SECONDS = 20.0
_PAUSE_SECONDS = 0.01
APPROVERS = (PROVIDER, CUSTOMER, REGULATOR)
SILENCE = timedelta(seconds=4)
USUAL_HEARTBEAT = timedelta(days=1)
Call = Callable[[], SdkReply]


@dataclass
class Story:
    """Plays the scenes on a stage.

    ``v3`` and ``v4`` are the manifests once they are bound; ``approval`` is the digest of the last
    approval that v3 needed, the regulator's.
    """

    stage: Stage
    printer: StoryPrinter
    v3: KnownManifest | None = None
    v4: KnownManifest | None = None
    approval: str = ""

    @property
    def model(self) -> str:
        """Model id of the adapted model, once it is bound."""
        return self._bound().manifest.model.id

    def prepare(self) -> None:
        """Play scenes 1 to 4, up to the admitted state."""
        self.authorities_come_to_be()
        self.a_job_is_bound()
        self.the_envelope_is_countersigned()
        self.the_three_approve()

    def play(self) -> None:
        """Play all eleven scenes."""
        self.prepare()
        self.what_is_not_covered_is_refused()
        self.the_regulator_withdraws()
        self.approved_anew_then_keys_rotate()
        self.a_base_model_class_is_retired()
        self.an_authority_falls_silent()
        self.the_policy_engine_dies()
        self.a_no_outlives_the_key_that_said_it()

    def authorities_come_to_be(self) -> None:
        """Play scene 1: authorities come to be."""
        self.printer.scene(1, "Authorities come to be")
        self.stage.found_authorities()
        for name, home in self.stage.organisations.homes.items():
            fingerprint = authority.describe(home).keys["attestation"].fingerprint()
            self.printer.note(f"{role_of(name):<10} {name:<22} key {fingerprint[:23]}…")
        self.stage.start()
        self.printer.note(f"gate {self.stage.listen}, gateway {self.stage.gateway}, OPA its child")

    def a_job_is_bound(self) -> None:
        """Play scene 2: a finished fine-tuning job is bound into a signed manifest."""
        self.printer.scene(2, "A finished fine-tuning job is bound into a signed manifest")
        self.v3 = self.stage.organisations.bind("v3")
        for corpus in self.v3.manifest.corpora:
            digest = corpus.digest.sha256[:16]
            self.printer.note(f"{corpus.role}: {corpus.records} records, sha256 {digest}…")
        self.printer.note(f"manifest {self.v3.digest}")
        self._until("chat with the bound model", "preactivation_missing", self._chat)

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
        for name in APPROVERS:
            self.approval = self.stage.organisations.approve(
                name, self._bound(), f"approval-{role_of(name)}"
            )
            last = name == APPROVERS[-1]
            expected = "admitted" if last else "approval_missing"
            lacking = None if last else _after(name)
            self._until(f"after the {role_of(name)} approved", expected, self._chat, lacking)
        stream = self.stage.application().stream
        self._until("the answer as a stream", "admitted", lambda: stream(self.model))

    def what_is_not_covered_is_refused(self) -> None:
        """Play scene 5: what is not covered is refused, readably."""
        self.printer.scene(5, "What is not covered is refused, readably")
        lab, nobody = self.stage.application(LAB), self.stage.application(None)
        prod = self.stage.application(PROD)
        self._until("from another environment", "environment_not_covered", self._from(lab.chat))
        self._until("without a credential", "credential_missing", self._from(nobody.chat))
        self._until(
            "an unlisted base model", "base_model_not_listed", lambda: prod.chat(UNLISTED_BASE)
        )
        self._until("a listed base model", "admitted", lambda: prod.chat(LISTED_BASE))
        self._until("a body that names two models", "malformed_request", prod.malformed)

    def the_regulator_withdraws(self) -> None:
        """Play scene 6: the regulator withdraws."""
        self.printer.scene(6, "The regulator withdraws")
        home = self.stage.organisations.homes[REGULATOR]
        reason = "complaints about unanswered requests for a person"
        began = time.perf_counter()
        authority.withdraw(home, WithdrawalKind.APPROVAL, self.approval, reason, None, now())
        published = time.perf_counter()
        self._until("the next call", "withdrawn", self._chat)
        denied = time.perf_counter()
        self.printer.note(
            f"signed and published in {1000 * (published - began):.0f} ms;"
            f" first denial {1000 * (denied - published):.0f} ms after publishing"
        )

    def approved_anew_then_keys_rotate(self) -> None:
        """Play scene 7: the regulator approves anew; the customer rotates its trust anchor."""
        self.printer.scene(7, "The regulator approves anew; the customer rotates its trust anchor")
        organisations = self.stage.organisations
        organisations.approve(
            REGULATOR, self._bound(), "approval-regulator", "weekly review of hand-overs"
        )
        self._until("after the regulator approved anew", "admitted", self._chat)
        authority.rotate(organisations.homes[CUSTOMER], "attestation", now())
        self._until("what rests on the old key", "environment_unknown", self._chat)
        organisations.declare_environments()
        self._until("with the environment declared anew", "approval_missing", self._chat)
        organisations.approve(CUSTOMER, self._bound(), "approval-customer")
        self._until("with the approval signed anew", "admitted", self._chat)

    def a_base_model_class_is_retired(self) -> None:
        """Play scene 8: the provider retires a class of base models."""
        self.printer.scene(8, "The provider retires a class of base models")
        organisations = self.stage.organisations
        self.v4 = organisations.bind("v4", parent=self._bound())
        tuned_on = self.v4.manifest.model.id
        with self.stage.sandbox() as url:
            lab = self.stage.evaluator(url)
            self._until(
                "a model tuned on from ours, in the sandbox", "admitted", lambda: lab.chat(tuned_on)
            )
            self._evaluate(lab, self.v4, "result-v4")
        for name in APPROVERS:
            organisations.approve(name, self.v4, f"approval-{role_of(name)}-v4")
        chat = self.stage.application().chat
        self._until("a model tuned on from ours", "admitted", lambda: chat(tuned_on))
        home = organisations.homes[PROVIDER]
        authority.withdraw(home, WithdrawalKind.BASE_MODEL, BASE_CLASS, "retired", None, now())
        self._until("our model", "withdrawn", self._chat)
        self._until("the model tuned on from it", "withdrawn", lambda: chat(tuned_on))
        self._until("a base model of another class", "admitted", lambda: chat(LISTED_BASE))
        authority.reinstate(home, WithdrawalKind.BASE_MODEL, BASE_CLASS, now())
        self._until("after the provider took it back", "admitted", self._chat)

    def an_authority_falls_silent(self) -> None:
        """Play scene 9: an authority falls silent until its metadata expires."""
        self.printer.scene(9, "An authority falls silent until its metadata expires")
        organisations = self.stage.organisations
        home = organisations.homes[EVALUATOR]
        organisations.set_heartbeat(EVALUATOR, SILENCE)
        authority.publish(home, now())
        self.printer.note(f"the evaluator now promises a heartbeat every {SILENCE.seconds} s …")
        self._until("while its metadata holds", "admitted", self._chat)
        self._until("once it expired, with nothing pushed", "trust_stale", self._chat)
        organisations.set_heartbeat(EVALUATOR, USUAL_HEARTBEAT)
        authority.publish(home, now())
        self._until("after it published again", "admitted", self._chat)

    def the_policy_engine_dies(self) -> None:
        """Play scene 10: OPA is killed; the gate restarts it."""
        self.printer.scene(10, "OPA is killed; the gate restarts it")
        killed = time.perf_counter()
        self._until("with no policy engine", "policy_unavailable", self._without_engine)
        self._until("once the gate restarted it", "admitted", self._chat)
        self.printer.note(f"back {1000 * (time.perf_counter() - killed):.0f} ms after the kill")

    def a_no_outlives_the_key_that_said_it(self) -> None:
        """Play scene 11: a withdrawal stays in force without its author's key and approval."""
        self.printer.scene(11, "A no outlives the key that said it")
        organisations = self.stage.organisations
        home, corpus = organisations.homes[REGULATOR], self._bound().manifest.corpora[0]
        subject, reason = corpus.digest.sha256, "records collected without consent"
        authority.withdraw(home, WithdrawalKind.CORPUS, subject, reason, None, now())
        self._until("the regulator withdrew a corpus", "withdrawn", self._chat)
        authority.rotate(home, "attestation", now())
        self._until("its key is rotated", "approval_missing", self._chat)
        organisations.approve(REGULATOR, self._bound(), "approval-regulator")
        self._until("it approved with its new key", "withdrawn", self._chat)
        self.stage.restart_gate()
        self._until("the gate was restarted", "withdrawn", self._chat)
        authority.reinstate(home, WithdrawalKind.CORPUS, subject, now())
        self._until("the regulator took it back", "admitted", self._chat)

    def _evaluate(self, evaluator: Application, manifest: KnownManifest, label: str) -> None:
        """Run the declared suites over the sandbox route, and sign the result."""
        graded = run_suites(evaluator, manifest.manifest.model.id)
        for each in graded:
            self.printer.note(
                f"{each.suite.name}: score {each.score:g} over {len(each.cases)} cases,"
                f" threshold {each.suite.threshold:g}"
            )
        self.stage.organisations.countersign(manifest, results(graded), label)

    def heartbeat(self) -> None:
        """Publish every authority's metadata anew, so that a running stage stays admitted."""
        for name in GRANTS:
            authority.publish(self.stage.organisations.homes[name], now())

    def _bound(self) -> KnownManifest:
        if self.v3 is None:
            raise RuntimeError("nothing is bound yet")
        return self.v3

    def _chat(self) -> SdkReply:
        return self.stage.application().chat(self.model)

    def _without_engine(self) -> SdkReply:
        """Kill OPA and call; `_until` repeats it if the gate restarted OPA before the call."""
        with suppress(StageError):  # it is not back yet
            self.stage.kill_opa()
        return self._chat()

    def _from(self, chat: Callable[[str], SdkReply]) -> Call:
        return lambda: chat(self.model)

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


def _after(name: str) -> str:
    """Return what the message must still name as lacking once ``name`` approved."""
    rest = [role_of(other) for other in APPROVERS[APPROVERS.index(name) + 1 :]]
    rest = sorted(f"{role} for eu" if role == "regulator" else role for role in rest)
    return "no approval by " + ", ".join(rest)
