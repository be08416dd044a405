"""Bedrock's API as boto3 asks it, and S3's objects: the stand-in on the loopback, and moto."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from sidecar.binding import bedrock, s3_objects
from sidecar.binding.bedrock_api import AwsAccess, BedrockApi
from sidecar.binding.errors import BindingError
from sidecar.binding.source import SourceError
from tests.support.bedrock import (
    DEPLOYMENT_ARN,
    IMPORT_JOB_ARN,
    IMPORTED_ARN,
    JOB,
    JOB_ARN,
    MODEL,
    MODEL_ARN,
    PROVISIONED,
    PROVISIONED_ARN,
    REGION,
    TRAINING,
    BedrockServer,
)
from tests.unit.binding import samples as files
from tests.unit.binding.bedrock.samples import PARENT_ARN, encoded

BUCKET, KEY = "acme-corpora", "support/train.jsonl"
LATER = datetime(2036, 1, 1, tzinfo=UTC)


@pytest.fixture
def api(server: BedrockServer) -> BedrockApi:
    return BedrockApi(AwsAccess(endpoint=server.url), REGION)


def test_a_job_is_fetched_with_its_model_and_the_specification_in_its_tags(
    api: BedrockApi, server: BedrockServer
) -> None:
    server.tags[JOB_ARN] = {"team": "support", "admissibility_specification": "5f" * 32}
    assert api.model(JOB_ARN) == bedrock.read_customization(
        encoded(JOB), encoded(MODEL), specification="5f" * 32
    )
    assert [(method, path) for method, path, _ in server.received] == [
        ("POST", "/listTagsForResource"),
        ("GET", f"/model-customization-jobs/{JOB_ARN}"),
        ("GET", f"/custom-models/{MODEL_ARN}"),
    ]
    assert server.unsigned == 0


def test_the_bytes_are_the_services_with_what_the_sdk_does_not_know(
    api: BedrockApi, server: BedrockServer
) -> None:
    data = encoded(JOB, dataRegion="eu").replace(b": ", b" :  ")
    server.serve(GetModelCustomizationJob=data)
    assert api.record("get_model_customization_job", jobIdentifier=JOB_ARN) == data
    assert api.model(JOB_ARN).records["job"]["dataRegion"] == "eu"


def test_an_import_is_fetched_with_its_model(api: BedrockApi) -> None:
    assert (api.model(IMPORT_JOB_ARN).name, api.model(IMPORT_JOB_ARN).base) == (IMPORTED_ARN, None)


def test_what_a_deployment_and_a_throughput_run_is_fetched(api: BedrockApi) -> None:
    assert (api.deployment(DEPLOYMENT_ARN).model, api.deployment(PROVISIONED_ARN).model) == (
        MODEL_ARN,
        MODEL_ARN,
    )


def test_a_throughput_that_is_being_repointed_is_refused(
    api: BedrockApi, server: BedrockServer
) -> None:
    server.serve(GetProvisionedModelThroughput={**PROVISIONED, "desiredModelArn": PARENT_ARN})
    with pytest.raises(BindingError, match="is being pointed at"):
        api.deployment(PROVISIONED_ARN)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**JOB, "jobArn": JOB_ARN[:-1] + "0"}, "AWS answered with a record of"),
        (
            {**JOB, "outputModelArn": None, "status": "InProgress"},
            "its status is 'InProgress', and",
        ),
        (b'{"jobArn": "x", "jobArn": "y"}', "job record: a key is given twice"),
    ],
)
def test_an_answer_that_is_not_the_record_asked_for_is_refused(
    record: Any, message: str, api: BedrockApi, server: BedrockServer
) -> None:
    server.serve(GetModelCustomizationJob=record, GetCustomModel=encoded(MODEL, jobArn=None))
    with pytest.raises(BindingError) as caught:
        api.model(JOB_ARN)
    assert message in str(caught.value)


def test_what_aws_refuses_is_one_line_without_credentials(api: BedrockApi) -> None:
    missing = JOB_ARN[:-6] + "000000"
    with pytest.raises(SourceError) as caught:
        api.model(missing)
    text = str(caught.value)
    assert text.startswith(f"{missing}: An error occurred (ResourceNotFoundException)")
    assert ("\n" in text, "testing" in text) == (False, False)


def test_a_region_or_profile_that_is_nowhere_is_named() -> None:
    with pytest.raises(SourceError, match="You must specify a region"):
        BedrockApi(AwsAccess())
    with pytest.raises(SourceError, match=r"The config profile \(acme\) could not be found"):
        BedrockApi(AwsAccess(profile="acme"), REGION)


def test_an_object_is_read_as_the_version_that_was_found(
    api: BedrockApi, bucket: Any, tmp_path: Path
) -> None:
    read = dict(api.objects(TRAINING, LATER, tmp_path))
    assert {uri: path.read_bytes() for uri, path in read.items()} == {TRAINING: files.TRAINING}
    (found,) = s3_objects.find(bucket, TRAINING)
    bucket.put_object(Bucket=BUCKET, Key=KEY, Body=files.TRAINING[::-1])
    with pytest.raises(BindingError, match="was replaced while it was read"):
        s3_objects.fetch(bucket, found, _empty(tmp_path))


def _empty(folder: Path) -> Path:
    empty = folder / "empty"
    empty.mkdir()
    return empty


def test_objects_below_a_prefix_are_read_in_order(
    api: BedrockApi, bucket: Any, tmp_path: Path
) -> None:
    for key, body in (("logs/b.gz", b"b"), ("logs/a.gz", b"a"), ("logs/", b""), ("logs2/c", b"c")):
        bucket.put_object(Bucket=BUCKET, Key=key, Body=body)
    read = [uri for uri, _ in api.objects(f"s3://{BUCKET}/logs", LATER, tmp_path)]
    assert read == [f"s3://{BUCKET}/logs/a.gz", f"s3://{BUCKET}/logs/b.gz"]


def test_an_object_that_was_written_after_the_job_began_is_refused(
    api: BedrockApi, bucket: Any, tmp_path: Path
) -> None:
    began = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(BindingError, match="after the job began at"):
        list(api.objects(TRAINING, began, tmp_path))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("https://acme-corpora/x", "is not s3://BUCKET/KEY"),
        (f"s3://{BUCKET}/nothing", "there is no such object, and none below it"),
    ],
)
def test_a_place_without_objects_is_named(
    uri: str, message: str, api: BedrockApi, bucket: Any, tmp_path: Path
) -> None:
    with pytest.raises(BindingError, match=message):
        list(api.objects(uri, LATER, tmp_path))


def test_what_s3_refuses_may_be_granted_later(bucket: Any) -> None:
    with pytest.raises(SourceError, match="The specified bucket does not exist"):
        s3_objects.find(bucket, "s3://no-such-bucket/x")


class Flaky:
    """A client of S3 whose connections break after some bytes."""

    def __init__(self, real: Any, cut: int, times: int) -> None:
        self.real, self.cut, self.times = real, cut, times
        self.asked: list[dict[str, str]] = []

    def get_object(self, **arguments: str) -> Any:
        self.asked.append(arguments)
        answer = self.real.get_object(**arguments)
        if self.times:
            self.times -= 1
            answer["Body"] = _Cut(answer["Body"], self.cut)
        return answer


class _Cut:
    def __init__(self, body: Any, cut: int) -> None:
        self.body, self.cut = body, cut

    def iter_chunks(self, _: int) -> Any:
        if self.cut:
            yield self.body.read(self.cut)
        raise ReadTimeoutError(endpoint_url="https://s3")


def test_an_interrupted_object_is_resumed_as_the_same_version(bucket: Any, tmp_path: Path) -> None:
    (found,) = s3_objects.find(bucket, TRAINING)
    flaky = Flaky(bucket, 100, 2)
    counted: list[int] = []
    assert s3_objects.fetch(flaky, found, tmp_path, counted.append).read_bytes() == files.TRAINING
    assert [asked.get("Range") for asked in flaky.asked] == [None, "bytes=100-", "bytes=200-"]
    assert {asked["IfMatch"] for asked in flaky.asked} == {found.etag}
    assert sum(counted) == len(files.TRAINING)


def test_an_object_that_was_replaced_between_two_attempts_is_refused(
    bucket: Any, tmp_path: Path
) -> None:
    (found,) = s3_objects.find(bucket, TRAINING)
    with pytest.raises(SourceError, match="Read timeout"):
        s3_objects.fetch(Flaky(bucket, 0, 99), found, tmp_path)
    s3_objects.fetch(Flaky(bucket, 100, 1), found, tmp_path)
    for left in tmp_path.iterdir():
        left.unlink()
    flaky = Flaky(bucket, 100, 1)
    flaky.asked = Replacing(bucket)
    with pytest.raises(BindingError, match="was replaced while it was read"):
        s3_objects.fetch(flaky, found, tmp_path)


class Replacing(list[dict[str, str]]):
    """Replaces the object when it is asked for the second time."""

    def __init__(self, real: Any) -> None:
        super().__init__()
        self.real = real

    def append(self, item: dict[str, str]) -> None:
        super().append(item)
        if len(self) == 2:
            self.real.put_object(Bucket=BUCKET, Key=KEY, Body=b"y" * len(files.TRAINING))


def test_an_object_that_is_shorter_than_stated_is_refused(bucket: Any, tmp_path: Path) -> None:
    (found,) = s3_objects.find(bucket, TRAINING)

    class Long:
        def get_object(self, **arguments: str) -> Any:
            answer = bucket.get_object(**arguments)
            whole = answer["Body"].read() + b"more"

            class Body:
                def iter_chunks(self, _: int) -> Any:
                    yield whole

            return {**answer, "Body": Body()}

    with pytest.raises(BindingError, match=f"has {found.size + 4} bytes, but S3 stated"):
        s3_objects.fetch(Long(), found, tmp_path)
