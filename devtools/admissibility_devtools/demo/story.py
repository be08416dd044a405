"""Plays the story of a hosted job; each call states the reason code that it expects."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import as_file, files
from typing import Any

from admissibility_devtools.demo.authorities import (
    BASE_CLASS,
    CUSTOMER,
    EVALUATOR,
    LAB,
    LISTED_BASE,
    PROD,
    PRODUCER,
    PROVIDER,
    REGULATOR,
    TUNED_BASE,
    UNLISTED_BASE,
    now,
    role_of,
)
from admissibility_devtools.demo.binder_process import BinderProcess
from admissibility_devtools.demo.caller import SdkReply
from admissibility_devtools.demo.gate_process import StageError
from admissibility_devtools.demo.scenes import PATIENCE_SECONDS, Scenes
from sidecar.authority import home as authority
from sidecar.binding.job import KnownManifest
from sidecar.cli import manifests
from sidecar.core.documents import WithdrawalKind

SILENCE = timedelta(seconds=4)
USUAL_HEARTBEAT = timedelta(days=1)


@dataclass
class Story(Scenes):
    """Plays the story of a hosted fine-tuning job on a stage.

    ``v4`` is the manifest of the model that is tuned on from ``bound``, once it is bound.
    """

    v4: KnownManifest | None = None

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

    def a_run_is_bound(self) -> None:
        """Play scene 2: a fine-tuning job is submitted, and bound when it has finished."""
        self.printer.scene(2, "A fine-tuning job is submitted, and bound when it has finished")
        self.bound = self._tuned()
        for corpus in self.bound.manifest.corpora:
            digest = corpus.digest.sha256[:16]
            self.printer.note(f"{corpus.role}: {corpus.records} records, sha256 {digest}…")
        self.printer.note(f"manifest {self.bound.digest}")
        self._until("chat with the bound model", "preactivation_missing", self._chat)

    def _tuned(self) -> KnownManifest:
        """Tune a model: each step is one of its party's commands, or the provider's own act."""
        organisations, account = self.stage.organisations, self.stage.upstream.account
        organisations.declare(PROD, "environment-prod", tuning_models=(f"openai/{TUNED_BASE}",))
        with BinderProcess(self.stage.folder / "binder") as binder:
            self._configure(binder)
            binder.start()
            job = self._submit(binder)
            model = account.finish(job)
            self.printer.note(f"the provider finishes {job}, makes {model},")
            status = account.notify(binder.webhooks(), job)
            self.printer.note(f"and calls the producer's binder (webhook, {status}), which signs:")
            handed = manifests.read(binder.wait_for("manifest-*.dsse.json", organisations.evidence))
        return KnownManifest(handed.digest, handed.manifest)

    def _configure(self, binder: BinderProcess) -> None:
        """Let the producer's binder follow the account, and sign what it finds there."""
        organisations, upstream = self.stage.organisations, self.stage.upstream
        key = binder.secret("key", upstream.api_key)
        webhook = binder.secret("webhook", upstream.account.webhook_secret)
        binder.configure(
            {
                "home": str(organisations.homes[PRODUCER].path),
                "out": str(organisations.evidence),
                "evidence": [str(organisations.evidence)],
                "submissions": "submissions",
                "declarations": {"gpai-modification": "minor"},
                "accounts": {
                    "openai": {
                        "api": "openai",
                        "base_url": f"http://{upstream.host}:{upstream.port}/v1",
                        "key_file": key,
                        "webhook_secret_files": [webhook],
                    }
                },
            }
        )

    def _submit(self, binder: BinderProcess) -> str:
        """Declare where and after which suites the model may run; submit its job through Envoy."""
        organisations = self.stage.organisations
        svid = binder.secret("svid", self.stage.application().credential or "")
        with as_file(files("admissibility_devtools.demo") / "data") as data:
            _, declared = self._admit(
                *("declare", "specification", "support", "--model", "openai/gpt-4o-*"),
                *("--environments", data / "environments.yaml"),
                *("--envelope", data / "envelope.yaml"),
                *("--home", organisations.homes[CUSTOMER].path, "--out", organisations.evidence),
                *("--blobs", binder.folder / "blobs"),
            )
            submitted = self._once_read(
                *("job", "submit", TUNED_BASE, "--api", "openai"),
                *("--base-url", self.stage.gateway, "--credential-file", svid),
                *("--training", data / "training.jsonl"),
                *("--validation", data / "validation.jsonl", "--suffix", "support-v3"),
                *("--specification", declared["file"]),
                *("--state", binder.folder / "submissions"),
            )
        return str(submitted["job"])

    def _once_read(self, *arguments: object) -> Any:  # noqa: ANN401 - what a command prints
        """Run a command until the gate has read what it rests on; submitting goes on each time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._admit(*arguments)[1]
            except StageError:
                if time.monotonic() > deadline:
                    raise

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
        # Its withdrawal would go on denying what is tuned from this model (law 6).
        home = organisations.homes[REGULATOR]
        authority.reinstate(home, WithdrawalKind.APPROVAL, self.approval, now())
        authority.rotate(organisations.homes[CUSTOMER], "attestation", now())
        self._until("what rests on the old key", "environment_unknown", self._chat)
        organisations.resign(CUSTOMER, "specification-*")
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
                "a model tuned from ours, in the sandbox", "admitted", lambda: lab.chat(tuned_on)
            )
            self._evaluate(lab, self.v4, "result-v4")
        for name in self.stage.scenario.approvers:
            organisations.approve(name, self.v4, f"approval-{role_of(name)}-v4")
        chat = self.stage.application().chat
        self._until("a model tuned from ours", "admitted", lambda: chat(tuned_on))
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

    def _without_engine(self) -> SdkReply:
        """Kill OPA and call; `_until` repeats it if the gate restarted OPA before the call."""
        with suppress(StageError):  # it is not back yet
            self.stage.kill_opa()
        return self._chat()
