"""A customization job of Bedrock, from its submission to its manifest, by ``admit job``.

``boto3`` asks a stand-in for Bedrock and moto for S3, both on the loopback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties
from tests.support.bedrock import BASE, REGION, ROLE, TRAINING, BedrockServer, bedrock_server
from tests.support.s3_server import s3_server
from tests.unit.binder import helpers

SECRET = "secret-of-the-tests"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}


@dataclass
class Account:
    """Bedrock, and S3 with the corpus."""

    bedrock: BedrockServer
    s3: Any
    options: tuple[str, ...]

    def store(self, data: bytes) -> None:
        bucket, _, key = TRAINING.removeprefix("s3://").partition("/")
        self.s3.put_object(Bucket=bucket, Key=key, Body=data)

    def told(self, *arguments: object, code: int = 0, **more: str) -> Any:
        return told("job", *arguments, *self.options, code=code, **VARIABLES, **more)

    def refused(self, *arguments: object) -> str:
        done = admit("job", *arguments, *self.options, code=2, **VARIABLES)
        return done.stderr.decode()

    def created(self) -> int:
        asked = ("POST", "/model-customization-jobs")
        return sum(each[:2] == asked for each in self.bedrock.received)


@pytest.fixture
def account() -> Iterator[Account]:
    with s3_server("acme-corpora") as url, bedrock_server() as bedrock:
        bedrock.records.clear()
        client = boto3.client("s3", endpoint_url=url)
        at = ("--region", REGION, "--endpoint-url", bedrock.url, "--s3-endpoint-url", url)
        served = Account(bedrock, client, ("--api", "bedrock", *at))
        served.store(helpers.TRAINING)
        yield served
        client.close()


@pytest.fixture
def specification(parties: Parties, job: Path) -> Path:
    """A signed specification for the sample's base."""
    declared = ("--environments", job / "environments.yaml", "--envelope", job / "envelope.yaml")
    command = ("declare", "specification", "nova", "--model", "bedrock/amazon.nova-*", *declared)
    return Path(parties.sign("acme-risk", *command, "--blobs", parties.blobs)["file"])


def submission(specification: Path, folder: Path, *more: object) -> tuple[Any, ...]:
    return (
        *("submit", BASE, "--training", TRAINING, "--specification", specification),
        *("--role-arn", ROLE, "--output", "s3://acme-corpora/output/", "--model-name", "support"),
        *("--hyperparameter", "epochCount=2", "--state", folder / "state", *more),
    )


def test_a_job_is_submitted_once_listed_shown_bound_once_and_compared(
    account: Account, specification: Path, parties: Parties, tmp_path: Path
) -> None:
    command = submission(specification, tmp_path)
    dry = account.told(*command, "--dry-run")
    assert (dry["job"], dry["body"]["hyperParameters"]) == (None, {"epochCount": "2"})
    assert account.created() == 0
    first = account.told(*command)
    assert first["created"]
    assert account.told(*command) == {**first, "created": False}
    assert account.created() == 1
    job, digest = first["job"], first["specification"]
    assert account.told("show", job)["status"] == "InProgress"
    listed = {"job": job, "state": "running", "specification": ""}
    assert [{**each, "created": ""} for each in account.told("list")] == [{**listed, "created": ""}]
    bind = (
        *("bind", job, "--evidence", parties.evidence, "--submissions", tmp_path / "state"),
        *("--state", tmp_path / "binder", "--out", tmp_path / "out"),
    )
    home = str(parties.home("tuning-lab"))
    assert "its status is 'InProgress'" in account.told(*bind, code=1, ADMIT_HOME=home)["reason"]
    model = account.bedrock.finish(job)
    shown = account.told("show", job)
    assert (shown["model"], shown["base"], shown["specification"]) == (model, BASE, digest)
    bound = account.told(*bind, ADMIT_HOME=home)
    assert (bound["bound"], model in bound) == (True, True)
    assert account.told(*bind, ADMIT_HOME=home) == bound
    (manifest,) = (tmp_path / "out").glob("*.dsse.json")
    assert account.told("check", manifest) == {"job": job, "differences": []}
    account.bedrock.records["GetCustomModel", model]["hyperParameters"] = {"epochCount": "3"}
    assert "epochCount" in account.told("check", manifest, code=1)["differences"][0]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 4
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert account.bedrock.unsigned == 0


def test_a_job_is_one_though_its_creation_was_not_answered_or_not_recorded(
    account: Account, specification: Path, tmp_path: Path
) -> None:
    command = submission(specification, tmp_path)
    account.bedrock.silent = True
    first = account.told(*command)
    assert (account.created(), len(account.told("list"))) == (2, 1)
    path = Path(first["record"])
    killed = {**json.loads(path.read_bytes()), "job": None, "creating": True}
    path.write_text(json.dumps(killed))
    assert account.told(*command) == {**first, "created": False}
    assert account.created() == 2


def test_nothing_is_created_of_what_does_not_fit(
    account: Account, specification: Path, tmp_path: Path
) -> None:
    command = submission(specification, tmp_path)
    account.store(helpers.TRAINING + b"{}\n")
    assert "line 13: the record: messages is not a list" in account.refused(*command)
    account.store(helpers.TRAINING)
    distilled = account.refused(*command, "--method", "DISTILLATION")
    assert "has nothing, but a job of type DISTILLATION has distillationConfig" in distilled
    assert "--seed: is not an option of --api bedrock" in account.refused(*command, "--seed", "1")
    prefix = [each if each != TRAINING else "s3://acme-corpora/support" for each in command]
    assert "is a prefix; give the URI of one object" in account.refused(*prefix)
    assert account.created() == 0


def test_a_job_that_was_submitted_under_another_name_is_not_taken_for_this_one(
    account: Account, specification: Path, tmp_path: Path
) -> None:
    command = submission(specification, tmp_path, "--job-name", "support-v3")
    account.told(*command)
    other = (*command, "--hyperparameter", "batchSize=1")
    assert "create the job" in account.refused(*other)
    assert "job support-v3: exists and is another one" in account.refused(*other)
    (record,) = [p for p in (tmp_path / "state").glob("*.json") if "batchSize" in p.read_text()]
    assert json.loads(record.read_bytes())["job"] is None
