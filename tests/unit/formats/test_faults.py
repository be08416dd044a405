"""A fault of a configuration file names an unknown key first, and the key that was meant."""

from __future__ import annotations

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.formats import faults, unique_keys


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    grants: list[str]


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    address: str


class File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    entries: list[Entry]
    by_name: dict[str, Entry | Other] = {}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            {"entries": [{"name": "a", "grant": []}]},
            "entries.0.grant: is not a known key; did you mean 'grants'?",
        ),
        (
            {"entries": [], "zzz": 1},
            "zzz: is not a known key; known here: by_name, entries",
        ),
        ({"entries": [{"name": "a"}]}, "entries.0.grants: Field required"),
    ],
)
def test_a_misspelt_key_is_reported_before_what_is_missing_for_it(
    value: dict[str, object], line: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        File.model_validate(value)
    assert faults.fault(caught.value, File) == line


def test_the_keys_of_each_model_that_a_place_may_hold_are_known_there() -> None:
    with pytest.raises(ValidationError) as caught:
        File.model_validate({"entries": [], "by_name": {"x": {"adress": "h:1"}}})
    assert faults.fault(caught.value, File).endswith("did you mean 'address'?")


def test_what_is_no_yaml_is_named_by_its_line() -> None:
    with pytest.raises(yaml.YAMLError) as caught:
        unique_keys.load("a: 1\nb: [")
    line = "line 2: expected the node content, but found '<stream end>'"
    assert faults.yaml_fault(caught.value) == line
