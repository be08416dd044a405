"""A manifest binds the specification its job was submitted under, and nothing but that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.binding import openai
from sidecar.binding.errors import BindingError
from sidecar.binding.openai import Declared, KnownSpecification
from sidecar.core.evidence import EvaluationEnvelope, Specification
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
