"""The doctor shows what the configuration opens or lets be ignored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.doctor.files import configuration
from sidecar.doctor.http_client import HttpAddress
from sidecar.doctor.installation import Installation
from sidecar.service.config import SidecarConfig

LEAST: dict[str, Any] = {"trust": "trust.yaml", "policies": "policies"}


def shown(**changes: Any) -> str:
    config = SidecarConfig.model_validate({**LEAST, **changes})
    nowhere = HttpAddress("127.0.0.1", 1)
    (found,) = configuration(
        Installation(Path("s.yaml"), config, "", nowhere, nowhere, nowhere, nowhere)
    )
    return found.detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, "s.yaml is valid"),
        ({"azure_body_model": "refuse"}, "s.yaml is valid"),
        (
            {"azure_body_model": "ignore", "open_operations": ["files.list"]},
            "s.yaml is valid, 1 operation opened, a body's model beside a deployment is ignored",
        ),
    ],
)
def test_what_the_operator_relaxed_is_shown(changes: dict[str, Any], detail: str) -> None:
    assert shown(**changes) == detail


def test_a_value_that_is_neither_is_refused() -> None:
    with pytest.raises(ValueError, match="azure_body_model"):
        shown(azure_body_model="yes")
