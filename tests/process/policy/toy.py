"""A tree of policies small enough to see through: one jurisdiction, one threshold.

The tools are tried on it where the law does not matter, so that a change of the law changes no
test of theirs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.process.policies.opa import CAPABILITIES

DECISION = """\
# METADATA
# scope: package
# title: The call as a whole
package admission

decision := {
	"allow": count(violations) == 0,
	"nonce": input.nonce,
	"revision": data.revision,
	"violations": [one | some one in violations],
	"warnings": [one | some one in data.jurisdiction.xx.warn],
	"jurisdictions": {"xx": {"allow": count(violations) == 0, "violations": []}},
	"lease_seconds": 30,
	"asked": input.subject,
}

violations := data.jurisdiction.xx.deny
"""
RULES = """\
# METADATA
# title: Country X
# description: What the tools are tried on.
package jurisdiction.xx

# METADATA
# title: Enough
# description: The score reaches the floor.
# custom:
#   code: xx.enough
#   citation: Law of X, Article 1 | 2
#   remedy: Score more.
#   term: score
#   effective_on: "2026-01-01"
#   state: enforced
deny contains found("xx.enough") if input.score < data.params.xx.floor

# METADATA
# title: Much
# description: The score is not much above the floor.
# custom:
#   code: xx.much
#   citation: Law of X, Article 3
#   remedy: Nothing to do.
#   term: score
#   effective_on: "2027-01-01"
#   state: enforced
warn contains found("xx.much") if input.score < data.params.xx.floor + 1

found(code) := {"code": code, "jurisdiction": "xx", "subject": input.subject}
"""
SHUT = """\
package system.authz

default allow := false

allow if input.path in [["v1", "data", "admission", "decision"], ["health"]]
"""
STRICTER = """\

# METADATA
# title: Known
# description: The subject is known.
# custom:
#   code: xx.known
#   citation: Law of X, Article 4
#   remedy: Make it known.
#   term: subject
#   effective_on: "2026-01-01"
#   state: shadow
deny contains found("xx.known") if input.subject == "stranger"
"""


def write_toy(folder: Path, *, floor: int = 5, more: str = "") -> Path:
    """Write the tree."""
    files = {
        "admission/decision.rego": DECISION,
        "jurisdiction/xx/xx.rego": RULES + more,
        "params/xx/data.json": f'{{"floor": {floor}}}',
        "system/authz/authz.rego": SHUT,
        "capabilities.json": CAPABILITIES.read_text(),
    }
    return _written(folder, files)


def facts(score: int, subject: str = "model-1") -> dict[str, Any]:
    """What the toy is asked about."""
    return {
        "score": score,
        "subject": subject,
        "nonce": "",
        "environment": {"id": "spiffe://acme.example/env/prod"},
        "request": {"models": [subject]},
    }


FOR_A_GATE = """\
package admission

decision := {
	"allow": count(violations) == 0,
	"nonce": input.nonce,
	"revision": data.revision,
	"violations": violations,
	"warnings": [],
	"jurisdictions": {id: {"allow": count(violations) == 0, "violations": violations} |
		some id in input.environment.jurisdictions
	},
	"lease_seconds": 30,
}

violations := [violation | data.params.xx.shut; some violation in [{
	"code": "xx.shut",
	"jurisdiction": "xx",
	"message": "shut",
}]]
"""


def write_gate_toy(folder: Path, *, shut: bool = False) -> Path:
    """Write a tree that admits whatever the structure admits, or nothing: for a real gate."""
    files = {
        "admission/decision.rego": FOR_A_GATE,
        "jurisdiction/eu/eu.rego": 'package jurisdiction.eu\n\nid := "eu"\n',
        "params/xx/data.json": f'{{"shut": {str(shut).lower()}}}',
        "system/authz/authz.rego": SHUT,
        "capabilities.json": CAPABILITIES.read_text(),
    }
    return _written(folder, files)


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
