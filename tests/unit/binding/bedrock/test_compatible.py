"""A job of Bedrock's OpenAI-compatible API has OpenAI's record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.binding import openai
from sidecar.binding.errors import BindingError
from tests.support.bedrock import ARN
from tests.unit.binding.jobs import DECLARED, job

BASE = "openai.gpt-oss-20b-1:0"
TUNED = f"{ARN}:custom-model/{BASE}/fedcba654321"
BEDROCK = replace(DECLARED, provider="bedrock")


def test_its_model_is_bound_under_the_provider_bedrock() -> None:
    read = openai.read_job(job(model=BASE, fine_tuned_model=TUNED))
    claim = openai.bind(read, BEDROCK).statement.predicate.model
    assert (claim.provider, claim.id, claim.base) == ("bedrock", TUNED, BASE)


def test_a_custom_base_needs_its_manifest() -> None:
    read = openai.read_job(job(model=TUNED, fine_tuned_model=f"{TUNED[:-1]}0"))
    with pytest.raises(BindingError, match="is itself adapted: give its manifest as the parent"):
        openai.bind(read, BEDROCK)
