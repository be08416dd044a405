"""Findings for other programs: JSON, and SARIF 2.1.0 for code-scanning services."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sidecar.envoy_lint import RULES, Finding, Report, Rule, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DRIVER = "admit envoy lint"


def to_json(report: Report, name: str) -> dict[str, Any]:
    """The whole report, findings in order."""
    return {
        "file": name,
        "kind": "config_dump" if report.dumped else "bootstrap",
        "listeners": report.listeners,
        "routes": report.routes,
        "gate": report.gate,
        "providers": list(report.providers),
        "counts": {severity.value: report.count(severity) for severity in Severity},
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity.value,
                "message": one.message,
                "where": one.where,
                "place": one.place,
                "line": one.line or None,
            }
            for one in report.findings
        ],
    }


def to_sarif(report: Report, name: str, version: str) -> dict[str, Any]:
    """One run in SARIF 2.1.0 (OASIS, §3.13 and following).

    Args:
        report: What was found.
        name: The file as it was given; a place in a repository where it is relative.
        version: Of the tool.
    """
    index = {rule.id: number for number, rule in enumerate(RULES)}
    driver = {
        "name": DRIVER,
        "version": version,
        "rules": [_rule(rule) for rule in RULES],
    }
    results = [_result(one, index[one.rule], name) for one in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"Instead: {rule.mend}"},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(one: Finding, index: int, name: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(name)}}
    if one.line:
        physical["region"] = {"startLine": one.line}
    logical = {"fullyQualifiedName": one.place or "/", "kind": "member"}
    message = f"{one.where}: {one.message}" if one.where else one.message
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.severity.value,
        "message": {"text": message},
        "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
    }


def _uri(name: str) -> str:
    path = quote(name.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path
