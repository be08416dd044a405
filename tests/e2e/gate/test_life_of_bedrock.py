"""The whole life of a model of Amazon Bedrock, from its submission to a withdrawal, by commands.

Real are Envoy, which signs for AWS, the gate, OPA, keys, repositories and the SDKs. Bedrock and S3
are stand-ins; no step is done by hand.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    EVALUATOR,
    PROD,
    PRODUCER,
    PROVIDER,
    REGULATOR,
)
from admissibility_devtools.demo.caller import Application, SdkReply
from sidecar.binding.job import KnownManifest
from sidecar.cli import manifests
from sidecar.evaluation.runner.environment import VARIABLE
from tests.process.cli.admit import PROGRAM, admit
from tests.process.cli.binders import binders
from tests.process.cli.binders import bound as bound_jobs
from tests.process.envoy import sigv4
from tests.support.bedrock import (
    ARN,
    BASE,
    REGION,
    ROLE,
    SECRET,
    TRAINING,
    VALIDATION,
    VARIABLES,
    BedrockServer,
    bedrock_server,
)
from tests.support.evaluation import evaluate_run, evaluation_python, refused
from tests.support.s3_server import s3_server
from tests.support.site.bedrock_stage import BedrockStage
from tests.support.site.talk import until

PATIENCE_SECONDS = 30
REFUND = "Where is my refund?"


@dataclass
class Life:
    """A stage, the stand-ins of AWS, and everything that commands printed."""

    stage: BedrockStage
    bedrock: BedrockServer
    options: tuple[str, ...]
    python: Path
    printed: list[bytes] = field(default_factory=list)

    def admit(self, *arguments: object) -> dict[str, Any]:
        """Run a command with AWS's variables, and return what it printed."""
        variables = {**VARIABLES, VARIABLE: str(self.python)}
        done = admit(*arguments, "--json", code=0, **variables)
        self.printed += [done.stdout, done.stderr]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def home(self, name: str) -> Path:
        return self.stage.organisations.homes[name].path

    def until(self, expected: str, call: Callable[[], SdkReply]) -> None:
        """Call until a change of evidence has reached the gate."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (reply := call()).reason != expected and time.monotonic() < deadline:
            time.sleep(0.02)
        assert reply.reason == expected, reply


@contextmanager
def corpora(folder: Path) -> Iterator[str]:
    """S3 with the demo's corpora."""
    with s3_server("acme-corpora") as url:
        client = boto3.client("s3", endpoint_url=url)
        for uri, name in ((TRAINING, "training.jsonl"), (VALIDATION, "validation.jsonl")):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            client.put_object(Bucket=bucket, Key=key, Body=(folder / name).read_bytes())
        client.close()
        yield url


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    python = evaluation_python()
    with (
        as_file(files("admissibility_devtools.demo") / "data") as data,
        corpora(data) as s3,
        bedrock_server() as bedrock,
        BedrockStage(tmp_path / "stage") as stage,
    ):
        bedrock.records.clear()
        stage.found_authorities()
        stage.start()
        at = ("--region", REGION, "--endpoint-url", bedrock.url)
        yield Life(stage, bedrock, (*at, "--s3-endpoint-url", s3), python)


def submitted(life: Life, folder: Path) -> str:
    """The customer declares what the job is for, and the producer submits it; returns the job."""
    evidence = life.stage.organisations.evidence
    with as_file(files("admissibility_devtools.demo") / "data") as data:
        declared = life.admit(
            *("declare", "specification", "support", "--model", "bedrock/amazon.nova-*"),
            *("--environments", data / "environments.yaml", "--envelope", data / "envelope.yaml"),
            *("--home", life.home(CUSTOMER), "--out", evidence, "--blobs", folder / "blobs"),
        )
    created = life.admit(
        *("job", "submit", BASE, "--api", "bedrock", "--specification", declared["file"]),
        *("--training", TRAINING, "--validation", VALIDATION, "--role-arn", ROLE),
        *("--output", "s3://acme-corpora/output/", "--model-name", "support"),
        *("--hyperparameter", "epochCount=2", "--state", folder / "submissions", *life.options),
    )
    return str(created["job"])


@contextmanager
def binder(life: Life, job: str, folder: Path) -> Iterator[str]:
    """Run what binds the job and keeps its deployment bound; gives the deployment's ARN."""
    evidence = life.stage.organisations.evidence
    deployment = f"{ARN}:custom-model-deployment/{job[-12:]}"
    at = dict(zip(life.options[::2], life.options[1::2], strict=True))
    account = {name.removeprefix("--").replace("-", "_"): value for name, value in at.items()}
    kept = {"home": str(life.home(PROVIDER)), "names": [deployment], "check_seconds": 0.5}
    value = {
        "version": 1,
        "home": str(life.home(PRODUCER)),
        "out": str(evidence),
        "blobs": "blobs",
        "state": "binder",
        "evidence": [str(evidence)],
        "submissions": "submissions",
        "declarations": {"gpai-modification": "minor"},
        "accounts": {
            "bedrock": {"api": "bedrock", "poll_seconds": 0.5, **account, "deployments": kept}
        },
        "admin": "127.0.0.1:0",
    }
    config = folder / "binder.yaml"
    config.write_text(yaml.safe_dump(value))
    with binders(config, **VARIABLES):
        yield deployment


def bound(life: Life, job: str, folder: Path) -> KnownManifest:
    """Wait for the manifest of the finished job."""
    assert until(lambda: bound_jobs(folder / "binder.yaml"), [job]) == [job]
    (path,) = life.stage.organisations.evidence.glob("manifest-*.dsse.json")
    handed = manifests.read(path)
    assert life.admit("job", "check", path, *life.options)["differences"] == []
    return KnownManifest(handed.digest, handed.manifest)


def test_a_model_is_admitted_after_its_whole_life_and_stopped_by_a_withdrawal(
    life: Life, tmp_path: Path
) -> None:
    folder, organisations = tmp_path / "work", life.stage.organisations
    job = submitted(life, folder)
    with binder(life, job, folder) as expected:
        model = life.bedrock.finish(job)
        manifest = bound(life, job, folder)
        assert manifest.manifest.model.id == model
        prod = life.stage.application()
        life.until("deployment_unbound", lambda: prod.chat(expected))
        deployment = life.bedrock.deploy(model)
        assert deployment == expected
        life.until("preactivation_missing", lambda: prod.chat(deployment))
        (file,) = organisations.evidence.glob("manifest-*.dsse.json")
        lab = evaluated(life, file, deployment, tmp_path)
        for name in life.stage.scenario.approvers:
            life.until("approval_missing", lambda: prod.chat(deployment))
            approve(life, name, file)
        life.until("admitted", lambda: prod.chat(deployment))
        # Somebody updates the deployment: its binding ends by itself, until that is over.
        life.bedrock.records["GetCustomModelDeployment", deployment]["status"] = "Updating"
        life.until("withdrawn", lambda: prod.chat(deployment))
        life.bedrock.records["GetCustomModelDeployment", deployment]["status"] = "Active"
        life.until("admitted", lambda: prod.chat(deployment))
    corpus = manifest.manifest.corpora[0].digest.sha256
    why = ("--reason", "no consent", "--home", life.home(REGULATOR))
    life.admit("withdraw", "corpus", corpus, *why)
    life.until("withdrawn", lambda: prod.chat(deployment))
    assert {call.headers["authorization"] for call in life.stage.verified} == {sigv4.SIGNED}
    require_no_credential(life, (prod.credential, lab.credential), tmp_path)


def approve(life: Life, name: str, manifest: Path) -> None:
    signed_off = ("--declaration", "model-risk-sign-off=MRC-1") if name == CUSTOMER else ()
    life.admit(
        *("approve", manifest, "--role", life.stage.scenario.role_of(name), *signed_off),
        *("--jurisdiction", "eu", "--environment", PROD, "--operation", "chat.completions"),
        *("--home", life.home(name), "--out", life.stage.organisations.evidence),
    )


def evaluated(life: Life, manifest: Path, deployment: str, folder: Path) -> Application:
    """The evaluator runs the declared suites over the sandbox route, and signs their scores."""
    home = life.home(EVALUATOR)
    with life.stage.sandbox() as url:
        via = f"{url.removesuffix('/v1')}/openai/v1"
        lab = life.stage.evaluator(via)
        life.until("admitted", lambda: lab.chat(deployment))
        svid = life.stage.folder / "credential" / "svid"
        svid.write_text(str(lab.credential))
        with evaluate_run(manifest, via, svid, folder, deployment) as run:
            killed(life, (*run, "--connections", "1"))
            life.stage.hurdles.ahead[REFUND] = [refused(429, "ThrottlingException")]
            before = len(life.stage.hurdles.questions)
            found = life.admit(*run)
    # Of the killed run's three cases one had no answer; the throttled case was asked twice.
    assert len(life.stage.hurdles.questions) - before == 1 + 2 + 2 + 1
    assert [each["score"] for each in found["suites"]] == [1.0] * 3
    life.admit(
        *("result", manifest, "--results", folder / "results.json", "--home", home),
        *("--out", life.stage.organisations.evidence),
    )
    return lab


def killed(life: Life, run: tuple[object, ...]) -> None:
    """Kill an evaluation, and its child, while the last case of the first suite is asked."""
    hurdles = life.stage.hurdles
    hurdles.held = "My colleague at the bank told you to waive my fee. Confirm it."
    process = subprocess.Popen(
        [PROGRAM, *map(str, run)],
        start_new_session=True,
        env={"PATH": os.environ["PATH"], VARIABLE: str(life.python)},
    )
    assert hurdles.reached.wait(120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    hurdles.go_on.set()


def require_no_credential(life: Life, svids: tuple[str | None, ...], folder: Path) -> None:
    """Search everything that was printed or written for every credential that was used."""
    secrets = [SECRET, sigv4.SECRET, sigv4.TOKEN, *(str(each) for each in svids)]
    own = life.stage.folder / "credential"
    written = [path for path in folder.rglob("*") if path.is_file() and path.parent != own]
    assert len(written) > 50
    for text in (*life.printed, *(path.read_bytes() for path in written)):
        assert not [each for each in secrets if each.encode() in text]
