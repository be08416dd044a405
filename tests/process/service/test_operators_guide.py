"""The operators' guide agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sidecar.observe.decision_record import record
from sidecar.service.config import SidecarConfig
from tests.unit.observe.samples import admitted

DOCS = Path(__file__).resolve().parents[3] / "docs"
GUIDE = DOCS / "operators.md"
LOG = DOCS / "sre.md"


def section(title: str) -> str:
    """The text below one heading."""
    return LOG.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def named(text: str) -> list[str]:
    """What the first column of a section's tables names."""
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_field_of_the_log_is_reported_and_no_other() -> None:
    assert sorted(named(section("The decision log"))) == sorted(record(admitted()))


def test_the_example_is_the_defaults() -> None:
    (example,) = re.findall(r"```yaml\n(listen:.*?)```", GUIDE.read_text(), flags=re.S)
    value = yaml.safe_load(example)
    assert SidecarConfig.model_validate(value) == SidecarConfig.model_validate(
        {"trust": value["trust"], "policies": value["policies"]}
    )
