from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.binding import bedrock
from sidecar.binding.errors import BindingError
from sidecar.binding.job import KnownManifest, bind_model
from sidecar.core import wire
from sidecar.core.evidence import Statement, parse_statement, write_statement
from sidecar.core.predicates import (
    MANIFEST,
    Corpus,
    EvaluationOutput,
    Grader,
    ModelClaim,
    Run,
    Subject,
)
from sidecar.core.wire import DigestSet
from tests.support.bedrock import (
    ARN,
    BASE,
    BASE_ARN,
    GRADER_ARN,
    IMPORT_JOB,
    IMPORT_JOB_ARN,
    IMPORTED,
    IMPORTED_ARN,
    JOB,
    JOB_ARN,
    MODEL,
    MODEL_ARN,
)
from tests.unit.binding import jobs
from tests.unit.binding.bedrock.samples import (
    CORPORA,
    DECLARED,
    DISTILLED,
    PARENT_ARN,
    REINFORCED,
    encoded,
    read,
    read_import,
)

RUN = Run(
    id=JOB_ARN,
    method="FINE_TUNING",
    hyperparameters={
        "epochCount": "2",
        "learningRate": "0.00001",
        "batchSize": "1",
        "learningRateWarmupSteps": "10",
    },
    started=datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
    finished=datetime(2026, 1, 1, 1, 0, tzinfo=UTC),
)


def sha(value: Any) -> DigestSet:
    return DigestSet(hashlib.sha256(wire.canonical(value)).hexdigest())


def test_a_finished_job_becomes_exactly_this_manifest() -> None:
    bound = bind_model(bedrock.adapted_model(read(), CORPORA), DECLARED)
    losses = {
        "trainingMetrics": JOB["trainingMetrics"],
        "validationMetrics": JOB["validationMetrics"],
    }
    expected = jobs.expected(
        model=ModelClaim("bedrock", MODEL_ARN, BASE),
        corpora=CORPORA,
        run=RUN,
        evaluations=(
            EvaluationOutput(
                "metrics of the job's record",
                sha(losses),
                {"trainingLoss": 0.625, "validationLoss.0": 0.75},
            ),
        ),
    )
    both = {"job": JOB, "model": MODEL}
    assert bound.artifact == wire.canonical(both)
    assert bound.statement == Statement(Subject(MODEL_ARN, sha(both)), MANIFEST, expected)
    assert parse_statement(write_statement(bound.statement)) == bound.statement


def test_fields_that_the_service_adds_are_in_the_artifact() -> None:
    found = bedrock.read_customization(encoded(JOB, dataRegion="eu"), encoded(MODEL))
    assert json.loads(bedrock.adapted_model(found, CORPORA).artifact)["job"]["dataRegion"] == "eu"


def test_an_imported_model_becomes_a_manifest_with_the_base_that_its_producer_declares() -> None:
    training = (Corpus("training", "train.jsonl", jobs.sha(b"x"), 1, 1),)
    found = read_import()
    assert found.weights == "s3://acme-corpora/weights/"
    adapted = bedrock.adapted_model(found, training, "meta-llama/Llama-3.1-8B")
    assert (adapted.id, adapted.base, adapted.run) == (
        IMPORTED_ARN,
        "meta-llama/Llama-3.1-8B",
        Run(
            id=IMPORT_JOB_ARN,
            method="IMPORTED",
            hyperparameters={"architecture": "llama3"},
            started=datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
            finished=datetime(2026, 1, 1, 0, 20, tzinfo=UTC),
        ),
    )
    assert adapted.artifact == wire.canonical({"job": IMPORT_JOB, "model": IMPORTED})


def test_a_custom_model_of_weights_trained_elsewhere_has_no_job() -> None:
    arn = f"{ARN}:custom-model/imported/fedcba654321"
    record = encoded(
        MODEL, modelArn=arn, jobArn=None, customizationType="IMPORTED", hyperParameters=None
    )
    found = bedrock.read_imported_custom_model(record)
    made = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
    assert (found.name, found.base, found.run) == (arn, BASE, Run(arn, "IMPORTED", {}, made, made))


def test_a_teacher_and_its_model_are_in_the_lineage() -> None:
    run = read(**DISTILLED).run
    assert run.models == ("bedrock/us.amazon.nova-pro-v1:0", "bedrock/amazon.nova-pro-v1:0")
    assert run.hyperparameters["maxResponseLengthForInference"] == 1000


def test_a_grader_is_in_the_lineage() -> None:
    run = read(**REINFORCED).run
    config = {"lambdaGrader": {"lambdaArn": GRADER_ARN}}
    assert run.graders == (Grader(GRADER_ARN, sha(config)),)
    assert (run.hyperparameters["epochCount"], run.hyperparameters["inferenceMaxTokens"]) == (
        "2",
        256,
    )


def test_a_custom_base_needs_its_manifest_even_where_the_job_names_the_foundation_only() -> None:
    found = read({"baseModelArn": PARENT_ARN})
    adapted = bedrock.adapted_model(found, CORPORA)
    assert (adapted.base, adapted.base_is_adapted) == (PARENT_ARN, True)
    with pytest.raises(BindingError, match="is itself adapted: give its manifest as the parent"):
        bind_model(adapted, DECLARED)
    parent = jobs.expected(model=ModelClaim("bedrock", PARENT_ARN, BASE))
    known = replace(DECLARED, parent=KnownManifest("7f" * 32, parent))
    claim = bind_model(adapted, known).statement.predicate.model
    assert claim == ModelClaim("bedrock", MODEL_ARN, PARENT_ARN, DigestSet("7f" * 32))


OTHER = f"{ARN}:custom-model/{BASE}/999999999999"
FOREIGN = f"arn:aws:bedrock:us-east-1:999999999999:custom-model/{BASE}/fedcba654321"


@pytest.mark.parametrize(
    ("model", "job", "message"),
    [
        (
            {},
            {"status": "InProgress"},
            f"job {JOB_ARN}: its status is 'InProgress', not 'Completed'",
        ),
        ({}, {"status": "Stopped"}, f"job {JOB_ARN}: its status is 'Stopped', not 'Completed'"),
        ({}, {"status": None}, "job record: status: Field required"),
        ({}, {"outputModelArn": None}, f"job {JOB_ARN}: it names no model that it made"),
        (
            {"modelArn": OTHER},
            {},
            f"the record is of {OTHER}, but job {JOB_ARN} made {MODEL_ARN}",
        ),
        (
            {"jobArn": JOB_ARN[:-1] + "0"},
            {},
            f"the record of {MODEL_ARN} names job {JOB_ARN[:-1]}0, not {JOB_ARN}",
        ),
        (
            {"modelArn": FOREIGN},
            {"outputModelArn": FOREIGN},
            f"{FOREIGN} and job {JOB_ARN} are of different accounts or regions",
        ),
        (
            {"modelStatus": "Creating"},
            {},
            f"{MODEL_ARN}: its status is 'Creating', not 'Active'",
        ),
        (
            {"trainingDataConfig": {"s3Uri": "s3://acme-corpora/other.jsonl"}},
            {},
            f"job {JOB_ARN}: its trainingDataConfig is not that in its model's record",
        ),
        (
            {"baseModelArn": BASE_ARN.replace("lite", "pro")},
            {},
            f"job {JOB_ARN}: its base is {BASE_ARN}, but its model's record states "
            f"{BASE_ARN.replace('lite', 'pro')}",
        ),
        (
            {"baseModelArn": BASE_ARN.replace("lite", "pro")},
            {"baseModelArn": BASE_ARN.replace("lite", "pro")},
            f"{MODEL_ARN} is a model of amazon.nova-lite-v1, but its base is "
            f"{BASE_ARN.replace('lite', 'pro')}",
        ),
        (
            {"baseModelArn": MODEL_ARN},
            {},
            f"job {JOB_ARN}: {MODEL_ARN} is named as the model and as its base",
        ),
        (
            {"customizationType": None},
            {"customizationType": "MERGING"},
            "job record: customizationType: Input should be 'FINE_TUNING', "
            "'CONTINUED_PRE_TRAINING', 'DISTILLATION', 'REINFORCEMENT_FINE_TUNING' or 'IMPORTED'",
        ),
        (
            {},
            {**REINFORCED, "customizationConfig": {"rftConfig": {}}},
            "graderConfig: has nothing, expected one lambdaGrader with lambdaArn",
        ),
        (
            {},
            {
                **REINFORCED,
                "customizationConfig": {"rftConfig": {"graderConfig": {"modelGrader": {}}}},
            },
            "graderConfig: has modelGrader, expected one lambdaGrader with lambdaArn",
        ),
        (
            {},
            {**REINFORCED, "customizationType": "FINE_TUNING"},
            "a job of type FINE_TUNING has a grader; only a reinforcement has",
        ),
        (
            {},
            {**DISTILLED, "customizationConfig": None},
            "a job of type DISTILLATION has no teacher model",
        ),
        (
            {},
            {"customizationConfig": DISTILLED["customizationConfig"]},
            "a job of type FINE_TUNING has a teacher model",
        ),
        (
            {},
            {"jobArn": "support-v3"},
            "'support-v3' is not the ARN of a model-customization-job of Bedrock",
        ),
        (
            {},
            {"endTime": None, "lastModifiedTime": None},
            f"job {JOB_ARN}: it names no endTime and no lastModifiedTime",
        ),
        (
            {},
            {"creationTime": 1767225600},
            "job record: creationTime: Value error, expected a time such as 2026-01-02T03:04:05Z",
        ),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_bound_is_refused_with_its_reason(
    model: dict[str, Any], job: dict[str, Any], message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        read(model, **job)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (encoded(JOB)[:-1], "job record: not JSON"),
        (encoded(JOB)[:-1] + b',"status":"Completed"}', "job record: a key is given twice"),
        (b"\xef\xbb\xbf" + encoded(JOB), "job record: "),
        (b"[]", "job record: "),
        (b"{" + b" " * (1 << 20) + b"}", "job record: "),
    ],
    ids=["truncated", "a key twice", "BOM", "no object", "too large"],
)
def test_bytes_that_two_parsers_could_read_differently_are_refused(
    job: bytes, message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        bedrock.read_customization(job, encoded(MODEL))
    assert str(caught.value).startswith(message)


def test_a_job_that_ended_in_the_future_is_refused() -> None:
    adapted = bedrock.adapted_model(read(endTime="2027-01-01T00:00:00Z"), CORPORA)
    with pytest.raises(BindingError, match="it finished at 2027-01-01"):
        bind_model(adapted, DECLARED)


def test_an_older_record_without_type_status_or_metrics_is_bound() -> None:
    absent = dict.fromkeys(("customizationType", "trainingMetrics", "validationMetrics"))
    found = read({**absent, "modelStatus": None, "hyperParameters": None}, **absent)
    assert (found.run.method, found.output) == ("FINE_TUNING", None)


TRAIN, VALID = CORPORA


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        ((VALID,), f"the job names the training data {TRAIN.name}: it is not given"),
        ((TRAIN,), f"the job names the validation data {VALID.name}: it is not given"),
        (
            (TRAIN, VALID, replace(TRAIN, name="more.jsonl")),
            "the job names no training data more.jsonl, but it was given",
        ),
        (
            (replace(TRAIN, name=f"{TRAIN.name}.bak"), VALID),
            f"the job names the training data {TRAIN.name}: it is not given",
        ),
    ],
)
def test_the_corpora_are_exactly_those_that_the_job_names(
    corpora: tuple[Corpus, ...], message: str
) -> None:
    with pytest.raises(BindingError) as caught:
        bedrock.adapted_model(read(), corpora)
    assert str(caught.value) == message


def test_the_objects_below_a_prefix_are_the_corpora_of_a_distillation() -> None:
    logs = tuple(replace(TRAIN, name=f"s3://acme-corpora/logs/{n}.json.gz") for n in range(2))
    adapted = bedrock.adapted_model(read(**DISTILLED), (*logs, VALID))
    assert adapted.run.method == "DISTILLATION"


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (None, f"{IMPORTED_ARN}: no record states its base model: give --base"),
        ("m", f"{IMPORTED_ARN}: no record names its training data: give --training"),
    ],
)
def test_what_an_import_does_not_state_is_declared(base: str | None, message: str) -> None:
    corpora = (replace(TRAIN, name="t.jsonl"),) if base is None else ()
    with pytest.raises(BindingError) as caught:
        bedrock.adapted_model(read_import(), corpora, base)
    assert str(caught.value) == message


def test_a_declared_base_that_the_records_contradict_is_refused() -> None:
    with pytest.raises(BindingError, match="but the records state"):
        bedrock.adapted_model(read(), CORPORA, "amazon.nova-pro-v1:0")


def test_a_model_that_a_job_made_is_bound_by_its_job() -> None:
    with pytest.raises(BindingError, match=f"a customization job made it, {JOB_ARN}: bind that"):
        bedrock.read_imported_custom_model(encoded(MODEL))


def test_an_import_of_an_unknown_source_is_refused() -> None:
    with pytest.raises(BindingError, match="modelDataSource has hubSource, expected one s3Data"):
        read_import({"modelDataSource": None}, modelDataSource={"hubSource": {}})
