"""A record of an Azure deployment states its model, its place, and whether it is as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.binding.azure_deployments import read_deployment
from sidecar.binding.errors import BindingError
from tests.support.provider.azure_arm import AzureArm

TUNED = "gpt-4o-mini-2024-07-18.ft-0123456789abcdef0123456789abcdef"


def deployment(model: str = TUNED, version: str = "1", sku: str = "Standard") -> dict[str, Any]:
    arm = AzureArm()
    arm.deploy("support", model, version, sku)
    return arm.deployments["support"]


def encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def test_a_tuned_model_is_named_as_it_is_and_a_base_model_with_its_version() -> None:
    tuned = read_deployment(encoded(deployment()))
    assert (tuned.name, tuned.model, tuned.adapted) == ("support", TUNED, True)
    base = read_deployment(encoded(deployment("gpt-4o", "2024-08-06")))
    assert (base.model, base.adapted) == ("gpt-4o-2024-08-06", False)


@pytest.mark.parametrize(
    ("sku", "processing"),
    [
        ("Standard", "region"),
        ("ProvisionedManaged", "region"),
        ("GlobalStandard", "global"),
        ("GlobalProvisionedManaged", "global"),
        ("DeveloperTier", "global"),
        ("DataZoneStandard", "data-zone"),
        ("Lunar", "unknown"),
    ],
)
def test_its_sku_states_where_calls_are_processed(sku: str, processing: str) -> None:
    assert read_deployment(encoded(deployment(sku=sku))).facts == {
        "sku": sku,
        "processing": processing,
    }


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "etag"),
        (("systemData",), "lastModifiedAt"),
        (("properties", "model"), "name"),
        (("properties", "model"), "version"),
        (("properties", "model"), "source"),
    ],
)
def test_each_sign_of_another_model_changes_the_declared_record(
    place: tuple[str, ...], key: str
) -> None:
    before = read_deployment(encoded(deployment())).declarations()["record"]
    value = deployment()
    inner = value
    for name in place:
        inner = inner[name]
    inner[key] = TUNED.replace("0", "1") if key == "name" else "another"
    assert read_deployment(encoded(value)).declarations()["record"] != before
    same = {**deployment(), "tags": {"owner": "support"}}
    assert read_deployment(encoded(same)).declarations()["record"] == before


@pytest.mark.parametrize("missing", ["etag", "systemData", "sku", "properties", "name"])
def test_a_record_without_what_is_compared_is_refused(missing: str) -> None:
    value = deployment()
    del value[missing]
    with pytest.raises(BindingError, match=missing):
        read_deployment(encoded(value))
