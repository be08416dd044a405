"""Findings for other programs: JSON, and SARIF 2.1.0 for code-scanning services.

What a code-scanning service asks for beyond the standard: a region for every result, a fingerprint
that outlives edits above it, and a category for each file, so that one file's results do not
replace another's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
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
    for result, fingerprint in zip(results, _fingerprints(report), strict=True):
        result["partialFingerprints"] = {"primaryLocationLineHash": fingerprint}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"envoy-lint/{_uri(name)}/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"Instead: {rule.mend}", "markdown": f"Instead: {rule.mend}"},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": ["security"]},
    }


def _result(one: Finding, index: int, name: str) -> dict[str, Any]:
    physical = {
        "artifactLocation": {"uri": _uri(name)},
        # A whole line. Of a very large file lines are not known: then its first one.
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


def _fingerprints(report: Report) -> list[str]:
    """What tells a result from others, whatever moves in the file: rule, place in words, message.

    The form is the one of code-scanning services: a hash, and which one of those alike it is.
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
