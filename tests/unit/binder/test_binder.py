from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.binder import binder as binder_module
from sidecar.binder.binder import Binder
from sidecar.binder.job_records import JobRecord, JobRecords, Progress
from sidecar.core.wire import DigestSet
from tests.support.provider.openai_jobs import Handler, OpenAiJobs
from tests.support.provider.producer import World
from tests.unit.binder.helpers import now
from tests.unit.binding.jobs import ENVELOPE, ENVIRONMENTS


@pytest.fixture
def world(account: OpenAiJobs, tmp_path: Path) -> Iterator[World]:
    made = World(account, tmp_path)
    yield made
    made.close()


def test_a_finished_job_becomes_a_manifest_of_each_of_its_models(world: World) -> None:
    job = world.submit()
    model = world.account.finish(job)
    record = world.binder().attempt(world.source, job)
    assert record is not None
    assert (record.progress, set(record.manifests)) == (
        Progress.BOUND,
        {model, f"{model}:ckpt-step-10"},
    )
    manifests = {each.model.id: each for each in world.signed()}
    assert set(manifests) == set(record.manifests)
    final = manifests[model]
    assert final.specification == DigestSet(world.specification)
    assert (final.environments, final.envelope) == (ENVIRONMENTS, ENVELOPE)
    assert [each.classes for each in final.corpora] == [("personal-data",)] * 2
    assert final.run.hyperparameters == {
        "n_epochs": 3,
        "batch_size": 1,
        "learning_rate_multiplier": 1.8,
    }
    assert len(world.handed_out()) == 2
    assert len(list((world.folder / "blobs").glob("*.artifact.json"))) == 2
    assert not world.binder().state.work("openai", job).exists()


def test_a_job_is_bound_once_however_often_it_is_tried(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    first = world.binder().attempt(world.source, job)
    world.account.jobs[job]["usage"] = "a field that was added later"
    assert [world.binder().attempt(world.source, job) for _ in range(3)] == [first] * 3
    # Another binder, or one whose state was lost, finds the manifests in the home.
    other = world.binder("other", "elsewhere").attempt(world.source, job)
    assert other == first
    assert len(world.signed()) == 2
    assert world.handed_out("elsewhere") == world.handed_out()


def test_of_two_binders_at_once_one_works(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    one = world.binder()
    with one.state.claimed("openai", job):
        assert world.binder().attempt(world.source, job) is None
    assert world.signed() == []


def killed_after(world: World, job: str, signed: int, place: str) -> None:
    """Run a binder in a process of its own, which is killed at a place once so much is signed."""
    original: Callable[..., Any] = getattr(binder_module.Binder, place)

    def dying(self: Binder, *given: Any) -> Any:
        if len(world.signed()) >= signed:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *given)

    def run() -> None:
        setattr(binder_module.Binder, place, dying)
        world.binder().attempt(world.source, job)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("signed", "place"),
    [
        (0, "_declared"),
        (0, "_existing"),
        (1, "_write_blobs"),
        (1, "_existing"),
        (2, "_write_blobs"),
    ],
)
def test_a_binder_that_is_killed_leaves_nothing_half_bound(
    world: World, signed: int, place: str
) -> None:
    job = world.submit()
    world.account.finish(job)
    killed_after(world, job, signed, place)
    record = world.binder().attempt(world.source, job)
    assert record is not None
    assert record.progress is Progress.BOUND
    assert sorted(record.manifests) == sorted(each.model.id for each in world.signed())
    assert len(world.signed()) == len(world.handed_out()) == 2
    assert {name for path in (world.folder / "blobs").iterdir() for name in [path.name[:21]]} == {
        f"manifest-{digest[:12]}" for digest in record.manifests.values()
    }


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda world, job: world.account.jobs[job]["metadata"].update(
                admissibility_specification="77" * 32
            ),
            "names the specification 77",
        ),
        (
            lambda world, job: world.account.add_file("file-0001", "training.jsonl", b"{}\n" * 12),
            "its training file has the digest",
        ),
        (
            lambda world, job: world.account.jobs[job].update(finished_at=4102444800),
            "compare the clocks, and bind the run after it has finished",
        ),
        (
            lambda world, job: world.account.jobs[job].update(
                fine_tuned_model=world.account.jobs[job]["model"]
            ),
            "is named as the model and as its base",
        ),
        (
            lambda world, job: world.account.checkpoints[job][0].update(
                fine_tuned_model_checkpoint="ft:gpt-3.5-turbo:acme::1:ckpt-step-1"
            ),
            "ckpt-step-1 is not of gpt-4o-mini-2024-07-18",
        ),
        (
            lambda world, job: world.account.jobs[job].update(
                model="ft:gpt-4o-mini-2024-07-18:acme::0", method=None
            ),
            "is itself adapted, and none of the folders has its manifest",
        ),
        (
            lambda world, job: (world.folder / "evidence").rename(world.folder / "moved"),
            "is in none of the folders",
        ),
    ],
)
def test_what_cannot_be_bound_signs_nothing_and_says_why(
    world: World, spoil: Callable[[World, str], object], why: str
) -> None:
    job = world.submit()
    world.account.finish(job)
    spoil(world, job)
    record = world.binder().attempt(world.source, job)
    assert record is not None
    assert record.progress is Progress.REFUSED
    assert why in record.reason
    assert (world.signed(), world.handed_out()) == ([], [])


def test_a_job_without_a_specification_is_not_bound(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    world.account.jobs[job]["metadata"] = None
    binder = world.binder()
    record = binder.attempt(world.source, job)
    assert record is not None
    assert record.progress is Progress.BOUND  # the submission knows it
    world.account.jobs["ftjob-by-hand"] = {**world.account.jobs[job], "id": "ftjob-by-hand"}
    unknown = binder.attempt(world.source, "ftjob-by-hand")
    assert unknown is not None
    assert "was submitted under no specification" in unknown.reason


def test_a_model_tuned_from_a_bound_model_gets_it_as_its_parent(world: World) -> None:
    first = world.submit()
    parent = world.account.finish(first)
    binder = world.binder()
    bound = binder.attempt(world.source, first)
    second = world.submit(model=parent)
    world.account.finish(second, steps=(10,))
    model = f"ft:gpt-4o-mini-2024-07-18:acme:v2:{second[-6:]}"
    world.account.jobs[second]["fine_tuned_model"] = model
    world.account.checkpoints[second] = []
    record = binder.attempt(world.source, second)
    assert record is not None
    assert bound is not None
    assert record.reason == ""
    (manifest,) = [each for each in world.signed() if each.model.id == model]
    assert manifest.model.parent == DigestSet(bound.manifests[parent])


@pytest.mark.slow
def test_a_job_that_is_refused_is_tried_ever_less_often(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    for path in (world.folder / "evidence").iterdir():
        path.unlink()
    binder, hours = world.binder(), []
    for _ in range(7):
        record = binder.attempt(world.source, job)
        assert record is not None
        assert "is in none of the folders" in record.reason
        hours.append(round((datetime.fromisoformat(record.due) - now()) / timedelta(hours=1), 2))
        soon = record.due_after_change() - now()
        assert timedelta(minutes=14) < soon <= timedelta(minutes=15, seconds=1)
    assert hours == [0.25, 0.5, 1, 2, 4, 8, 12]


def test_a_provider_that_cannot_be_asked_is_asked_again_later(world: World) -> None:
    job = world.submit()
    world.account.finish(job)
    binder = world.binder()

    def refuse(handler: Handler, _: str) -> bool:
        handler.answer({"error": {}}, 403)
        return True

    world.account.misbehave = refuse
    first = binder.attempt(world.source, job)
    second = binder.attempt(world.source, job)
    assert first is not None
    assert second is not None
    assert (first.progress, first.attempts, second.attempts) == (Progress.PENDING, 1, 2)
    assert datetime.fromisoformat(second.due) > now()
    world.account.misbehave = lambda _handler, _path: False
    assert binder.state.enqueue("openai", job)
    third = binder.attempt(world.source, job)
    assert third is not None
    assert third.progress is Progress.BOUND
    assert not binder.state.enqueue("openai", job)


def test_a_webhook_and_a_worker_write_one_record_at_the_same_time(tmp_path: Path) -> None:
    state = JobRecords(tmp_path)

    def work() -> None:
        for attempts in range(50):
            state.write(JobRecord("openai", "ftjob-1", attempts=attempts))

    with ThreadPoolExecutor() as pool:
        worker = pool.submit(work)
        for _ in range(50):
            assert state.enqueue("openai", "ftjob-1")
        worker.result()
    assert [each.job for each in state.all()] == ["ftjob-1"]


def test_records_of_jobs_name_no_file_by_what_a_provider_sent(tmp_path: Path) -> None:
    state = JobRecords(tmp_path)
    state.write(JobRecord("openai", "../../etc/passwd"))
    state.take_webhook("../../x")
    assert state.has_webhook("../../x")
    assert [path.parent.name for path in tmp_path.rglob("*") if path.is_file()] in (
        ["openai", "webhooks"],
        ["webhooks", "openai"],
    )
    assert [each.job for each in state.all()] == ["../../etc/passwd"]
