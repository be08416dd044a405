from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sidecar.binder import openai_creator
from sidecar.binder.endpoint import Endpoint
from sidecar.binder.errors import BinderError
from sidecar.binder.openai_creator import OpenAiCreator, request_body
from sidecar.binder.secrets import Secret, from_file, from_variable
from sidecar.binder.submission import (
    CreatedJob,
    NotCreatedError,
    Submission,
    SubmissionFolder,
    prepare,
    submit,
)
from sidecar.binding.errors import BindingError
from sidecar.binding.model_files import Progress
from sidecar.binding.source import SourceError
from sidecar.core.predicates import Corpus
from tests.support.provider.openai_jobs import KEY, Handler, OpenAiJobs
from tests.unit.binder.helpers import LINES, TRAINING, VALIDATION, asked, files, known, now
from tests.unit.binding.samples import BASE

T = TypeVar("T")
GRADER = {"type": "multi", "graders": {"a": {"type": "string_check", "extra": None}}, "x": [1.5]}


def prepared(folder: Path, **more: Any) -> Submission:
    request = asked(hyperparameters={"n_epochs": 3}, seed=7, suffix="support", **more)
    return prepare(request, files(folder), known(), now())


def endpoint_of(account: OpenAiJobs) -> Endpoint:
    return Endpoint("openai", f"{account.url}/v1", Secret(KEY, "test"))


def created_at(endpoint: Endpoint, folder: Path, submission: Submission) -> tuple[Submission, bool]:
    with closing(OpenAiCreator("openai", endpoint)) as creator:
        return submit(submission, SubmissionFolder(folder / "state"), creator, now)


def run(
    account: OpenAiJobs, folder: Path, submission: Submission | None = None
) -> tuple[Submission, bool]:
    submission = submission or prepared(folder)
    return created_at(endpoint_of(account), folder, submission)


def created(account: OpenAiJobs) -> list[dict[str, Any]]:
    return [
        json.loads(each.body)
        for each in account.asked
        if each.method == "POST" and each.path.partition("?")[0].endswith("/fine_tuning/jobs")
    ]


def test_a_job_is_created_with_its_corpora_under_its_specification(
    account: OpenAiJobs, endpoint: Endpoint, tmp_path: Path
) -> None:
    submission = prepared(tmp_path)
    folder = SubmissionFolder(tmp_path / "state")
    done, new = created_at(endpoint, tmp_path, submission)
    assert (done.job, new) == ("ftjob-000001", True)
    assert dict(account.files.values()) == {
        "training.jsonl": TRAINING,
        "validation.jsonl": VALIDATION,
    }
    assert created(account) == [
        {
            "model": BASE,
            "training_file": "file-0001",
            "validation_file": "file-0002",
            "seed": 7,
            "suffix": "support",
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
            "metadata": {
                "admissibility_specification": "5c" * 32,
                "admissibility_submission": submission.key,
            },
        }
    ]
    assert folder.of_job("openai", "ftjob-000001") == done
    assert folder.of_job("openai", "ftjob-000002") is None
    assert KEY not in folder.path(done.key).read_text()


def test_a_grader_is_sent_as_it_was_written(account: OpenAiJobs, tmp_path: Path) -> None:
    request = asked("reinforcement", grader=GRADER)
    paths = files(tmp_path)
    for path in paths.values():
        path.write_bytes(b'{"messages": [{"role": "user", "content": "Q"}], "answer": 1}\n' * 10)
    run(account, tmp_path, prepare(request, paths, known(), now()))
    assert created(account)[0]["method"]["reinforcement"]["grader"] == GRADER


def test_the_same_command_again_shows_the_job(account: OpenAiJobs, tmp_path: Path) -> None:
    first, _ = run(account, tmp_path)
    account.asked.clear()
    assert run(account, tmp_path) == (first, False)
    assert account.asked == []


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, request=replace(one.request, seed=8)),
        lambda one: replace(one, specification="77" * 32),
    ],
)
def test_another_job_has_another_record(
    tmp_path: Path, change: Callable[[Submission], Submission]
) -> None:
    one = prepared(tmp_path)
    other = change(one)
    again = prepare(
        other.request,
        files(tmp_path),
        replace(known(), digest=other.specification),
        now(),
    )
    assert again.key != one.key


class KilledError(BaseException):
    """The process ends here."""


class Dying(OpenAiCreator):
    """Ends the process after so many calls were answered."""

    left = 0

    def upload(self, path: str, corpus: Corpus, progress: Progress | None) -> str:
        return self._then(super().upload(path, corpus, progress))

    def create(self, submission: Submission) -> CreatedJob:
        return self._then(super().create(submission))

    def _then(self, found: T) -> T:
        if self.left == 0:
            raise KilledError
        self.left -= 1
        return found


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_crash_at_any_step_is_gone_on_from(
    account: OpenAiJobs, tmp_path: Path, answered: int
) -> None:
    submission = prepared(tmp_path)
    dying = Dying("openai", Endpoint("openai", f"{account.url}/v1", Secret(KEY, "test")))
    dying.left = answered
    with pytest.raises(KilledError):
        submit(submission, SubmissionFolder(tmp_path / "state"), dying, now)
    done, new = run(account, tmp_path, submission)
    assert list(account.jobs) == [done.job]
    assert account.jobs[str(done.job)]["training_file"] == done.uploads[0].file
    # What was uploaded and noted is not uploaded again; a job that exists is found.
    assert (len(account.files), new) == (3 if answered < 2 else 2, answered < 2)


def test_an_answer_that_was_lost_is_looked_for(account: OpenAiJobs, tmp_path: Path) -> None:
    account.silent = True
    with pytest.raises(SourceError, match="create the job: Connection error"):
        run(account, tmp_path)
    done, new = run(account, tmp_path)
    assert (done.job, new, len(account.jobs)) == ("ftjob-000001", False, 1)


def test_a_refused_job_is_not_looked_for(account: OpenAiJobs, tmp_path: Path) -> None:
    def refuse(handler: Handler, path: str) -> bool:
        if handler.command == "POST" and path.endswith("/fine_tuning/jobs"):
            handler.answer({"error": {"message": "model is not available"}}, 400)
            return True
        return False

    account.misbehave = refuse
    with pytest.raises(NotCreatedError, match="create the job: HTTP 400: model is not available"):
        run(account, tmp_path)
    account.misbehave = lambda _handler, _path: False
    account.asked.clear()
    done, new = run(account, tmp_path)
    assert (done.job, new) == ("ftjob-000001", True)
    assert [each.path for each in account.asked] == ["/v1/fine_tuning/jobs"]


def test_a_large_file_goes_up_in_parts(
    account: OpenAiJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai_creator, "SINGLE_BYTES", 500)
    monkeypatch.setattr(openai_creator, "PART_BYTES", 400)
    run(account, tmp_path)
    assert account.files["file-0001"] == ("training.jsonl", TRAINING)
    assert len(account.uploads["upload_1"][1]) == -(-len(TRAINING) // 400)


def test_a_file_that_changes_before_its_upload_is_noticed(
    account: OpenAiJobs, tmp_path: Path
) -> None:
    submission = prepared(tmp_path)
    (tmp_path / "training.jsonl").write_bytes(TRAINING.replace(b"On its way", b"Never again"))
    with pytest.raises(BinderError, match="changed between its check and its upload"):
        run(account, tmp_path, submission)
    assert account.jobs == {}


def test_irregular_lines_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    no_answer = b'{"messages": [{"role": "user", "content": "Q"}]}'
    bad = files(tmp_path, b"\n".join([LINES[0], b"", no_answer]))
    with pytest.raises(BindingError) as caught:
        prepare(asked(), bad, known(), now())
    assert str(caught.value) == (
        f"{bad['training']}: line 2: empty; line 3: messages: none is the assistant's, so there "
        "is nothing to learn; mend them, nothing was submitted"
    )


def test_a_specification_must_cover_the_job(tmp_path: Path) -> None:
    paths = files(tmp_path)
    with pytest.raises(BindingError, match=f"does not cover tuning openai/{BASE}"):
        prepare(asked(), paths, known(("azure/**",)), now())
    late = now().replace(year=now().year + 1)
    with pytest.raises(BindingError, match="did not hold when the job began"):
        prepare(asked(), paths, known(), late)
    specification = known().specification
    fewer = replace(specification.envelope, suites=specification.envelope.suites[:2])
    lacking = replace(known(), specification=replace(specification, envelope=fewer))
    with pytest.raises(BinderError, match="declares no compliance suite for eu: a model tuned"):
        prepare(asked(), paths, lacking, now())


def test_one_submission_at_a_time(account: OpenAiJobs, tmp_path: Path) -> None:
    submission = prepared(tmp_path)
    folder = SubmissionFolder(tmp_path / "state")
    with (
        folder.locked(submission.key),
        pytest.raises(BinderError, match="another process works on it"),
    ):
        created_at(endpoint_of(account), tmp_path, submission)
    assert account.asked == []


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    submission = prepared(tmp_path)
    folder = SubmissionFolder(tmp_path)
    for text, why in (
        ("{", "not JSON"),
        ("{}", "version is None"),
        ('{"version": 1}', "Missing|Field"),
    ):
        folder.path(submission.key).write_text(text)
        with pytest.raises(BinderError, match=why):
            folder.read(submission.key)


def test_credentials_come_from_private_files_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o644)
    with pytest.raises(BinderError, match=f"others than its owner can .* chmod 600 {path}"):
        from_file(path)
    path.chmod(0o600)
    assert from_file(path) == Secret(KEY, str(path))
    path.write_text("two words")
    with pytest.raises(BinderError, match="holds no credential: it must be one word"):
        from_file(path)
    monkeypatch.setenv("A_KEY", KEY)
    assert from_variable("A_KEY") == Secret(KEY, "the variable A_KEY")
    assert KEY not in f"{from_variable('A_KEY')} {from_variable('A_KEY')!r}"
    monkeypatch.delenv("A_KEY")
    with pytest.raises(BinderError, match="the variable A_KEY: holds no credential"):
        from_variable("A_KEY")


def test_a_body_before_the_upload_names_the_files(tmp_path: Path) -> None:
    body = request_body(prepared(tmp_path))
    assert body["training_file"] == f"<{tmp_path / 'training.jsonl'}>"
    assert (
        hashlib.sha256(TRAINING).hexdigest() == prepared(tmp_path).uploads[0].corpus.digest.sha256
    )
