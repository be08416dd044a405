"""Alert rules: each has what an alert needs, and their own unit tests hold where promtool is."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from admissibility_devtools.site import metrics as metrics_page
from admissibility_devtools.tools.places import repository_root

ROOT = repository_root()
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))[
    "groups"
][0]["rules"]
PROMTOOL = shutil.which("promtool")


def test_every_rule_has_its_time_its_severity_and_a_section_of_the_guide() -> None:
    guide = (ROOT / "docs/sre.md").read_text("utf-8")
    sections = re.findall(r"^#### (\w+)$", guide, re.MULTILINE)
    assert [
        (
            rule["alert"],
            re.fullmatch(r"\d+[sm]", str(rule["for"])) is not None,
            rule["labels"]["severity"] in {"critical", "warning", "info"},
            rule["annotations"]["runbook"],
        )
        for rule in RULES
    ] == [(f"Admissibility{name}", True, True, f"docs/sre.md#{name.lower()}") for name in sections]


def test_every_metric_and_label_of_a_rule_is_one_of_the_gate() -> None:
    known = set(re.findall(r"`(admissibility_\w+)[`{]", metrics_page.page()))
    used = {name for rule in RULES for name in re.findall(r"\badmissibility_\w+", rule["expr"])}
    assert used - known == set()
    assert len(used) > 15


def test_every_rule_fires_in_a_unit_test_of_the_rules() -> None:
    tried = (ROOT / "deploy/alerts_test.yml").read_text("utf-8")
    fired = set(re.findall(r'\{alertname="(\w+)"\}\', value: 1\}', tried))
    assert {rule["alert"] for rule in RULES} == fired


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian package prometheus) is not on PATH")
def test_the_rules_are_valid_and_their_unit_tests_hold() -> None:
    assert PROMTOOL is not None
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
        ran = subprocess.run(
            [PROMTOOL, *command], cwd=ROOT / "deploy", capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
