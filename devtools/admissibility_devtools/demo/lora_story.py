"""Plays the story of a LoRA adapter that a server of open weights runs behind Envoy and the gate.

The adapter is made when the story is played, bound and verified with the commands that its producer
and its host run, and called by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path

from admissibility_devtools.demo import adapter
from admissibility_devtools.demo.authorities import (
    ADAPTER_BASE,
    CUSTOMER,
    HOST,
    LAB,
    OPERATIONS,
    PROD,
    PRODUCER,
    REGULATOR,
    UNLISTED_OPEN_BASE,
    now,
)
from admissibility_devtools.demo.scenes import Scenes
from sidecar.binding.job import KnownManifest
from sidecar.cli import manifests
from sidecar.core.documents import WithdrawalKind

NAME = "support-v3"
"""The name under which the server loads the adapter."""


@dataclass
class LoraStory(Scenes):
    """Plays the story of an adapter on a stage.

    ``envelope`` is the file of its manifest once it is bound; ``served`` the folder that the server
    loads it from.
    """

    envelope: Path = field(default_factory=Path)
    served: Path = field(default_factory=Path)

    def play(self) -> None:
        """Play all eight scenes."""
        self.prepare()
        self.what_is_not_covered_is_refused()
        self.other_weights_are_served()
        self.a_corpus_is_withdrawn()
        self.the_base_model_is_withdrawn()

    def a_run_is_bound(self) -> None:
        """Play scene 2: an adapter is trained, and its folder is bound into a signed manifest."""
        self.printer.scene(2, "A LoRA adapter is made, and its folder is bound into a manifest")
        self.served = adapter.make(self.stage.folder / "adapters" / NAME, ADAPTER_BASE)
        self.stage.upstream.adapters[NAME] = self.served
        ended = now()
        began = ended - timedelta(minutes=40)
        organisations = self.stage.organisations
        with as_file(files("admissibility_devtools.demo") / "data") as data:
            _, bound = self._admit(
                *("bind-adapter", self.served, "--name", NAME),
                *("--provider", self.stage.scenario.provider, "--run", "train-support-v3"),
                *("--started", began.isoformat(), "--finished", ended.isoformat()),
                *("--quantisation", "none", "--seed", adapter.SEED),
                *("--training", data / "training.jsonl"),
                *("--validation", data / "validation.jsonl"),
                *("--result-file", data / "metrics.csv", "--envelope", data / "envelope.yaml"),
                *("--environments", data / "environments.yaml"),
                *("--declaration", "gpai-modification=minor"),
                *("--home", organisations.homes[PRODUCER].path, "--out", organisations.evidence),
                *("--blobs", self.stage.folder / "blobs"),
            )
        self.envelope = Path(bound["file"])
        handed = manifests.read(self.envelope)
        self.bound = KnownManifest(handed.digest, handed.manifest)
        for corpus in self.bound.manifest.corpora:
            digest = corpus.digest.sha256[:16]
            self.printer.note(f"{corpus.role}: {corpus.records} records, sha256 {digest}…")
        self.printer.note(f"adapter of {ADAPTER_BASE}: artifact sha256 {handed.artifact[:16]}…")
        self.printer.note(f"manifest {self.bound.digest}")
        self._until("chat with the bound adapter", "preactivation_missing", self._chat)

    def _approve(self, name: str, role: str) -> str:
        signed_off = ("--declaration", "model-risk-sign-off=MRC-2026-31")
        organisations = self.stage.organisations
        _, approved = self._admit(
            *("approve", self.envelope, "--role", role, "--jurisdiction", "eu"),
            *("--environment", PROD, *(signed_off if name == CUSTOMER else ())),
            *(word for each in OPERATIONS for word in ("--operation", each)),
            *("--home", organisations.homes[name].path, "--out", organisations.evidence),
        )
        return str(approved["digest"])

    def what_is_not_covered_is_refused(self) -> None:
        """Play scene 5: what is not covered is refused, readably."""
        self.printer.scene(5, "What is not covered is refused, readably")
        lab, prod = self.stage.application(LAB), self.stage.application(PROD)
        self._until("from another environment", "environment_not_covered", self._from(lab.chat))
        self._until("the base model, which is listed", "admitted", lambda: prod.chat(ADAPTER_BASE))
        self._until(
            "another base model", "base_model_not_listed", lambda: prod.chat(UNLISTED_OPEN_BASE)
        )
        self._until(
            "an adapter to load under this name",
            "unsupported_operation",
            lambda: prod.load_adapter(NAME, str(self.served)),
        )

    def other_weights_are_served(self) -> None:
        """Play scene 6: the host finds other weights than were bound, and withdraws the model."""
        self.printer.scene(6, "The host finds that other weights are served")
        self._verify()
        before = adapter.replace_weights(self.served)
        self._verify()
        withdrawn = (WithdrawalKind.MANIFEST, self._bound().digest)
        self._withdraw(HOST, *withdrawn, "the server holds other weights than were bound")
        self._until("after the host withdrew it", "withdrawn", self._chat)
        (self.served / adapter.WEIGHTS).write_bytes(before)
        self._verify()
        self._reinstate(HOST, *withdrawn)
        self._until("with the bound weights again", "admitted", self._chat)

    def a_corpus_is_withdrawn(self) -> None:
        """Play scene 7: the regulator withdraws a corpus."""
        self.printer.scene(7, "The regulator withdraws what it was trained on")
        corpus = (WithdrawalKind.CORPUS, self._bound().manifest.corpora[0].digest.sha256)
        self._withdraw(REGULATOR, *corpus, "records collected without consent")
        self._until("the next call", "withdrawn", self._chat)
        prod = self.stage.application(PROD)
        self._until("the base model alone", "admitted", lambda: prod.chat(ADAPTER_BASE))
        self._reinstate(REGULATOR, *corpus)
        self._until("after the regulator took it back", "admitted", self._chat)

    def the_base_model_is_withdrawn(self) -> None:
        """Play scene 8: the customer withdraws the base model, and every adapter of it stops."""
        self.printer.scene(8, "The customer withdraws the base model")
        base = f"{self.stage.scenario.provider}/{ADAPTER_BASE}"
        self._withdraw(CUSTOMER, WithdrawalKind.BASE_MODEL, base, "licence under review")
        self._until("the adapter", "withdrawn", self._chat)
        prod = self.stage.application(PROD)
        self._until("the base model itself", "withdrawn", lambda: prod.chat(ADAPTER_BASE))

    def _withdraw(self, name: str, kind: WithdrawalKind, subject: str, reason: str) -> None:
        home = self.stage.organisations.homes[name].path
        self._admit("withdraw", kind.value, subject, "--reason", reason, "--home", home)

    def _reinstate(self, name: str, kind: WithdrawalKind, subject: str) -> None:
        home = self.stage.organisations.homes[name].path
        self._admit("withdraw", kind.value, subject, "--reinstate", "--home", home)

    def _verify(self) -> None:
        """Compare the served folder with the manifest, by the host's command."""
        code, found = self._admit("verify-adapter", self.served, "--manifest", self.envelope)
        differs = "" if code == 0 else "NOT "
        self.printer.note(
            f"exit status {code}: the folder is {differs}the one that was bound"
            f" (sha256 {found['found'][:16]}…)"
        )
