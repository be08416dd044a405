from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.cli.admit import admit, told
from tests.process.cli.parties import Parties
from tests.support.provider.openai_jobs import KEY, OpenAiJobs, serving
from tests.unit.binder.helpers import TRAINING
from tests.unit.binding.samples import BASE


@pytest.fixture
def account() -> Iterator[OpenAiJobs]:
    with serving(OpenAiJobs()) as served:
        yield served


@pytest.fixture
def specification(parties: Parties, job: Path) -> Path:
    """A signed specification for the sample's base."""
    done = told(
        "declare",
        "specification",
        "support",
        "--home",
        parties.home("acme-risk"),
        "--model",
        "openai/gpt-4o-*",
        "--environments",
        job / "environments.yaml",
        "--envelope",
        job / "envelope.yaml",
        "--out",
        parties.evidence,
        "--blobs",
        parties.blobs,
    )
    return Path(done["file"])


def submitted(
    account: OpenAiJobs, specification: Path, folder: Path, *more: object
) -> tuple[Any, ...]:
    training = folder / "training.jsonl"
    training.write_bytes(TRAINING)
    return (
        "job",
        "submit",
        BASE,
        "--training",
        training,
        "--specification",
        specification,
        "--base-url",
        f"{account.url}/v1",
        "--state",
        folder / "state",
        *more,
    )


def test_a_job_is_submitted_once_shown_and_compared(
    account: OpenAiJobs, specification: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    command = submitted(account, specification, tmp_path, "--hyperparameter", "n_epochs=3")
    dry = told(*command, "--dry-run")
    assert dry["job"] is None
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}
    assert dry["body"]["method"] == method
    assert account.asked == []
    first = told(*command, "--key-file", key)
    assert (first["job"], first["created"]) == ("ftjob-000001", True)
    again = told(*command, OPENAI_API_KEY=KEY)
    assert again == {**first, "created": False}
    url = ("--base-url", f"{account.url}/v1", "--key-file", key)
    assert told("job", "show", "ftjob-000001", *url)["status"] == "validating_files"
    account.jobs["ftjob-000001"] |= {"status": "failed", "error": {"message": "no quota"}}
    assert told("job", "show", "ftjob-000001", *url, code=1)["error"] == "no quota"
    kept = (tmp_path / "state").rglob("*")
    assert not any(KEY.encode() in path.read_bytes() for path in kept if path.is_file())


def test_without_a_key_or_with_an_irregular_line_nothing_is_sent(
    account: OpenAiJobs, specification: Path, tmp_path: Path
) -> None:
    command = submitted(account, specification, tmp_path)
    assert admit(*command, code=2).stderr == (
        b"admit: no API key: give --key-file, or set OPENAI_API_KEY\n"
    )
    (tmp_path / "training.jsonl").write_bytes(TRAINING + b"{}\n")
    refused = admit(*command, code=2, OPENAI_API_KEY=KEY).stderr.decode()
    assert "line 13: the record: messages is not a list of messages" in refused
    assert account.asked == []


def test_a_job_that_changed_after_binding_differs(parties: Parties, job: Path) -> None:
    files = ("--training", job / "training.jsonl", "--validation", job / "validation.jsonl")
    declared = ("--envelope", job / "envelope.yaml", "--environments", job / "environments.yaml")
    bound = told(
        "bind",
        job / "job.json",
        *files,
        *declared,
        "--home",
        parties.home("tuning-lab"),
        "--out",
        parties.evidence,
        "--blobs",
        parties.blobs,
    )
    same = ("job", "check", bound["file"], "--record", job / "job.json")
    assert told(*same) == {"job": "ftjob-abc123", "differences": []}
    changed = job / "changed.json"
    text = (job / "job.json").read_text()
    changed.write_text(text.replace('"status": "succeeded"', '"status": "cancelled"'))
    found = told("job", "check", bound["file"], "--record", changed, code=1)
    assert found["differences"] == ["status is 'cancelled', bound was 'succeeded'"]


def test_a_finished_job_is_bound_with_its_checkpoints_once_and_no_file_has_the_key(
    account: OpenAiJobs, specification: Path, parties: Parties, tmp_path: Path
) -> None:
    first = told(*submitted(account, specification, tmp_path), OPENAI_API_KEY=KEY)
    model = account.finish(first["job"])
    command = (
        *("job", "bind", first["job"], "--evidence", parties.evidence),
        *("--submissions", tmp_path / "state", "--state", tmp_path / "binder"),
        *("--out", tmp_path / "out", "--base-url", f"{account.url}/v1"),
    )
    home = str(parties.home("tuning-lab"))
    bound = told(*command, OPENAI_API_KEY=KEY, ADMIT_HOME=home)
    assert bound["bound"]
    assert {model, f"{model}:ckpt-step-10"} < set(bound)
    assert told(*command, OPENAI_API_KEY=KEY, ADMIT_HOME=home) == bound
    assert len(list((tmp_path / "out").glob("*.dsse.json"))) == 2
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]
    account.jobs["ftjob-by-hand"] = {**account.jobs[first["job"]], "id": "ftjob-by-hand"}
    account.jobs["ftjob-by-hand"]["metadata"] = None
    by_hand = ("job", "bind", "ftjob-by-hand", *command[3:])
    other = told(*by_hand, code=1, OPENAI_API_KEY=KEY, ADMIT_HOME=home)
    assert "was submitted under no specification" in other["reason"]
