from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.binder.endpoint import Endpoint
from sidecar.binder.openai_source import OpenAiSource
from sidecar.binder.secrets import Secret
from sidecar.binding.errors import BindingError
from sidecar.binding.source import JobState, SourceError
from sidecar.core import wire
from tests.support.provider.openai_jobs import KEY, Handler, OpenAiJobs
from tests.unit.binder.helpers import TRAINING, VALIDATION
from tests.unit.binding.samples import JOB

LONG_AGO = datetime.fromtimestamp(0, UTC)


def finished(account: OpenAiJobs, training: bytes = TRAINING) -> str:
    account.add_file("file-train", "training.jsonl", training)
    account.add_file("file-valid", "validation.jsonl", VALIDATION)
    account.jobs["ftjob-abc123"] = {**JOB, "status": "running", "fine_tuned_model": None}
    return account.finish("ftjob-abc123", steps=(10, 20, 30))


def test_a_finished_job_is_fetched_with_every_page_of_checkpoints_and_all_files(
    account: OpenAiJobs, endpoint: Endpoint, tmp_path: Path
) -> None:
    model = finished(account)
    source = OpenAiSource("openai", endpoint)
    found = source.fetch("ftjob-abc123", tmp_path / "work", ("personal-data",), None)
    names = [model, f"{model}:ckpt-step-10", f"{model}:ckpt-step-20"]
    assert [each.id for each in found.models] == names
    assert found.models[0].artifact == wire.canonical(account.jobs["ftjob-abc123"])
    assert [
        (each.role, each.name, each.digest.sha256, each.records, each.classes)
        for each in found.corpora
    ] == [
        (role, f"{file}:{role}.jsonl", hashlib.sha256(data).hexdigest(), count, ("personal-data",))
        for role, file, data, count in (
            ("training", "file-train", TRAINING, 12),
            ("validation", "file-valid", VALIDATION, 2),
        )
    ]
    assert [(each.name, each.metrics) for each in found.outputs] == [
        ("file-metrics-ftjob-abc123:step_metrics.csv", {"step": 1.0, "loss": 0.5})
    ]
    assert found.irregular == ()


def test_jobs_are_listed_over_all_pages(account: OpenAiJobs, source: OpenAiSource) -> None:
    for number in range(5):
        status = "succeeded" if number == 4 else "running"
        created = 1767225600 + number
        metadata = {"admissibility_specification": "ab" * 32} if number == 4 else None
        account.jobs[f"job-{number}"] = {
            **JOB,
            "id": f"job-{number}",
            "status": status,
            "created_at": created,
            "metadata": metadata,
        }
    since = datetime.fromtimestamp(1767225603, UTC)
    found = [job for page in source.pages(since) for job in page.jobs]
    assert [(job.id, job.state, job.specification) for job in found] == [
        ("job-4", JobState.SUCCEEDED, "ab" * 32),
        ("job-3", JobState.RUNNING, None),
    ]
    assert [len(page.jobs) for page in source.pages(LONG_AGO)] == [2, 2, 1]


def cut_after(account: OpenAiJobs, *sizes: int) -> None:
    """Close the connection after so many bytes of content, once for each size."""
    left = list(sizes)

    def cut(handler: Handler, path: str) -> bool:
        if not path.endswith("/file-train/content") or not left:
            return False
        data = account.files["file-train"][1]
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        begin = int(handler.headers.get("range", "bytes=0-")[6:-1])
        handler.send_response(206 if begin else 200)
        handler.send_header("content-length", str(len(data) - begin))
        handler.send_header("etag", etag)
        if begin:
            handler.send_header("content-range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[begin : begin + left.pop(0)])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    account.misbehave = cut


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_goes_on_where_it_stopped_or_begins_anew(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path, *, ranges: bool
) -> None:
    finished(account)
    account.ranges = ranges
    cut_after(account, 100, 200)
    found = source.fetch("ftjob-abc123", tmp_path, (), None)
    assert found.corpora[0].digest.sha256 == hashlib.sha256(TRAINING).hexdigest()
    asked = [each for each in account.asked if each.path.endswith("/file-train/content")]
    assert [each.headers.get("range") for each in asked] == [None, "bytes=100-", "bytes=300-"]


def test_what_arrived_before_a_restart_is_not_fetched_again(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)
    source.fetch("ftjob-abc123", tmp_path, (), None)
    account.asked.clear()
    source.fetch("ftjob-abc123", tmp_path, (), None)
    assert not [each for each in account.asked if each.path.endswith("/content")]


def test_a_part_of_another_file_is_thrown_away(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)
    cut_after(account, *[100] + [0] * 6)
    with pytest.raises(SourceError, match=r"file file-train: "):
        source.fetch("ftjob-abc123", tmp_path, (), None)
    account.misbehave = lambda _handler, _path: False
    longer = TRAINING + VALIDATION
    account.add_file("file-train", "training.jsonl", longer)
    found = source.fetch("ftjob-abc123", tmp_path, (), None)
    assert found.corpora[0].digest.sha256 == hashlib.sha256(longer).hexdigest()


def test_a_truncated_file_is_noticed(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)
    account.lengths["file-train"] = len(TRAINING) + 1
    with pytest.raises(BindingError, match=r"bytes arrived, but the provider states"):
        source.fetch("ftjob-abc123", tmp_path, (), None)


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)

    def replace_it(_: Handler, path: str) -> bool:
        if path.endswith("/file-train/content"):
            account.lengths["file-train"] = 7
        return False

    account.misbehave = replace_it
    with pytest.raises(BindingError, match="describes it otherwise than before its read"):
        source.fetch("ftjob-abc123", tmp_path, (), None)


def test_irregular_lines_of_a_run_that_succeeded_are_named_and_do_not_hinder(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account, b"\xef\xbb\xbf" + TRAINING + b"\n")
    found = source.fetch("ftjob-abc123", tmp_path, (), None)
    assert found.corpora[0].irregular == 2
    assert found.irregular == (
        "training.jsonl: line 1: begins with a byte-order mark; line 13: empty",
    )


def test_metrics_that_are_no_numbers_are_bound_by_digest(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)
    account.add_file("file-metrics-ftjob-abc123", "m.csv", b"step,note\n1,fine\n")
    (output,) = source.fetch("ftjob-abc123", tmp_path, (), None).outputs
    assert output.metrics == {}
    assert output.digest.sha256 == hashlib.sha256(b"step,note\n1,fine\n").hexdigest()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fine_tuned_model": "ft:gpt-3.5-turbo:acme::1"}, "is not of the base"),
        ({"method": {"type": "magic"}}, "Input should be 'supervised', 'dpo' or 'reinforcement'"),
        ({"status": "running"}, "its status is 'running', not 'succeeded'"),
        ({"id": "ftjob-other"}, "the provider answered with job ftjob-other"),
    ],
)
def test_a_hostile_record_is_a_clear_error(
    account: OpenAiJobs,
    source: OpenAiSource,
    tmp_path: Path,
    changes: dict[str, object],
    why: str,
) -> None:
    finished(account)
    account.jobs["ftjob-abc123"] |= changes
    with pytest.raises(BindingError, match=why):
        source.fetch("ftjob-abc123", tmp_path, (), None)


def test_a_key_given_twice_in_a_record_is_refused(
    account: OpenAiJobs, source: OpenAiSource, tmp_path: Path
) -> None:
    finished(account)
    data = json.dumps(account.jobs["ftjob-abc123"]).replace(
        '"status": "succeeded"', '"status": "failed", "status": "succeeded"'
    )

    def twice(handler: Handler, path: str) -> bool:
        if path.endswith("/ftjob-abc123"):
            handler.send_bytes(data.encode(), 200, {"content-type": "application/json"})
            return True
        return False

    account.misbehave = twice
    with pytest.raises(BindingError, match="job record: a key is given twice"):
        source.fetch("ftjob-abc123", tmp_path, (), None)


def test_no_error_shows_a_credential(account: OpenAiJobs, source: OpenAiSource) -> None:
    wrong = Secret("sk-wrong-0123456789-wrong", "test")
    refused = OpenAiSource("openai", replace(source.endpoint, key=wrong))
    with pytest.raises(SourceError) as caught:
        refused.record("ftjob-1")
    assert str(caught.value).startswith("job ftjob-1: HTTP 401: Incorrect API key provided: Bearer")
    assert "wrong" not in str(caught.value)
    assert KEY not in repr(source.endpoint)


@pytest.mark.slow
def test_a_provider_that_is_not_there_is_a_source_error() -> None:
    endpoint = Endpoint("openai", "http://127.0.0.1:9/v1", Secret(KEY, "test"))
    with pytest.raises(SourceError, match="job ftjob-1: Connection error"):
        OpenAiSource("openai", endpoint).record("ftjob-1")


def test_a_list_that_repeats_itself_ends(account: OpenAiJobs, source: OpenAiSource) -> None:
    def again(handler: Handler, path: str) -> bool:
        if "/fine_tuning/jobs?" in path:
            handler.answer({"object": "list", "data": [JOB], "has_more": True})
            return True
        return False

    account.misbehave = again
    with pytest.raises(BindingError, match="the page after ftjob-abc123 is the same again"):
        list(source.pages(LONG_AGO))
