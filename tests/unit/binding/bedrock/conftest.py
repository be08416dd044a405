from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws  # before any session is made: it adds what intercepts requests then

from tests.support.bedrock import REGION, BedrockServer, bedrock_server
from tests.unit.binding import samples as files


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that open nothing, and no configuration of whoever runs the tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-of-aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def server() -> Iterator[BedrockServer]:
    with bedrock_server() as running:
        yield running


@pytest.fixture
def bucket() -> Iterator[object]:
    """A client of moto's S3, with the job's files as they were before the job began."""
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="acme-corpora")
        client.put_object(Bucket="acme-corpora", Key="support/train.jsonl", Body=files.TRAINING)
        client.put_object(Bucket="acme-corpora", Key="support/valid.jsonl", Body=files.VALIDATION)
        yield client
