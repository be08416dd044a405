"""A provider is described whole: no part of its description can be forgotten."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.providers import ADAPTED_NAMES, PROVIDERS, openai
from sidecar.providers.provider import AdaptedNames, Provider

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("name", "title", "operations", "hosts", "configurations", "documentation", "errors")


@pytest.mark.parametrize("part", PARTS)
def test_a_provider_that_lacks_a_part_is_refused(part: str) -> None:
    kinds: dict[type, Any] = {tuple: (), str: ""}
    empty = kinds.get(type(getattr(openai.PROVIDER, part)))
    changes: dict[str, Any] = {part: empty}
    with pytest.raises(ValueError, match=f"has no {part}"):
        dataclasses.replace(openai.PROVIDER, **changes)


def test_no_part_but_the_two_of_routes_has_a_default() -> None:
    optional = {
        field.name
        for field in dataclasses.fields(Provider)
        if field.default is not dataclasses.MISSING
    }
    assert optional == {"slashes", "lines"}


def test_a_rule_for_adapted_names_states_its_source_and_compiles() -> None:
    with pytest.raises(ValueError, match="must state the source"):
        AdaptedNames("ft:.*", "")
    with pytest.raises(re.error):
        AdaptedNames("(", "a note")


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_reference_configuration_that_a_provider_names_exists_and_routes_to_it(
    name: str,
) -> None:
    files = [ROOT / "envoy" / f"{stem}.yaml" for stem in PROVIDERS[name].configurations]
    assert [file for file in files if not file.is_file()] == []


def test_every_module_with_a_provider_is_found_and_named_like_its_file() -> None:
    folder = Path(openai.__file__).parent
    described = {
        path.stem for path in folder.glob("*.py") if "\nPROVIDER = " in path.read_text("utf-8")
    }
    assert set(PROVIDERS) == described


@pytest.mark.parametrize(
    ("provider", "adapted", "base"),
    [
        ("openai", "ft:gpt-4o-2024-08-06:acme:support-v3:abc123", "gpt-4o-2024-08-06"),
        ("openai", "curie:ft-acme-2022-03-01", "gpt-4o"),
        ("azure", "gpt-4o-mini-2024-07-18.ft-0123456789abcdef:ckpt-step-10", "gpt-4o-mini"),
        (
            "bedrock",
            "arn:aws:bedrock:eu-west-1:123456789012:custom-model/amazon.nova/abc",
            "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
        ),
    ],
)
def test_a_name_that_marks_an_adapted_model_is_distinguished_from_a_base_models(
    provider: str, adapted: str, base: str
) -> None:
    rule = PROVIDERS[provider].adapted.pattern
    assert [bool(re.fullmatch(rule, name, re.IGNORECASE)) for name in (adapted, base)] == [
        True,
        False,
    ]


def test_the_rule_of_all_providers_takes_no_base_model_of_any_for_an_adapted_one() -> None:
    """A rule for one provider must not close the base models of another."""
    bases = (
        "gpt-4o-2024-08-06",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "publishers/google/models/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        "meta-llama/Llama-3.1-8B-Instruct",
        "llama3.1:8b",
    )
    assert [name for name in bases if ADAPTED_NAMES.fullmatch(name)] == []


@pytest.mark.parametrize(
    ("provider", "written", "canonical"),
    [
        ("bedrock", "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova:0", "amazon.nova:0"),
        ("bedrock", "amazon.nova:0", "amazon.nova:0"),
        ("bedrock", "arn:aws:bedrock:x:1:custom-model/a:foundation-model/b", None),
        ("bedrock", "arn:aws:s3:x:1:foundation-model/amazon.nova:0", None),
        ("bedrock", "arn:*:bedrock:*::foundation-model/amazon.*", "amazon.*"),
        ("vertex", "gemini-2.5-*", "publishers/google/models/gemini-2.5-*"),
        ("vertex", "claude-opus-4-6", "publishers/anthropic/models/claude-opus-4-6"),
        ("vertex", "**", None),
        ("vertex", "gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("vertex", "google/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"),
        ("vertex", "publishers/google/models/gemini-2.5-flash", None),
        ("vertex", "projects/acme/locations/europe-west4/endpoints/1", None),
        ("vertex", "meta/llama", "publishers/meta/models/llama"),
        ("vertex", "meta/llama/4", None),
        ("openai", "google/gemini-2.5-flash", None),
    ],
)
def test_a_base_model_has_one_name_however_a_call_writes_it(
    provider: str, written: str, canonical: str | None
) -> None:
    """A withdrawal of the base model, and the lists of base models, are of that name."""
    assert PROVIDERS[provider].canonical(written) == (canonical or written)


@pytest.mark.parametrize(
    ("provider", "name", "runs"),
    [
        *(
            ("bedrock", f"{area}.amazon.nova-lite-v1:0", ("amazon.nova-lite-v1:0",))
            for area in ("us", "us-gov", "eu", "apac", "jp", "global")
        ),
        ("bedrock", "amazon.nova-lite-v1:0", ()),
        ("bedrock", "deepseek.v3.2", ()),
        ("bedrock", "zai.glm-4.6", ()),
        ("bedrock", "arn:aws:bedrock:x:1:inference-profile/eu.amazon.nova-lite-v1:0", ()),
        ("openai", "eu.amazon.nova-lite-v1:0", ()),
    ],
)
def test_the_id_of_an_areas_inference_profile_runs_a_foundation_model(
    provider: str, name: str, runs: tuple[str, ...]
) -> None:
    assert PROVIDERS[provider].named(name) == (name, *runs)
