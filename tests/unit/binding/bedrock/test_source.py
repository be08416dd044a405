"""A finished job of Bedrock as the binder fetches it, with its corpora."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.binding import bedrock, s3_objects
from sidecar.binding.bedrock_api import AwsAccess, BedrockApi
from sidecar.binding.bedrock_source import BedrockSource
from sidecar.binding.errors import BindingError
from sidecar.binding.source import JobSource, JobState, ListedJob
from sidecar.core import wire
from sidecar.core.predicates import Corpus
from sidecar.core.wire import DigestSet
from tests.support.bedrock import JOB, JOB_ARN, MODEL, MODEL_ARN, REGION, BedrockServer
from tests.unit.binding import jobs
from tests.unit.binding.bedrock.samples import CORPORA, DISTILLED

LATER = "2036-01-01T00:00:00Z"
LOGS = "s3://acme-corpora/logs"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def source(server: BedrockServer) -> JobSource:
    return BedrockSource("bedrock", BedrockApi(AwsAccess(endpoint=server.url), REGION))


def test_a_finished_job_is_fetched_with_its_corpora(
    source: JobSource, server: BedrockServer, bucket: Any, tmp_path: Path
) -> None:
    server.serve(GetModelCustomizationJob={**JOB, "creationTime": LATER, "endTime": LATER})
    server.tags[JOB_ARN] = {"admissibility_specification": "5f" * 32}
    found = source.fetch(JOB_ARN, tmp_path, (), None)
    assert (found.id, found.corpora, found.outputs, found.irregular) == (JOB_ARN, CORPORA, (), ())
    assert [(model.id, model.specification) for model in found.models] == [(MODEL_ARN, "5f" * 32)]


def test_jobs_are_listed_with_the_specification_of_those_that_succeeded(
    source: JobSource, server: BedrockServer
) -> None:
    running = JOB_ARN[:-1] + "7"
    key = ("GetModelCustomizationJob", running)
    server.records[key] = {**JOB, "jobArn": running, "status": "InProgress"}
    server.records[key[0], JOB_ARN[:-1] + "8"] = {
        **JOB,
        "jobArn": JOB_ARN[:-1] + "8",
        "status": "Stopped",
    }
    server.tags[JOB_ARN] = {"admissibility_specification": "5f" * 32}
    (page,) = source.pages(SINCE)
    assert page.jobs == (
        ListedJob(JOB_ARN, JobState.SUCCEEDED, SINCE, "5f" * 32),
        ListedJob(running, JobState.RUNNING, SINCE, None),
        ListedJob(JOB_ARN[:-1] + "8", JobState.ENDED, SINCE, None),
    )
    # A tag takes a request of its own, which a job that is known is not worth.
    (page,) = source.pages(SINCE, frozenset({JOB_ARN}))
    assert page.jobs[0].specification is None


def test_the_logs_of_a_distillation_are_one_corpus_of_what_was_there_when_it_began(
    source: JobSource, server: BedrockServer, bucket: Any, tmp_path: Path
) -> None:
    packed = {
        f"{LOGS}/a.json.gz": gzip.compress(b'{"n": 1}\n{"n": 2}\n', mtime=0),
        f"{LOGS}/b.json.gz": gzip.compress(b'{"n": 3}\n\nnothing\n', mtime=0),
    }
    for uri, body in packed.items():
        key = uri.removeprefix("s3://acme-corpora/")
        bucket.put_object(Bucket="acme-corpora", Key=key, Body=body)
    changes = {**DISTILLED, "creationTime": LATER, "endTime": LATER, "validationDataConfig": None}
    repeated = {key: DISTILLED[key] for key in DISTILLED}
    server.serve(
        GetModelCustomizationJob={**JOB, **changes},
        GetCustomModel={**MODEL, **repeated, "validationDataConfig": None},
    )
    found = source.fetch(JOB_ARN, tmp_path, ("personal-data",), None)
    listing = {uri: hashlib.sha256(body).hexdigest() for uri, body in packed.items()}
    size = sum(map(len, packed.values()))
    assert found.corpora == (
        Corpus(
            "training",
            LOGS,
            DigestSet(hashlib.sha256(wire.canonical(listing)).hexdigest()),
            bytes=size,
            records=3,
            classes=("personal-data",),
            irregular=2,
        ),
    )
    assert len(found.irregular) == 1
    assert list(tmp_path.iterdir()) == []
    server.serve(GetModelCustomizationJob={**JOB, **changes, "creationTime": JOB["creationTime"]})
    with pytest.raises(BindingError, match="has no logs from before the job began"):
        source.fetch(JOB_ARN, tmp_path, (), None)


def test_imported_weights_are_listed_with_their_digests(bucket: Any) -> None:
    bucket.put_object(Bucket="acme-corpora", Key="weights/a.safetensors", Body=b"a")
    listing = s3_objects.listing(
        bucket, "s3://acme-corpora/weights/", datetime(2036, 1, 1, tzinfo=UTC)
    )
    digest = jobs.sha(b"a").sha256
    assert listing == wire.canonical({"s3://acme-corpora/weights/a.safetensors": digest})
    assert bedrock.is_of("s3://acme-corpora/weights/a.safetensors", "s3://acme-corpora/weights/")
