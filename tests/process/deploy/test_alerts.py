"""Alert rules and dashboard: each asks for what the programs expose, by names, labels and values.

Prometheus answers a query for a metric, label or value that there is not with nothing: such an
alert never fires. The rules' own unit tests hold where promtool is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from admissibility_devtools.site import metrics as metrics_page
from admissibility_devtools.tools.places import repository_root
from sidecar.binder.job_records import Progress
from sidecar.binder.metrics import ATTEMPTS, WEBHOOKS
from sidecar.core.reasons import Reason
from sidecar.observe.metrics import REGISTRATION_RESULTS
from tests.support.envoy_metrics import ENVOYS

ROOT = repository_root()
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))[
    "groups"
][0]["rules"]
UNIT_TESTS = ("alerts_test.yml", "alerts_days_test.yml")
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


def exposed() -> dict[str, frozenset[str]]:
    """Labels of each metric of gate, binder, relay and fleet; a histogram's as its buckets."""
    rows = re.findall(
        r"`(admissibility_\w+)(?:\{([\w,]*)\})?` \| (\w+)", metrics_page.page(), re.ASCII
    )
    found = dict(ENVOYS)
    for name, labels, kind in rows:
        own = frozenset(filter(None, labels.split(","))) | {"instance", "job"}
        samples = {f"{name}_bucket": own | {"le"}} if kind == "histogram" else {name: own}
        found.update(samples)
    return found


VALUES: dict[tuple[str, str], frozenset[str]] = {
    ("admissibility_denials_total", "reason"): frozenset(
        each.value for each in Reason if each is not Reason.ADMITTED
    ),
    ("admissibility_decisions_total", "outcome"): frozenset({"allow", "deny"}),
    ("admissibility_registrations_total", "result"): frozenset(REGISTRATION_RESULTS),
    ("admissibility_lease_lookups_total", "kind"): frozenset({"decision", "credential"}),
    ("admissibility_lease_lookups_total", "result"): frozenset({"hit", "miss"}),
    ("admissibility_binder_attempts_total", "outcome"): frozenset(ATTEMPTS),
    ("admissibility_binder_webhooks_total", "outcome"): frozenset(WEBHOOKS),
    ("admissibility_binder_jobs", "progress"): frozenset(each.value for each in Progress),
    ("admissibility_binder_read_age_seconds", "what"): frozenset(
        {"jobs", "deployments", "publication"}
    ),
}
JOBS = {"gate", "binder", "relay"}
SELECTOR = re.compile(r"\b((?:(?:admissibility|envoy)_\w+|up)\b)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on) \(([\w, ]+)\)")


def faults(expression: str) -> Iterator[str]:
    """Yield what an expression asks for and no program has."""
    known = exposed()
    grouped = {name.strip() for each in GROUPING.findall(expression) for name in each.split(",")}
    selectors = SELECTOR.findall(expression)
    for metric, matchers in selectors:
        if metric != "up" and metric not in known:
            yield metric
            continue
        for label, _, text in MATCHER.findall(matchers):
            if text == "$instance":
                continue
            values = JOBS if metric == "up" else VALUES.get((metric, label), frozenset())
            for value in text.split("|"):
                if value not in values:
                    yield f'{metric}{{{label}="{value}"}}'
    labels = [known.get(metric, frozenset({"job", "instance"})) for metric, _ in selectors]
    for label in grouped:
        if not all(label in each for each in labels):
            yield f"by ({label})"


def test_every_metric_label_and_value_of_a_rule_is_one_that_a_program_exposes() -> None:
    assert {rule["alert"]: [*faults(rule["expr"])] for rule in RULES} == {
        rule["alert"]: [] for rule in RULES
    }
    assert len({name for rule in RULES for name, _ in SELECTOR.findall(rule["expr"])}) > 15


def test_a_misspelt_metric_label_or_value_is_found() -> None:
    """What the test before rests on."""
    asked = (
        "admissibility_redy == 0",
        'increase(admissibility_denials_total{reason=~"overloaded|overlded"}[5m]) > 0',
        'admissibility_binder_jobs{progres="refused"} > 0',
        "sum by (authorty) (admissibility_trust_age_seconds) > 0",
        'up{job="gates"} == 0',
    )
    assert [[*faults(each)] for each in asked] == [
        ["admissibility_redy"],
        ['admissibility_denials_total{reason="overlded"}'],
        ['admissibility_binder_jobs{progres="refused"}'],
        ["by (authorty)"],
        ['up{job="gates"}'],
    ]


def test_a_summary_names_only_labels_that_its_alert_has() -> None:
    known = exposed()
    wrong = {}
    for rule in RULES:
        aggregated = re.match(r"(?:sum|count) by \(([\w, ]+)\)", rule["expr"])
        metric = SELECTOR.findall(rule["expr"])[0][0]
        has = known.get(metric, frozenset({"job", "instance"}))
        if aggregated is not None:
            has = frozenset(each.strip() for each in aggregated[1].split(","))
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        if used - has:
            wrong[rule["alert"]] = used - has
    assert wrong == {}


def test_every_panel_of_the_dashboard_asks_for_what_a_program_exposes() -> None:
    board = json.loads((ROOT / "deploy/dashboard.json").read_text("utf-8"))
    known = exposed()
    panels = {each["title"]: each for each in board["panels"] if each["type"] != "row"}
    found = {}
    for title, panel in panels.items():
        assert panel["description"], title
        for target in panel["targets"]:
            wrong = [*faults(target["expr"])]
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            labels = [known.get(metric, {"job"}) for metric, _ in SELECTOR.findall(target["expr"])]
            wrong += [name for name in named if not all(name in each for each in labels)]
            if wrong:
                found[title] = wrong
    assert found == {}
    assert len(panels) > 15


def test_every_rule_fires_in_a_unit_test_of_the_rules() -> None:
    tried = "".join((ROOT / "deploy" / name).read_text("utf-8") for name in UNIT_TESTS)
    fired = set(re.findall(r'\{alertname="(\w+)"(?:, \w+="[\w-]+")?\}\', value: 1\}', tried))
    assert {rule["alert"] for rule in RULES} == fired


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian package prometheus) is not on PATH")
def test_the_rules_are_valid_and_their_unit_tests_hold() -> None:
    assert PROMTOOL is not None
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", *UNIT_TESTS)):
        ran = subprocess.run(
            [PROMTOOL, *command], cwd=ROOT / "deploy", capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
