"""The operators' guide says what the code does. ``python -m tests.service.test_operators_guide``
writes the generated tables anew."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sidecar.core.reasons import Reason, http_status, remedy
from sidecar.observe.decision_log import record
from sidecar.service.config import SidecarConfig
from tests.observe.samples import admitted
from tests.observe.test_metrics import metrics

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"


def reasons_table() -> str:
    rows = [
        f"| `{reason.value}` | {http_status(reason)} | {remedy(reason)} |"
        for reason in Reason
        if reason is not Reason.ADMITTED
    ]
    return "\n".join(["| reason | status | what to do |", "|---|---|---|", *rows])


def generated(text: str) -> str:
    """The guide with its generated tables as they should be."""
    for name, table in (("reasons", reasons_table()),):
        before, begin, rest = text.partition(f"<!-- {name}: generated -->\n")
        _, end, after = rest.partition("<!-- end -->")
        assert begin, name
        assert end, name
        text = f"{before}{begin}{table}\n{end}{after}"
    return text


def section(title: str) -> str:
    """The text below one heading."""
    return GUIDE.read_text().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def named(text: str) -> list[str]:
    """What the first column of a section's tables names."""
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_generated_tables_are_in_step() -> None:
    assert GUIDE.read_text() == generated(GUIDE.read_text())


def test_every_field_of_the_log_is_told_and_no_other() -> None:
    assert sorted(named(section("The decision log"))) == sorted(record(admitted()))


def test_every_metric_is_told_and_no_other() -> None:
    told = {name.partition("{")[0] for name in named(section("Metrics"))}
    text = metrics().render().decode()
    families = set(re.findall(r"^# TYPE (admissibility_\S+) ", text, flags=re.M))
    assert told == families


def test_every_setting_is_told_and_no_other() -> None:
    told = {name.partition(".")[0] for name in named(section("`sidecar.yaml`"))}
    assert told == set(SidecarConfig.model_fields)


def test_the_example_is_the_defaults() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), flags=re.S)
    value = yaml.safe_load(example)
    assert SidecarConfig.model_validate(value) == SidecarConfig.model_validate(
        {"trust": value["trust"], "policies": value["policies"]}
    )


if __name__ == "__main__":
    GUIDE.write_text(generated(GUIDE.read_text()))
