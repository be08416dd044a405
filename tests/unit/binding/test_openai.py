from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.binding import corpora, declared, openai
from sidecar.binding.errors import BindingError
from sidecar.binding.job import KnownManifest
from sidecar.core.evidence import Statement, parse_statement, write_statement
from sidecar.core.predicates import MANIFEST, Corpus, EvaluationOutput, Grader, ModelClaim, Subject
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.binding import samples
from tests.unit.binding.jobs import (
    CORPORA,
    DECLARED,
    ENVELOPE,
    ENVIRONMENTS,
    NOW,
    RUN,
    WINDOW,
    expected,
    job,
    sha,
)
from tests.unit.binding.samples import BASE, CHECKPOINT, JOB, MODEL


def canonical(value: Any) -> bytes:
    """RFC 8785 for values without floats beyond what ``repr`` writes the same way."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_a_finished_job_becomes_exactly_this_manifest() -> None:
    bound = openai.bind(openai.read_job(job()), DECLARED)
    assert bound.artifact == canonical(JOB)
    assert bound.statement == Statement(Subject(MODEL, sha(canonical(JOB))), MANIFEST, expected())


def test_the_gate_reads_back_what_was_bound() -> None:
    statement = openai.bind(openai.read_job(job()), DECLARED).statement
    assert parse_statement(write_statement(statement)) == statement


def test_the_artifact_does_not_depend_on_how_the_record_was_laid_out() -> None:
    tidy = json.dumps(JOB, indent=4, sort_keys=True).encode()
    assert openai.bind(openai.read_job(tidy), DECLARED) == openai.bind(
        openai.read_job(job()), DECLARED
    )


@pytest.mark.parametrize(
    ("changes", "method", "hyperparameters"),
    [
        ({"method": None}, "supervised", JOB["hyperparameters"]),
        ({}, "supervised", JOB["hyperparameters"]),
        (
            {"hyperparameters": {"n_epochs": 3, "batch_size": "auto"}},
            "supervised",
            {"n_epochs": 3, "batch_size": "unknown", "learning_rate_multiplier": 1.8},
        ),
        (
            {"method": None, "hyperparameters": {"n_epochs": -1, "batch_size": None}},
            "supervised",
            {"n_epochs": "unknown", "batch_size": "unknown"},
        ),
        ({"method": None, "hyperparameters": None}, "supervised", {}),
        (
            {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": "auto"}}}},
            "dpo",
            {"beta": "unknown"},
        ),
        ({"method": {"type": "reinforcement"}, "hyperparameters": None}, "reinforcement", {}),
        ({"method": {"type": "dpo"}}, "dpo", JOB["hyperparameters"]),
    ],
)
def test_method_and_hyperparameters_are_where_the_job_has_them(
    changes: dict[str, Any], method: str, hyperparameters: dict[str, Any]
) -> None:
    read = openai.read_job(job(**changes))
    assert read.run == replace(RUN, method=method, hyperparameters=hyperparameters)


RECORDS_OF_OLD: tuple[dict[str, Any], ...] = (
    {"method": None, "metadata": None, "result_files": None, "error": {}, "seed": None},
    {"error": None, "integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}]},
    {"metadata": {}, "result_files": [], "validation_file": None, "estimated_finish": None},
)


@pytest.mark.parametrize("changes", RECORDS_OF_OLD)
def test_records_as_they_were_and_with_integrations_are_bound(changes: dict[str, Any]) -> None:
    read = openai.read_job(job(**changes))
    corpora = CORPORA if read.validation_file else CORPORA[:1]
    bound = openai.bind(read, replace(DECLARED, corpora=corpora))
    assert bound.statement.predicate.model == ModelClaim("openai", MODEL, BASE)


STRING_CHECK = {"type": "string_check", "name": "exact", "operation": "eq"}
JUDGE = {"type": "score_model", "name": "judge", "model": "gpt-4o-judge"}


def digest_of(grader: dict[str, Any]) -> DigestSet:
    return sha(canonical(grader))


@pytest.mark.parametrize(
    "inner", [STRING_CHECK, [STRING_CHECK, JUDGE], {"one": STRING_CHECK, "two": JUDGE}]
)
def test_graders_and_judges_are_read_in_every_form(inner: Any) -> None:
    multi = {"type": "multi", "name": "all", "graders": inner, "calculate_output": "one"}
    method = {"type": "reinforcement", "reinforcement": {"grader": multi}}
    read = openai.read_job(job(method=method))
    run = openai.bind(read, DECLARED).statement.predicate.run
    expected = [Grader("all", digest_of(multi)), Grader("exact", digest_of(STRING_CHECK))]
    if inner is not STRING_CHECK:
        expected.append(Grader("judge", digest_of(JUDGE)))
    assert run.graders == tuple(expected)
    assert run.models == (None if inner is STRING_CHECK else ("openai/gpt-4o-judge",))


@pytest.mark.parametrize(
    ("grader", "why"),
    [
        ({"name": "x"}, "job ftjob-abc123: grader is not a grader: it has no type"),
        (
            {"type": "multi", "graders": ["x"]},
            "job ftjob-abc123: grader.graders.0 is not a grader: it has no type",
        ),
        ({"type": "multi", "graders": 7}, "job ftjob-abc123: grader.graders is neither an object"),
        (
            {"type": "multi", "graders": [STRING_CHECK] * 64},
            "job ftjob-abc123: has 65 graders, at most 64 are read",
        ),
    ],
)
def test_what_is_no_grader_is_refused(grader: Any, why: str) -> None:
    method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    with pytest.raises(BindingError) as caught:
        openai.read_job(job(method=method))
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("base", "model"),
    [
        ("gpt-4o-mini", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini-2024-07-18:acme::def"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18.ft-0123456789abcdef"),
        ("curie", "curie:ft-acme-2023-01-01-00-00-00"),
        ("gpt-4", "acme-custom-model"),
    ],
)
def test_a_model_is_of_the_base_in_its_name(base: str, model: str) -> None:
    assert openai.read_job(job(model=base, fine_tuned_model=model)).model == model


def test_a_model_of_another_base_is_refused() -> None:
    with pytest.raises(BindingError, match=r"ft:gpt-3\.5-turbo:acme::1 is not of the base gpt-4o"):
        openai.read_job(job(fine_tuned_model="ft:gpt-3.5-turbo:acme::1"))


@pytest.mark.parametrize(
    "base",
    [
        "ft:gpt-4o-mini-2024-07-18:acme::abc",
        "gpt-4o-mini-2024-07-18.ft-0123456789abcdef",
        "curie:ft-acme-2023-01-01-00-00-00",
        "arn:aws:bedrock:us-east-1:1:custom-model/nova/abc123",
    ],
)
def test_every_providers_names_of_adapted_models_need_a_parent(base: str) -> None:
    read = openai.read_job(job(model=base, fine_tuned_model="acme-custom-model"))
    with pytest.raises(BindingError, match="is itself adapted: give its manifest as the parent"):
        openai.bind(read, DECLARED)


def test_what_the_provider_does_not_tell_is_not_made_up() -> None:
    read = openai.read_job(job(seed=None, trained_tokens=None))
    assert read.run == replace(RUN, seed=None, trained_tokens=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "running"}, "job ftjob-abc123: its status is 'running', not 'succeeded'"),
        ({"status": "cancelled"}, "job ftjob-abc123: its status is 'cancelled', not 'succeeded'"),
        (
            {"fine_tuned_model": None},
            "job ftjob-abc123: it names no fine_tuned_model or no finished_at",
        ),
        ({"finished_at": None}, "job ftjob-abc123: it names no fine_tuned_model or no finished_at"),
        ({"finished_at": 1}, "job ftjob-abc123: it finished before it was created"),
        ({"created_at": "soon"}, "job record: created_at: Input should be a valid integer"),
        (
            {"created_at": -(10**15), "finished_at": 1},
            "job ftjob-abc123: -1000000000000000 is not a time",
        ),
        ({"object": "list"}, "job record: object: Input should be 'fine_tuning.job'"),
        (
            {"method": {"type": "magic"}},
            "job record: method.type: Input should be 'supervised', 'dpo' or 'reinforcement'",
        ),
        (
            {"fine_tuned_model": ""},
            "job record: fine_tuned_model: String should have at least 1 character",
        ),
    ],
)
def test_a_job_that_is_not_a_finished_one_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BindingError) as caught:
        openai.read_job(job(**changes))
    assert str(caught.value) == message


def test_a_record_two_parsers_could_read_differently_is_refused() -> None:
    twice = job().replace(b'"status": "succeeded"', b'"status": "failed", "status": "succeeded"')
    with pytest.raises(BindingError, match="job record: a key is given twice"):
        openai.read_job(twice)


def test_a_checkpoint_is_a_model_of_its_own() -> None:
    checkpoint = openai.read_checkpoint(json.dumps(CHECKPOINT).encode())
    bound = openai.bind(openai.read_job(job()), DECLARED, checkpoint)
    name = f"{MODEL}:ckpt-step-20"
    artifact = canonical({"checkpoint": CHECKPOINT, "job": JOB})
    output = EvaluationOutput(
        "ftckpt_zc4Q7MP6XxulcVzj4MZdwsAB step 20",
        sha(canonical(CHECKPOINT)),
        {"full_valid_loss": 0.134, "full_valid_mean_token_accuracy": 0.874, "step": 20.0},
    )
    manifest = expected(model=ModelClaim("openai", name, BASE), evaluations=(output,))
    assert bound.artifact == artifact
    assert bound.statement == Statement(Subject(name, sha(artifact)), MANIFEST, manifest)
    assert parse_statement(write_statement(bound.statement)) == bound.statement


def test_a_checkpoint_without_metrics_claims_none() -> None:
    record = {**CHECKPOINT, "metrics": {"full_valid_loss": None}}
    checkpoint = openai.read_checkpoint(json.dumps(record).encode())
    bound = openai.bind(openai.read_job(job()), DECLARED, checkpoint)
    assert bound.statement.predicate.evaluations == ()


def test_a_checkpoint_of_another_job_is_refused() -> None:
    record = {**CHECKPOINT, "fine_tuning_job_id": "ftjob-other"}
    checkpoint = openai.read_checkpoint(json.dumps(record).encode())
    with pytest.raises(BindingError, match="is of job ftjob-other, not ftjob-abc123"):
        openai.bind(openai.read_job(job()), DECLARED, checkpoint)


def checkpoint(**changes: Any) -> openai.Checkpoint:
    return openai.read_checkpoint(json.dumps({**CHECKPOINT, **changes}).encode())


def test_the_checkpoint_with_the_final_models_name_is_the_final_model() -> None:
    read = openai.read_job(job())
    last = checkpoint(id="ckpt-3", fine_tuned_model_checkpoint=MODEL, step_number=30)
    first = checkpoint(id="ckpt-1", fine_tuned_model_checkpoint=f"{MODEL}:ckpt-step-10")
    models = openai.adapted_models(read, [last, first, checkpoint()], "openai")
    assert [(each.id, each.artifact == canonical(JOB)) for each in models] == [
        (MODEL, True),
        (f"{MODEL}:ckpt-step-10", False),
        (f"{MODEL}:ckpt-step-20", False),
    ]
    assert models[0].output == last.output


def test_checkpoints_of_one_name_or_another_base_are_refused() -> None:
    read = openai.read_job(job())
    with pytest.raises(BindingError, match="two of its checkpoints have the same name"):
        openai.adapted_models(read, [checkpoint(), checkpoint(id="other")], "openai")
    odd = checkpoint(fine_tuned_model_checkpoint="ft:gpt-3.5-turbo-0125:acme::1:ckpt-step-1")
    with pytest.raises(BindingError, match=r"ckpt-step-1 is not of gpt-4o-mini-2024-07-18, from"):
        openai.adapted_models(read, [odd], "openai")


def test_a_job_record_is_not_a_checkpoint() -> None:
    with pytest.raises(BindingError, match="checkpoint record: object: Input should be"):
        openai.read_checkpoint(job())


@pytest.mark.parametrize(
    ("corpora", "validation", "message"),
    [
        ((), None, "the job names the training file file-train: give the file"),
        (CORPORA[1:], "file-valid", "the job names the training file file-train: give the file"),
        (CORPORA[:1], "file-valid", "the job names the validation file file-valid: give the file"),
        (CORPORA, None, "the job names no validation file, but one was given"),
    ],
)
def test_what_went_into_the_run_is_bound_and_nothing_else(
    corpora: tuple[Corpus, ...], validation: str | None, message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        openai.bind(
            openai.read_job(job(validation_file=validation)), replace(DECLARED, corpora=corpora)
        )
    assert str(caught.value) == message


def known(model: str, provider: str = "openai") -> KnownManifest:
    return KnownManifest("cd" * 32, expected(model=ModelClaim(provider, model, BASE)))


def test_a_model_tuned_from_a_tuned_model_carries_its_parent() -> None:
    again = openai.read_job(job(model=MODEL, fine_tuned_model=f"{MODEL}-2"))
    with pytest.raises(BindingError, match="is itself adapted: give its manifest as the parent"):
        openai.bind(again, DECLARED)
    bound = openai.bind(again, replace(DECLARED, parent=known(MODEL)))
    assert bound.statement.predicate.model == ModelClaim(
        "openai", f"{MODEL}-2", MODEL, DigestSet("cd" * 32)
    )


@pytest.mark.parametrize("parent", [known("ft:other"), known(BASE, "azure")])
def test_a_parent_is_the_model_the_job_was_tuned_from(parent: KnownManifest) -> None:
    with pytest.raises(BindingError, match=r"the parent manifest is of .*, but the job was tuned"):
        openai.bind(openai.read_job(job()), replace(DECLARED, parent=parent))


def test_a_manifest_supersedes_only_one_of_the_same_model() -> None:
    read = openai.read_job(job())
    bound = openai.bind(read, replace(DECLARED, supersedes=known(MODEL)))
    assert bound.statement.predicate == expected(supersedes=DigestSet("cd" * 32))
    with pytest.raises(BindingError, match="the manifest to supersede is of openai/ft:other"):
        openai.bind(read, replace(DECLARED, supersedes=known("ft:other")))


def test_a_manifest_does_not_outlast_its_model() -> None:
    read, end = openai.read_job(job()), NOW + timedelta(days=12)
    bound = openai.bind(read, replace(DECLARED, shutdown=end))
    assert bound.statement.predicate == expected(
        model=ModelClaim("openai", MODEL, BASE, shutdown=end), window=Window(NOW, end)
    )
    late = NOW + timedelta(days=900)
    assert openai.bind(read, replace(DECLARED, shutdown=late)).statement.predicate.window == WINDOW
    with pytest.raises(BindingError, match="the provider shut the model down at 2026-01-02T"):
        openai.bind(read, replace(DECLARED, shutdown=NOW))


def test_the_sample_files_are_the_sample_values(tmp_path: Path) -> None:
    folder = samples.lay_out(tmp_path)
    assert (
        corpora.read_corpus(
            folder / "training.jsonl", role="training", name="file-train:training.jsonl"
        ).corpus
        == CORPORA[0]
    )
    assert declared.envelope(folder / "envelope.yaml") == ENVELOPE
    assert declared.environments(folder / "environments.yaml") == ENVIRONMENTS


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fine_tuned_model": BASE}, f"{BASE} is named as the model and as its base"),
        (
            {"finished_at": int((NOW + timedelta(minutes=6)).timestamp())},
            "it finished at 2026-01-02T00:06:00+00:00, but now it is 2026-01-02T00:00:00+00:00; "
            "compare the clocks, and bind the run after it has finished",
        ),
    ],
)
def test_a_record_that_cannot_be_true_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BindingError) as caught:
        openai.bind(openai.read_job(job(**changes)), DECLARED)
    assert str(caught.value) == f"run ftjob-abc123: {why}"
