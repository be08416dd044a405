"""``admit binder serve`` over Amazon Bedrock as processes: by polling, killed in its work, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from sidecar.destinations.evidence import LISTING
from sidecar.formats import evidence_index
from tests.process.cli.admit import told
from tests.process.cli.binders import binders, bound
from tests.process.cli.parties import Parties
from tests.support.bedrock import (
    BASE,
    REGION,
    ROLE,
    SECRET,
    TRAINING,
    VARIABLES,
    BedrockServer,
    bedrock_server,
)
from tests.support.s3_server import s3_server
from tests.support.site.talk import until
from tests.unit.binder import helpers
from tests.unit.binding.jobs import sha


@dataclass
class Account:
    """Bedrock and S3, a job that was submitted there, and what binds it."""

    bedrock: BedrockServer
    folder: Path
    parties: Parties
    at: dict[str, str]

    def submit(self, specification: str) -> str:
        options = [part for key, value in self.at.items() for part in (f"--{key}", value)]
        done = told(
            *("job", "submit", BASE, "--api", "bedrock", "--specification", specification),
            *("--training", TRAINING, "--role-arn", ROLE, "--model-name", "support"),
            *("--output", "s3://acme-corpora/output/", "--hyperparameter", "epochCount=2"),
            *("--state", self.folder / "submissions", *options),
            code=0,
            **VARIABLES,
        )
        return str(done["job"])

    def config(self, state: str = "state") -> Path:
        value: dict[str, Any] = {
            "version": 1,
            "home": str(self.parties.home("tuning-lab")),
            "out": str(self.folder / "out"),
            "state": state,
            "evidence": [str(self.parties.evidence)],
            "submissions": "submissions",
            "publish": {"place": "published", "check_seconds": 0.2},
            "accounts": {
                "bedrock": {
                    "api": "bedrock",
                    "poll_seconds": 0.2,
                    **{key.replace("-", "_"): text for key, text in self.at.items()},
                }
            },
            "admin": "127.0.0.1:0",
        }
        path = self.folder / f"{state}.yaml"
        path.write_text(yaml.safe_dump(value))
        return path

    def manifests(self) -> list[Path]:
        return sorted((self.folder / "out").glob("manifest-*.dsse.json"))

    def listed(self) -> set[str]:
        path = self.folder / "published" / LISTING
        return set(evidence_index.read(path.read_bytes()).files) if path.exists() else set()


@pytest.fixture
def account(parties: Parties, tmp_path: Path) -> Iterator[Account]:
    with s3_server("acme-corpora") as url, bedrock_server() as bedrock:
        bedrock.records.clear()
        client = boto3.client("s3", endpoint_url=url)
        bucket, _, key = TRAINING.removeprefix("s3://").partition("/")
        client.put_object(Bucket=bucket, Key=key, Body=helpers.TRAINING)
        client.close()
        at = {"region": REGION, "endpoint-url": bedrock.url, "s3-endpoint-url": url}
        yield Account(bedrock, tmp_path, parties, at)


def test_a_binder_of_bedrock_that_is_killed_in_its_work_is_followed_by_one_that_binds_once(
    account: Account, job: Path
) -> None:
    declared = ("--environments", job / "environments.yaml", "--envelope", job / "envelope.yaml")
    command = ("declare", "specification", "nova", "--model", "bedrock/amazon.nova-*", *declared)
    specification = account.parties.sign("acme-risk", *command, "--blobs", account.parties.blobs)
    arn = account.submit(specification["file"])
    model = account.bedrock.finish(arn)
    held, released = threading.Event(), threading.Event()

    def hold(path: str) -> None:
        """Let the record of the model wait, which is read after the job was found."""
        if path.startswith("/custom-models/"):
            held.set()
            released.wait(60)

    account.bedrock.before = hold
    config = account.config()
    with binders(config, **VARIABLES) as (first,):
        assert held.wait(60), first.log.read_text()
        first.kill()
    assert (account.manifests(), bound(config)) == ([], [])
    account.bedrock.before = lambda _: None
    released.set()
    other = account.config("other")  # the same home on another machine, without the state
    with binders(config, other, **VARIABLES) as both:
        assert until(lambda: bound(config), [arn]) == [arn], both[0].log.read_text()
        assert until(lambda: bound(other), [arn]) == [arn], both[1].log.read_text()
        assert until(lambda: len(account.listed()), 1) == 1
    (manifest,) = account.manifests()
    assert account.listed() == {sha(manifest.read_bytes()).sha256}
    events = [line.get("event") for each in both for line in each.lines()]
    assert events.count("manifest_signed") == 1
    listed = told("binder", "jobs", "--config", other)["jobs"]
    assert [list(each["manifests"]) for each in listed] == [[model]]
    kept = [path for path in account.folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
    assert account.bedrock.unsigned == 0
    assert json.loads(manifest.read_bytes())["payloadType"] == "application/vnd.in-toto+json"
