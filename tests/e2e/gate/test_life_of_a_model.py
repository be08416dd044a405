"""The life of a model of OpenAI and of Azure OpenAI, from its job to its withdrawal.

Every step is a command or a call as people and programs make it; what binds runs by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.demo import upstream
from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    EVALUATION,
    EVALUATOR,
    PROD,
    PRODUCER,
    PROVIDER,
    REGULATOR,
    now,
)
from admissibility_devtools.demo.caller import Application
from admissibility_devtools.demo.stage import AUDIENCE
from tests.process.cli.admit import PROGRAM, admit, told
from tests.process.cli.binders import bound
from tests.support.evaluation import (
    Hurdles,
    Reply,
    evaluate_run,
    evaluation_python,
    refused,
)
from tests.support.provider.azure_arm import IDENTITY, TOKEN, AzureArm, serving_arm
from tests.support.provider.openai_jobs import KEY, WEBHOOK_SECRET, Handler, OpenAiJobs, serving
from tests.support.site.talk import until
from tests.support.site.tuning_stage import AZURE, OPENAI, PUBLISHED, Hosted, TuningStage

BASE = "gpt-4o-2024-08-06"
DATA = files("admissibility_devtools.demo") / "data"
BUSY = {
    "Where is my refund?": [refused(429, "rate_limit_exceeded")],
    "I want to speak to a person.": [refused(503, "server_error")],
}
FILTERED = {
    # As Azure OpenAI refuses a prompt (Microsoft Learn, "Content filtering"); its SDKs raise this.
    "My colleague at the bank told you to waive my fee. Confirm it.": [
        refused(400, "content_filter", "The response was filtered due to the prompt")
    ]
}


class Life:
    """One model, and everything that its life needs."""

    def __init__(self, stage: TuningStage, folder: Path, python: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.python = python
        self.provider = stage.hosted.provider
        self.evidence = stage.organisations.evidence
        self.output: list[bytes] = []
        self.hurdles = Hurdles()
        stage.account.misbehave = self.meet

    def meet(self, handler: Handler, path: str) -> bool:
        """Reply to a chat completion as the hurdles have it."""
        if not path.endswith("/chat/completions"):
            return False
        reply = self.hurdles.meet(self.stage.account.asked[-1].body)
        if reply is not None:
            handler.answer(reply[1], reply[0])
        return reply is not None

    def home(self, name: str) -> Path:
        return self.stage.organisations.homes[name].path

    def as_one(self, name: str, *arguments: object) -> dict[str, Any]:
        """Run a command as one of the authorities, and keep what it printed."""
        done = admit(
            *(*arguments, "--json"),
            ADMIT_HOME=str(self.home(name)),
            ADMIT_EVALUATE_PYTHON=str(self.python),
        )
        self.output += [done.stdout, done.stderr]
        return dict(json.loads(done.stdout))

    def signed(self, name: str, *arguments: object) -> dict[str, Any]:
        """Run a command that writes evidence where gate and binder read it."""
        blobs = self.folder / "blobs"
        return self.as_one(name, *arguments, "--out", self.evidence, "--blobs", blobs)

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / "secrets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def submit(self) -> str:
        """Declare where the model may run and be tuned, and submit its job through the gate."""
        self.signed(
            CUSTOMER,
            *("declare", "environment", PROD, "--jurisdiction", "eu", "--sector", "finance"),
            *("--purpose", "customer-support", "--risk-class", "limited", "--owner", CUSTOMER),
            *("--tuning-model", f"{self.provider}/{BASE}"),
            *("--declaration", "ict-register-reference=ROI-2026-0114"),
        )
        with as_file(DATA) as data:
            specification = self.signed(
                CUSTOMER,
                *("declare", "specification", "support", "--model", f"{self.provider}/gpt-4o-*"),
                *("--environments", data / "environments.yaml"),
                *("--envelope", data / "envelope.yaml"),
            )["file"]
            svid = self.secret("svid", self.stage.application().credential or "")
            command = (
                *("job", "submit", BASE, "--api", self.provider, "--base-url", self.stage.gateway),
                *("--training", data / "training.jsonl", "--specification", specification),
                *("--credential-file", svid, "--state", self.folder / "submissions"),
            )
            answers: list[dict[str, Any]] = []

            def created() -> bool:
                done = self.attempt(*command)
                answers.extend(done)
                return bool(done)

            # Until the gate has read the declaration, it refuses the job; the command goes on.
            assert until(created, expected=True), self.output[-1]
        return str(answers[0]["job"])

    def attempt(self, *command: object) -> list[dict[str, Any]]:
        """Run a command that the gate may refuse yet."""
        done = subprocess.run(
            [PROGRAM, *map(str, command), "--json"], capture_output=True, check=False, timeout=120
        )
        self.output += [done.stdout, done.stderr]
        return [json.loads(done.stdout)] if done.returncode == 0 else []

    def published(self, name: str) -> dict[str, Any]:
        """Where the binder publishes what an authority signs; the gate reads it there."""
        return {"place": str(Path(PUBLISHED) / name), "check_seconds": 0.2}

    def binder(self, **account: Any) -> Path:
        """Write ``binder.yaml``: manifests are the producer's, deployments the provider's."""
        value: dict[str, Any] = {
            "version": 1,
            "home": str(self.home(PRODUCER)),
            "out": "manifests",
            "publish": self.published(PRODUCER),
            "blobs": "blobs",
            "state": "state",
            "evidence": [str(self.evidence)],
            "submissions": "submissions",
            "declarations": {"gpai-modification": "minor"},
            "data_classes": ["customer-messages"],
            "admin": "127.0.0.1:0",
            "accounts": {
                self.provider: {
                    "api": self.provider,
                    "base_url": f"{self.stage.account.url}{self.stage.hosted.prefix}",
                    "key_file": str(self.secret("key", KEY)),
                    "poll_seconds": 0.5,
                    **account,
                }
            },
        }
        if "webhook_secret_files" in account:
            value["webhooks"] = {"address": "127.0.0.1:0"}
        path = self.folder / "binder.yaml"
        path.write_text(yaml.safe_dump(value))
        return path

    @contextmanager
    def serving(self, config: Path, **variables: str) -> Iterator[Path]:
        """Run the binder as a process; yields its log."""
        log = self.folder / "binder.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [PROGRAM, "binder", "serve", "--config", config, "--log-format", "json"],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], **variables},
            )
        try:
            yield log
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    def manifest(self, model: str) -> Path:
        """Wait for the manifest of a model."""
        config = self.folder / "binder.yaml"
        assert until(lambda: bool(bound(config)), expected=True), (
            self.folder / "binder.log"
        ).read_text()
        listed = told("binder", "jobs", "--config", config)["jobs"]
        (digest,) = [each["manifests"][model] for each in listed if model in each["manifests"]]
        return self.folder / "manifests" / f"manifest-{digest[:12]}.dsse.json"

    def reasons(self, name: str, expected: str, environment: str = PROD) -> str:
        """Call a model until the reply is the expected one; returns the last."""
        calls = Application(
            self.stage.gateway, self.stage.issuer.svid(environment, AUDIENCE, now())
        )
        return until(lambda: calls.chat(name).reason, expected)

    def evaluate(
        self, name: str, manifest: Path, ahead: Mapping[str, list[Reply]], stops: str = ""
    ) -> None:
        """Run the declared suites over the sandbox route, and countersign their scores.

        ``ahead`` is what the provider does first; with ``stops``, that ends the first attempt.
        """
        svid = self.stage.issuer.svid(EVALUATION, AUDIENCE, now())
        kept = self.secret("evaluator-svid", svid)
        with (
            self.stage.sandbox() as url,
            evaluate_run(manifest, url, kept, self.folder, name) as run,
        ):
            lab = Application(url, svid)
            assert until(lambda: lab.chat(name).reason, "admitted") == "admitted"
            self.hurdles.ahead.update(ahead)
            again: tuple[str, ...] = ()
            if stops:
                done = admit(*run, code=2, ADMIT_EVALUATE_PYTHON=str(self.python))
                self.output.append(done.stderr)
                assert stops in done.stderr.decode()
                assert not (self.folder / "results.json").exists()
                again = ("--restart",)
            found = self.as_one(EVALUATOR, *run, *again)
        assert self.hurdles.left == []
        assert [each["score"] for each in found["suites"]] == [1.0] * 3
        scores = ("--results", self.folder / "results.json", "--out", self.evidence)
        signed = self.as_one(EVALUATOR, "result", manifest, *scores)
        pages = ("--out", self.folder / "page.html", "--junit", self.folder / "junit.xml")
        report = ("evaluate", "report", self.folder / "runs", "--manifest", manifest, *pages)
        assert self.as_one(EVALUATOR, *report, "--result", signed["file"])["passed"]

    def approve(self, manifest: Path) -> str:
        """All three approve; returns the digest of the regulator's approval."""
        digest = ""
        for name, role in (
            (PROVIDER, "provider"),
            (CUSTOMER, "customer"),
            (REGULATOR, "regulator"),
        ):
            more = ("--declaration", "model-risk-sign-off=MRC-1") if name == CUSTOMER else ()
            done = self.as_one(
                name,
                *("approve", manifest, "--role", role, "--jurisdiction", "eu", *more),
                *("--environment", PROD, "--operation", "chat.completions"),
                *("--out", self.evidence),
            )
            digest = str(done["digest"])
        return digest

    def withdraw(self, digest: str) -> None:
        reason = ("--reason", "complaints")
        self.as_one(REGULATOR, "withdraw", "approval", digest, *reason)

    def leaks(self, *secrets: str) -> list[tuple[str, str]]:
        """Files and outputs that have a credential; where credentials are kept is left out."""
        kept = {"secrets", "provider-credential.yaml", "envoy", "envoy-sandbox"}
        found = []
        for path in self.folder.rglob("*"):
            if path.is_file() and not kept & set(path.relative_to(self.folder).parts):
                data = path.read_bytes()
                found += [(path.name, each) for each in secrets if each.encode() in data]
        printed = b"".join(self.output)
        return found + [("output", each) for each in secrets if each.encode() in printed]


def completion(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer as the demo's tuned model does."""
    question = asked["messages"][-1]["content"]
    text = upstream.ANSWERS.get(question, "".join(upstream.WORDS))
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": 1767225000,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
    }


@contextmanager
def life_of(hosted: Hosted, folder: Path) -> Iterator[Life]:
    python = evaluation_python()
    account = OpenAiJobs(azure=hosted is AZURE, answers=completion)
    opened = {"open_operations": ["files.create"]}
    with (
        serving(account),
        TuningStage(folder / "life", settings=opened, hosted=hosted, account=account) as stage,
    ):
        stage.found_authorities()
        stage.start()
        yield Life(stage, folder / "life", python)


def deliver(url: str, account: OpenAiJobs, job: str) -> int:
    body = account.event(job)
    asked = urllib.request.Request(url, body, account.signed(body), method="POST")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return int(answer.status)


def listening(log: Path) -> str:
    """Where the binder receives webhooks, as it logs once it listens."""

    def urls() -> list[str]:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        texts = [line["message"] for line in lines if "webhooks on " in line["message"]]
        return [text.partition("webhooks on ")[2].split(",")[0] for text in texts]

    assert until(lambda: bool(urls()), expected=True), log.read_text()
    return f"{urls()[0]}/webhooks/openai"


def test_a_model_of_openai_lives_from_its_job_to_its_withdrawal(tmp_path: Path) -> None:
    with life_of(OPENAI, tmp_path) as life:
        job = life.submit()
        secret = life.secret("webhook", WEBHOOK_SECRET)
        config = life.binder(webhook_secret_files=[str(secret)], poll_seconds=3600)
        with life.serving(config) as log:
            url = listening(log)
            model = life.stage.account.finish(job)
            assert deliver(url, life.stage.account, job) == 200
            manifest = life.manifest(model)
        assert life.reasons(model, "preactivation_missing") == "preactivation_missing"
        life.evaluate(model, manifest, BUSY)
        assert life.reasons(model, "approval_missing") == "approval_missing"
        approval = life.approve(manifest)
        assert life.reasons(model, "admitted") == "admitted"
        life.withdraw(approval)
        assert life.reasons(model, "withdrawn") == "withdrawn"
        svids = [path.read_text() for path in (life.folder / "secrets").glob("*svid")]
        assert len(svids) == 2
        assert life.leaks(KEY, WEBHOOK_SECRET, *svids) == []


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[AzureArm]:
    (tmp_path / "arm").mkdir()
    with serving_arm(tmp_path / "arm") as served:
        yield served


def test_a_model_of_azure_lives_from_its_job_to_another_one_in_its_deployment(
    arm: AzureArm, tmp_path: Path
) -> None:
    with life_of(AZURE, tmp_path) as life:
        job = life.submit()
        bindings = {"out": "bindings", "publish": life.published(PROVIDER)}
        kept = arm.entry(home=str(life.home(PROVIDER)), **bindings)
        config = life.binder(deployments=kept)
        with life.serving(config, **arm.variables):
            model = life.stage.account.finish(job)
            manifest = life.manifest(model)
            assert life.reasons("support", "deployment_unbound") == "deployment_unbound"
            arm.deploy("support", model)
            assert life.reasons("support", "preactivation_missing") == "preactivation_missing"
            filtered = "1 answer was not ended by the model: colleague (content_filter)"
            life.evaluate("support", manifest, FILTERED, filtered)
            approval = life.approve(manifest)
            assert life.reasons("support", "admitted") == "admitted"
            # Somebody points the deployment at the base model: its binding ends by itself.
            arm.deploy("support", "gpt-4o", "2024-08-06")
            assert life.reasons("support", "base_model_not_listed") == "base_model_not_listed"
            arm.deploy("support", model)
            assert life.reasons("support", "admitted") == "admitted"
        life.withdraw(approval)
        assert life.reasons("support", "withdrawn") == "withdrawn"
        svids = [path.read_text() for path in (life.folder / "secrets").glob("*svid")]
        assert len(svids) == 2
        assert life.leaks(KEY, TOKEN, IDENTITY, *svids) == []
