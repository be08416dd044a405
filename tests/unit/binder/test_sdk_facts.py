"""What the locked SDKs do, as far as the binder is built around it: a new version shows here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from json import JSONDecodeError
from typing import Any

import openai
import pytest

from sidecar.binder.openai_client import make_client
from sidecar.binder.openai_source import OpenAiSource
from sidecar.core import wire
from tests.support.provider.openai_jobs import WEBHOOK_SECRET, OpenAiJobs
from tests.unit.binding.samples import JOB

STRING_CHECK = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}


@pytest.fixture
def client(source: OpenAiSource) -> Iterator[openai.OpenAI]:
    with closing(make_client(source.endpoint)) as opened:
        yield opened


def digest(value: Any) -> str:
    return hashlib.sha256(wire.canonical(value)).hexdigest()


def test_the_digest_of_a_parsed_record_is_not_that_of_the_record(
    account: OpenAiJobs, client: openai.OpenAI
) -> None:
    account.jobs["ftjob-abc123"] = {**JOB, "id": "ftjob-abc123"}
    jobs = client.fine_tuning.jobs
    raw = jobs.with_raw_response.retrieve("ftjob-abc123").http_response.content
    sent = account.jobs["ftjob-abc123"]
    assert digest(json.loads(raw)) == digest(sent)
    assert digest(jobs.retrieve("ftjob-abc123").model_dump(mode="json")) != digest(sent)


@pytest.mark.parametrize("graders", [{"exact": STRING_CHECK}, [STRING_CHECK]])
def test_a_multi_grader_is_parsed_as_another_kind(
    account: OpenAiJobs, client: openai.OpenAI, graders: Any
) -> None:
    grader = {"type": "multi", "name": "all", "graders": graders, "calculate_output": "exact"}
    method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    account.jobs["ftjob-abc123"] = {**JOB, "id": "ftjob-abc123", "method": method}
    parsed = client.fine_tuning.jobs.retrieve("ftjob-abc123").method
    assert parsed is not None
    assert parsed.reinforcement is not None
    assert type(parsed.reinforcement.grader).__name__ == "StringCheckGrader"


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"{", None, JSONDecodeError),
        (b"{}\xff", None, UnicodeDecodeError),
        (b"{}", {}, ValueError),
        (b"{}", {"webhook-signature": "v1,\u00e9"}, TypeError),
    ],
)
def test_a_malformed_webhook_raises_what_is_no_error_of_the_sdk(
    client: openai.OpenAI,
    body: bytes,
    headers: dict[str, str] | None,
    error: type[Exception],
) -> None:
    signed = OpenAiJobs.signed(body)
    given = signed if headers is None else {**signed, **headers} if headers else {}
    with pytest.raises(error) as raised:
        client.webhooks.unwrap(body, given, secret=WEBHOOK_SECRET)
    assert not isinstance(raised.value, openai.OpenAIError)


def test_of_two_equal_keys_of_a_webhook_the_last_is_kept(client: openai.OpenAI) -> None:
    body = OpenAiJobs().event("ftjob-2").replace(b'"data"', b'"data": {"id": "ftjob-1"}, "data"')
    unwrapped = client.webhooks.unwrap(body, OpenAiJobs.signed(body), secret=WEBHOOK_SECRET)
    assert unwrapped.data.id == "ftjob-2"  # type: ignore[union-attr]


def test_moto_has_no_deployment_throughput_or_import_of_bedrock() -> None:
    import moto.bedrock.responses  # noqa: PLC0415 - other workers need not import it

    known = dir(moto.bedrock.responses.BedrockResponse)
    needed = ("custom_model_deployment", "provisioned_model_throughput", "imported_model")
    assert [name for name in needed if f"get_{name}" in known] == []
