"""Format a report as text, JSON, or SARIF 2.1.0 for code-scanning services.

Code-scanning services need more than the standard requires: a region for every result, a
fingerprint that stays the same when lines above are edited, and a category for each file, so that
the results of one file do not replace those of another.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from envoy_extauthz_lint import RULES, LintFinding, LintReport, LintRule, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DRIVER = "envoy-extauthz-lint"


def to_lines(report: LintReport, name: str) -> list[str]:
    """Format a report as text, up to three lines a finding and one that counts them.

    Args:
        report: The report.
        name: The file as it was given.
    """
    lines = []
    for one in report.findings:
        lines += [
            f"{name}:{one.line}: {one.severity.value} {one.rule}: {one.message}",
            *([f"    at: {one.where}"] if one.where else []),
            f"    remedy: {one.remedy}",
        ]
    counts = ", ".join(f"{severity.value}s: {report.count(severity)}" for severity in Severity)
    return [*lines, f"{name}: {counts}"]


def to_json(report: LintReport, name: str) -> dict[str, Any]:
    """Format a report as a JSON object, findings in the report's order."""
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
                "remedy": one.remedy,
                "where": one.where,
                "place": one.place,
                "line": one.line or None,
            }
            for one in report.findings
        ],
    }


def all_to_json(reports: Mapping[str, LintReport]) -> dict[str, Any]:
    """Format reports by file: one as `to_json` does, several as a list under ``files``."""
    found = [to_json(report, name) for name, report in reports.items()]
    return found[0] if len(found) == 1 else {"files": found}


def all_to_sarif(
    reports: Mapping[str, LintReport], version: str, driver_name: str = DRIVER
) -> dict[str, Any]:
    """Format reports by file as one SARIF log with a run for each file."""
    logs = [to_sarif(report, name, version, driver_name) for name, report in reports.items()]
    return {**logs[0], "runs": [run for log in logs for run in log["runs"]]}


def to_sarif(
    report: LintReport, name: str, version: str, driver_name: str = DRIVER
) -> dict[str, Any]:
    """Format a report as one run of SARIF 2.1.0 (OASIS, §3.13 and following).

    Args:
        report: The report.
        name: The file as it was given; relative paths are relative to the repository's root.
        version: Version of the tool.
        driver_name: Name of the tool.
    """
    index = {rule.id: number for number, rule in enumerate(RULES)}
    driver = {
        "name": driver_name,
        "version": version,
        "rules": [_rule(rule) for rule in RULES],
    }
    results = [_result(one, index[one.rule], name) for one in report.findings]
    for result, fingerprint in zip(results, _fingerprints(report), strict=True):
        result["partialFingerprints"] = {"primaryLocationLineHash": fingerprint}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"envoy-lint/{_uri(name)}/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: LintRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.rationale},
        "help": {"text": f"Remedy: {rule.remedy}", "markdown": f"Remedy: {rule.remedy}"},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": ["security"]},
    }


def _result(one: LintFinding, index: int, name: str) -> dict[str, Any]:
    physical = {
        "artifactLocation": {"uri": _uri(name)},
        # Lines of very large files are not known: then the first one stands for all.
        "region": {"startLine": one.line or 1},
    }
    logical = {"fullyQualifiedName": one.place or "/", "kind": "member"}
    message = f"{one.where}: {one.message}" if one.where else one.message
    return {
        "ruleId": one.rule,
        "ruleIndex": index,
        "level": one.severity.value,
        "message": {"text": message},
        "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
    }


def _fingerprints(report: LintReport) -> list[str]:
    """Compute fingerprints that do not depend on line numbers.

    The form is that of code-scanning services: a hash of rule, place in words and message, and the
    ordinal among results with the same hash.
    """
    seen: Counter[str] = Counter()
    found = []
    for one in report.findings:
        text = "\0".join((one.rule, one.where, one.message))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        seen[digest] += 1
        found.append(f"{digest}:{seen[digest]}")
    return found


def _uri(name: str) -> str:
    path = quote(name.replace("\\", "/"))
    return f"file://{path}" if path.startswith("/") else path
