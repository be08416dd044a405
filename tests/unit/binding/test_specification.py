"""A manifest binds the specification its job was submitted under, and nothing but that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.binding import openai
from sidecar.binding.errors import BindingError
from sidecar.binding.job import Declared
from sidecar.binding.specified import KnownSpecification
from sidecar.core.predicates import EvaluationEnvelope, Specification
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.unit.binding.jobs import DECLARED, ENVELOPE, ENVIRONMENTS, expected, job
from tests.unit.binding.samples import BASE

DIGEST = "cd" * 32
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SAID = Specification(
    ("openai/gpt-4o-*",), ENVIRONMENTS, ENVELOPE, Window(BEGAN, BEGAN + timedelta(days=1))
)


def named(digest: str | None = DIGEST) -> bytes:
    return job(metadata=None if digest is None else {"admissibility_specification": digest})


def declared(**changes: Any) -> Declared:
    return replace(DECLARED, specification=KnownSpecification(DIGEST, replace(SAID, **changes)))


@pytest.mark.parametrize("record", [named(), named(None), job(metadata={"team": "support"})])
def test_the_manifest_names_its_specification(record: bytes) -> None:
    bound = openai.bind(openai.read_job(record), declared())
    assert bound.statement.predicate == expected(specification=DigestSet(DIGEST))


def test_a_job_without_one_is_bound_as_ever() -> None:
    assert openai.bind(openai.read_job(named(None)), DECLARED).statement.predicate == expected()


@pytest.mark.parametrize(
    ("record", "given", "message"),
    [
        (named(), DECLARED, f"the job names the specification {DIGEST}: give it"),
        (
            named("ef" * 32),
            declared(),
            f"the job names the specification {'ef' * 32}, not {DIGEST}",
        ),
        (
            named(),
            declared(environments=(replace(ENVIRONMENTS[0], operations=("responses",)),)),
            "the environments are not those that the specification names",
        ),
        (
            named(),
            declared(envelope=EvaluationEnvelope(ENVELOPE.suites[1:])),
            "the envelope is not the one that the specification declares",
        ),
        (
            named(),
            declared(models=("openai/gpt-4.1-*", f"azure/{BASE}")),
            f"the specification does not cover tuning openai/{BASE}",
        ),
        (
            named(),
            declared(window=Window(BEGAN - timedelta(days=1), BEGAN)),
            "the specification did not hold when the job began, 2026-01-01 00:00:00+00:00",
        ),
        (
            named(),
            declared(window=Window(BEGAN + timedelta(seconds=1), BEGAN + timedelta(days=1))),
            "the specification did not hold when the job began, 2026-01-01 00:00:00+00:00",
        ),
    ],
)
def test_what_does_not_fit_is_not_bound(record: bytes, given: Declared, message: str) -> None:
    with pytest.raises(BindingError) as caught:
        openai.bind(openai.read_job(record), given)
    assert str(caught.value) == message


def test_metadata_that_is_none_is_no_record() -> None:
    with pytest.raises(BindingError, match="job record: metadata"):
        openai.read_job(job(metadata={"admissibility_specification": 7}))


OLDER = KnownSpecification("ab" * 32, SAID)
LATER = Window(DECLARED.window.not_before, DECLARED.window.not_before + timedelta(days=9))


def extension(*others: KnownSpecification, **changes: Any) -> Declared:
    """A declaration whose specification, in force from after the job on, extends ``OLDER``."""
    said = replace(SAID, **{"extends": DigestSet(OLDER.digest), "window": LATER, **changes})
    return replace(DECLARED, specification=KnownSpecification(DIGEST, said, others))


@pytest.mark.parametrize("record", [named(OLDER.digest), named(), named(None)])
def test_a_job_is_bound_under_an_extension_of_its_specification(record: bytes) -> None:
    bound = openai.bind(openai.read_job(record), extension(OLDER))
    assert bound.statement.predicate == expected(specification=DigestSet(DIGEST))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (extension(), f"{DIGEST} extends {OLDER.digest}: give it, --extended"),
        (
            extension(
                replace(
                    OLDER,
                    specification=replace(
                        SAID,
                        environments=(
                            replace(ENVIRONMENTS[0], operations=("chat.completions", "responses")),
                        ),
                    ),
                )
            ),
            f"{DIGEST} takes away from {OLDER.digest}: environment spiffe://acme.example/env/*: "
            "operations missing: responses",
        ),
        (
            extension(OLDER, replace(OLDER, digest="01" * 32)),
            f"{DIGEST} does not extend {'01' * 32}",
        ),
        (
            extension(replace(OLDER, specification=replace(SAID, window=LATER))),
            "the specification did not hold when the job began, 2026-01-01 00:00:00+00:00",
        ),
        (
            extension(OLDER, window=SAID.window),
            f"the extension does not hold when the manifest begins, {DECLARED.window.not_before}",
        ),
    ],
)
def test_what_extends_and_is_extended_must_fit(given: Declared, message: str) -> None:
    with pytest.raises(BindingError) as caught:
        openai.bind(openai.read_job(named(OLDER.digest)), given)
    assert str(caught.value) == message


def test_a_job_of_another_specification_is_not_bound_under_an_extension() -> None:
    with pytest.raises(BindingError) as caught:
        openai.bind(openai.read_job(named("ef" * 32)), extension(OLDER))
    assert str(caught.value) == (
        f"the job names the specification {'ef' * 32}, not {DIGEST} or {OLDER.digest}"
    )
