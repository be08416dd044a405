"""Reads the rules of a tree from their METADATA, for lists, reference pages and tools.

A rule is whatever carries a ``code``: a ``deny`` or ``warn`` of a jurisdiction or of a sector in
one, or a condition of the entrypoint on the call as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sidecar.opa import executable, tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.tree import JURISDICTIONS

CALL = ""
"""The package of a rule about the call as a whole."""
ENFORCED, SHADOW, PENDING, ADVISORY = "enforced", "shadow", "pending", "advisory"
_EARLY = ("params", "admission", "data.json")


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One rule, as its METADATA describes it.

    Attributes:
        package: The jurisdiction's id, with its sector where it has one (``eu-finance``); empty
            for a condition on the call as a whole.
        code: Unique name in violations, waivers and dashboards.
        title: One line.
        description: What it checks, and what people must check.
        citation: The provision that it implements.
        remedy: What to do if it denies.
        term: The fact it reads, such as ``adaptations[].corpora``.
        effective_on: From when the provision applies, ``YYYY-MM-DD``; empty for the call's own.
        state: As declared: ``enforced`` or ``shadow``; ``advisory`` for a rule that only warns.
        file: Below the tree.
        row: Of the rule.
    """

    package: str
    code: str
    title: str
    description: str
    citation: str
    remedy: str
    term: str
    effective_on: str
    state: str
    file: str
    row: int

    def state_on(self, day: date, early: frozenset[str] = frozenset()) -> str:
        """Return its state on a day: ``enforced``, ``pending``, ``shadow`` or ``advisory``.

        Args:
            day: The day.
            early: Codes that the operator enforces before the law does.
        """
        begins = self.effective_on
        if self.state == ENFORCED and begins > day.isoformat() and self.code not in early:
            return PENDING
        return self.state


@dataclass(frozen=True, slots=True)
class Package:
    """Title and description of a package, from its METADATA."""

    name: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every rule of a tree, sorted by package and code, and the packages they are in."""

    rules: tuple[Rule, ...]
    packages: Mapping[str, Package]
    early: frozenset[str]

    def of(self, package: str) -> tuple[Rule, ...]:
        """Return the rules of one package."""
        return tuple(rule for rule in self.rules if rule.package == package)


def catalogue(program: Path, policies: Path) -> Catalogue:
    """Read every rule below ``policies``.

    Raises:
        PolicyError: There are no policies, or OPA cannot read them.
    """
    tree.require_policies(policies)
    report = executable.run_json(
        program, "inspect", "--annotations", "--format", "json", ".", folder=policies.absolute()
    )
    rules, packages = list[Rule](), dict[str, Package]()
    for entry in report.get("annotations", ()):
        annotations, path = entry["annotations"], [str(part["value"]) for part in entry["path"]]
        package = _package(path)
        if annotations["scope"] == "package" and package is not None:
            packages.setdefault(package, _introduced(package, annotations))
        elif "code" in annotations.get("custom", {}) and package is not None:
            rules.append(_rule(package, path[-1], annotations, entry["location"]))
    return Catalogue(tuple(sorted(rules, key=_place)), packages, _early(policies))


def _place(rule: Rule) -> tuple[str, list[tuple[int, str]], int]:
    """Return a sort key: numbers in a code compare as numbers, so 5 is before 10."""
    words = re.findall(r"[0-9]+|[^0-9]+", rule.code)
    return rule.package, [(int(w), "") if w.isdigit() else (0, w) for w in words], rule.row


def _package(path: list[str]) -> str | None:
    """Return the package id of a path; None for a package without rules of its own."""
    if path[1] == JURISDICTIONS and len(path) > 2 and not path[2].endswith("_test"):
        return path[2]
    return CALL if path[1] == "admission" else None


def _introduced(package: str, annotations: Mapping[str, Any]) -> Package:
    return Package(
        package, str(annotations.get("title", "")), str(annotations.get("description", ""))
    )


def _rule(
    package: str, head: str, annotations: Mapping[str, Any], location: Mapping[str, Any]
) -> Rule:
    custom = {name: str(value) for name, value in annotations["custom"].items()}
    advisory = head == "warn" or custom["code"] == "waiver_ending"
    return Rule(
        package=package,
        code=custom["code"],
        title=str(annotations.get("title", "")),
        description=" ".join(str(annotations.get("description", "")).split()),
        citation=custom.get("citation", ""),
        remedy=custom.get("remedy", ""),
        term=custom.get("term", ""),
        effective_on=custom.get("effective_on", ""),
        state=ADVISORY if advisory else custom.get("state", ENFORCED),
        file=str(location["file"]),
        row=int(location["row"]),
    )


def _early(policies: Path) -> frozenset[str]:
    path = policies.joinpath(*_EARLY)
    try:
        value = json.loads(path.read_bytes())
    except OSError:
        return frozenset()
    except ValueError as error:
        raise PolicyError(f"{path}: not JSON: {error}") from error
    found = value.get("enforce_early", ()) if isinstance(value, dict) else ()
    return frozenset(code for code in found if isinstance(code, str))
