from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.binding import openai, openai_listing
from sidecar.binding.errors import BindingError
from sidecar.binding.openai_listing import Page
from sidecar.binding.source import JobState, ListedJob
from sidecar.core.predicates import ModelClaim
from tests.unit.binding.jobs import CORPORA, expected, job
from tests.unit.binding.samples import BASE, CHECKPOINT, JOB, MODEL


def page(*entries: Any, **more: Any) -> bytes:
    return json.dumps({"object": "list", "data": entries, **more}).encode()


def test_pages_are_read_until_there_is_no_more() -> None:
    first = openai_listing.read_page(page(CHECKPOINT, has_more=True), "checkpoints")
    assert (first.more, first.last) == (True, CHECKPOINT["id"])
    last = openai_listing.read_page(page(), "checkpoints")
    assert last == Page((), more=False)
    assert openai_listing.read_checkpoints((first, last)) == (
        openai.read_checkpoint(json.dumps(CHECKPOINT).encode()),
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "list of jobs: not a JSON object"),
        (b'{"object": "list", "data": [], "data": []}', "list of jobs: a key is given twice"),
        (b'{"object": "list"}', "list of jobs: data: Field required"),
        (page("x"), "list of jobs: data.0: Input should be a valid dictionary"),
    ],
)
def test_what_is_no_page_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BindingError) as caught:
        openai_listing.read_page(data, "jobs")
    assert str(caught.value) == why


def test_a_page_that_announces_more_after_nothing_is_refused() -> None:
    empty = openai_listing.read_page(page(has_more=True), "jobs")
    with pytest.raises(BindingError, match="announces more entries ends with none that has an id"):
        _ = empty.last


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", JobState.SUCCEEDED),
        ("failed", JobState.ENDED),
        ("cancelled", JobState.ENDED),
        ("running", JobState.RUNNING),
        ("pausing", JobState.RUNNING),
    ],
)
def test_a_listed_job_has_a_state_and_the_specification_it_names(
    status: str, state: JobState
) -> None:
    metadata = {"admissibility_specification": "ab" * 32}
    created = datetime(2026, 1, 1, tzinfo=UTC)
    found = openai_listing.listed_job({**JOB, "status": status, "metadata": metadata})
    assert found == ListedJob("ftjob-abc123", state, created, "ab" * 32)
    assert openai_listing.listed_job(JOB).specification is None


@pytest.mark.parametrize("changes", [{"id": 7}, {"status": None}, {"created_at": 10**18}])
def test_what_is_no_job_of_a_list_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BindingError, match="list of jobs: "):
        openai_listing.listed_job({**JOB, **changes})


def test_fields_that_a_provider_adds_are_no_difference() -> None:
    record = job(usage_metrics={"a": 1}, result_files=["other"], organization_id="renamed")
    assert openai_listing.differences(expected(), record, ()) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"status": "cancelled"}, "status is 'cancelled', bound was 'succeeded'"),
        ({"model": "gpt-4"}, f"model is 'gpt-4', bound was '{BASE}'"),
        ({"fine_tuned_model": None}, f"fine_tuned_model is None, bound was '{MODEL}'"),
        ({"seed": 1}, "seed is 1, bound was 683058546"),
        ({"finished_at": 1}, "finished_at is 1, bound was 1767229200"),
        ({"training_file": "file-x"}, "training_file is 'file-x', bound was 'file-train'"),
        ({"method": {"type": "dpo"}}, "method is 'dpo', bound was 'supervised'"),
    ],
)
def test_what_changed_after_binding_is_named(changes: dict[str, Any], difference: str) -> None:
    assert openai_listing.differences(expected(), job(**changes), ()) == [difference]


def test_a_checkpoint_is_compared_with_the_checkpoints_listed_now() -> None:
    name = f"{MODEL}:ckpt-step-20"
    manifest = expected(model=ModelClaim("openai", name, BASE))
    listed = (openai.read_checkpoint(json.dumps(CHECKPOINT).encode()),)
    assert openai_listing.differences(manifest, job(), listed) == []
    assert len(openai_listing.differences(manifest, job(), ())) == 1


def test_a_file_whose_id_was_not_known_is_not_compared() -> None:
    corpora = tuple(replace(each, name="own.jsonl") for each in CORPORA)
    assert openai_listing.differences(expected(corpora=corpora), job(), ()) == []
