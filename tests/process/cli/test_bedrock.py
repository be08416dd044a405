"""A model of Amazon Bedrock from its finished job to an admitted call and its deployment.

``boto3`` asks a stand-in for Bedrock and moto for S3, both on the loopback.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sidecar.cli import manifests
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.process.cli.admit import admit
from tests.process.cli.parties import Parties
from tests.support.bedrock import (
    BASE,
    DEPLOYMENT,
    DEPLOYMENT_ARN,
    IMPORT_JOB,
    IMPORT_JOB_ARN,
    JOB,
    JOB_ARN,
    MODEL,
    MODEL_ARN,
    TRAINING,
    BedrockServer,
    bedrock_server,
)
from tests.support.s3_server import s3_server
from tests.unit.binding import samples

LATER = {"creationTime": "2036-01-01T00:00:00Z"}
SECRET = "secret-of-the-tests"


class Aws:
    """The stand-ins, and the options and variables with which commands reach them."""

    def __init__(self, bedrock: BedrockServer, s3: str) -> None:
        self.bedrock, self.s3 = bedrock, s3
        self.options = ("--endpoint-url", bedrock.url)
        self.both = (*self.options, "--s3-endpoint-url", s3)
        self.variables = {
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, parties: Parties, name: str, *arguments: object, code: int = 0) -> Any:
        home = str(parties.home(name))
        more = (*arguments, "--out", parties.evidence, "--blobs", parties.blobs, "--json")
        return admit(*more, code=code, ADMIT_HOME=home, **self.variables)

    def sign(self, parties: Parties, name: str, *arguments: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(parties, name, *arguments).stdout)
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """Bedrock, and S3 with the job's files; the job began after they were written."""
    with s3_server("acme-corpora") as s3, bedrock_server() as bedrock:
        client = boto3.client("s3", endpoint_url=s3)
        for key, body in (
            ("support/train.jsonl", samples.TRAINING),
            ("support/valid.jsonl", samples.VALIDATION),
            ("weights/config.json", b"{}"),
        ):
            client.put_object(Bucket="acme-corpora", Key=key, Body=body)
        client.close()
        yield Aws(bedrock, s3)


def bind(aws: Aws, job: Path, *more: object) -> tuple[object, ...]:
    declared = ("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml")
    return ("bind-bedrock", *more, *declared, *aws.both)


def copies(job: Path) -> tuple[str, ...]:
    """The job's files at hand: the objects were written after the job of the samples began."""
    valid = TRAINING.replace("train", "valid")
    return (
        *("--training", f"{TRAINING}={job / 'training.jsonl'}"),
        *("--validation", f"{valid}={job / 'validation.jsonl'}"),
    )


@pytest.fixture(scope="module")
def manifest(aws: Aws, parties: Parties, job: Path) -> str:
    """A manifest of the custom model, passed and approved."""
    parties.models, parties.base_models = ("bedrock/**",), ("bedrock/amazon.nova-*",)
    parties.declare()
    bound = aws.sign(parties, "tuning-lab", *bind(aws, job, JOB_ARN, *copies(job)))
    assert (bound["model"], bound["base"]) == (MODEL_ARN, BASE)
    return approved(parties, bound["file"])


def approved(parties: Parties, manifest: str) -> str:
    parties.result(manifest, 1.0)
    for name in ("model-host", "acme-risk", "eu-regulator"):
        parties.approve(name, manifest)
    return manifest


@pytest.fixture(autouse=True)
def samples_again(aws: Aws) -> None:
    aws.bedrock.serve(
        GetModelCustomizationJob=JOB, GetCustomModel=MODEL, GetCustomModelDeployment=DEPLOYMENT
    )


def test_a_custom_model_is_admitted_and_its_deployment_while_aws_states_that_it_runs_it(
    aws: Aws, parties: Parties, manifest: str
) -> None:
    chat = Call("bedrock", "chat.completions", (MODEL_ARN,))
    assert parties.put(chat).admissible
    deployed = Call("bedrock", "chat.completions", (DEPLOYMENT_ARN,), deployments=(DEPLOYMENT_ARN,))
    assert parties.put(deployed).reason is Reason.DEPLOYMENT_UNBOUND
    declare = ("declare", "bedrock-deployment", DEPLOYMENT_ARN, *aws.options)
    repointed = {"modelArn": MODEL_ARN[:-1] + "0", "updateStatus": "Updating"}
    aws.bedrock.serve(GetCustomModelDeployment={**DEPLOYMENT, "updateDetails": repointed})
    refused = aws.run(parties, "model-host", *declare, "--manifest", manifest, code=2)
    assert b"is 'Updating', not 'UpdateCompleted'" in refused.stderr
    assert parties.put(deployed).reason is Reason.DEPLOYMENT_UNBOUND
    aws.bedrock.serve(GetCustomModelDeployment=DEPLOYMENT)
    refused = aws.run(parties, "model-host", *declare, code=2)
    assert f"it runs {MODEL_ARN}, which is adapted: give its".encode() in refused.stderr
    aws.sign(parties, "model-host", *declare, "--manifest", manifest)
    assert parties.put(deployed).admissible
    parties.run("eu-regulator", "withdraw", "base-model", f"bedrock/{BASE}", "--reason", "retired")
    assert parties.put(deployed).reason is Reason.WITHDRAWN


def test_the_corpora_are_read_from_s3_as_they_were_when_the_job_began(
    aws: Aws, parties: Parties, job: Path, manifest: str, tmp_path: Path
) -> None:
    command = bind(aws, job, JOB_ARN)
    refused = aws.run(parties, "tuning-lab", *command, code=2)
    assert b"after the job began at 2026-01-01T00:00:00+00:00" in refused.stderr
    ended = {"endTime": "2036-01-01T00:10:00Z"}
    aws.bedrock.serve(GetModelCustomizationJob={**JOB, **LATER, **ended})
    refused = aws.run(parties, "tuning-lab", *command, "--work", tmp_path, code=2)
    assert b"it finished at 2036-01-01T00:10:00+00:00, but now it is" in refused.stderr
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == sorted(
        [samples.TRAINING, samples.VALIDATION]
    )
    read = manifests.read(Path(manifest)).manifest
    assert [(each.role, each.name) for each in read.corpora] == [
        ("training", TRAINING),
        ("validation", TRAINING.replace("train", "valid")),
    ]


def test_an_imported_model_is_bound_with_its_weights_and_a_declared_base(
    aws: Aws, parties: Parties, job: Path
) -> None:
    training = ("--training", job / "training.jsonl", "--base", "meta-llama/Llama-3.1-8B")
    command = bind(aws, job, IMPORT_JOB_ARN, *training)
    refused = aws.run(parties, "tuning-lab", *command, code=2)
    assert b"weights/config.json: was written at" in refused.stderr
    ended = {"endTime": "2036-01-01T00:10:00Z"}
    aws.bedrock.serve(GetModelImportJob={**IMPORT_JOB, **LATER, **ended})
    refused = aws.run(parties, "tuning-lab", *command, code=2)
    assert f"run {IMPORT_JOB_ARN}: it finished at 2036".encode() in refused.stderr


def test_nothing_that_is_written_or_printed_holds_a_credential(
    aws: Aws, parties: Parties, job: Path, manifest: str
) -> None:
    failed = aws.run(parties, "tuning-lab", *bind(aws, job, JOB_ARN[:-1] + "0"), code=2)
    assert b"(ResourceNotFoundException)" in failed.stderr
    written = [
        path.read_bytes()
        for folder, _, names in os.walk(parties.folder)
        for path in (Path(folder) / name for name in names)
    ]
    assert len(written) > 20
    for text in (*written, failed.stdout, failed.stderr):
        assert SECRET.encode() not in text
    assert aws.bedrock.unsigned == 0
