"""Writes a new jurisdiction: a rule, its data with a schema, and tests that pass at once.

The rule is complete (annotation, helper, data, test), so that it can be changed into another.
Existing files are never overwritten; the one file that is edited is the data of the jurisdiction
that a new sector belongs to.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.opa import tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.tree import JURISDICTIONS

PARAMS = "params"
SCHEMAS = "schemas"
CASES = "cases.json"
"""For each rule, a change of lawful evidence that breaks it; no part of a bundle."""
_ID = re.compile(r"[a-z][a-z0-9]{0,31}(-[a-z0-9]{1,32}){0,3}")
_PLAIN = re.compile(r"[a-z][a-z0-9]*")
_RESERVED = frozenset({"admission"})
_GENERAL = "general"

_RULES = """\
# METADATA
# title: {title}
# description: >-
#   Say what these rules are drawn from. Each states a necessary condition that evidence can show;
#   that they hold is not compliance.
# schemas:
#   - input: schema["facts.schema"]
#   - data.params{data}: schema["params.{id}.schema"]
package jurisdiction{package}

import data.lib.facts
import data.lib.violation
import data.params{data} as params

# METADATA
# title: The name under which an environment {asks}
id := "{id}"

# METADATA
# title: Somebody answers for the use
# description: >-
#   The environment declares an owner. Whether that owner can answer for it is left to people.
# custom:
#   code: {id}.owner_declared
#   citation: Name the provision
#   remedy: Declare the owner of the environment.
#   term: environment.owner
#   effective_on: "{day}"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {{
	not answered_for
	message := "the environment declares no owner who answers for its use"
}}

answered_for if facts.declared(input.environment.owner, params.undeclared)
"""

_TEST = """\
package jurisdiction{test_package}

import data.jurisdiction{package}{alias}
import data.lib.fixtures_test as fixtures

codes(facts) := {{violation.code | some violation in {name}.deny with input as facts}}

without_param(name) := json.remove(data.params{data}, {{name}})

test_the_package_says_which_jurisdiction_it_is if {name}.id == "{id}"

# Calls that are admitted; each threshold and list decides at least one of them.
admissible := {{fixtures.within(["{jurisdiction}"], "{sector}")}}

test_an_admissible_call_has_no_violation if {{
	every facts in admissible {{
		codes(facts) == set()
	}}
}}

test_an_environment_without_an_owner_is_denied if {{
	codes(fixtures.set("/environment/owner", "")) == {{"{id}.owner_declared"}}
	codes(fixtures.set("/environment/owner", "N/A")) == {{"{id}.owner_declared"}}
}}

test_a_missing_list_denies if {{
	found := codes(fixtures.facts) with data.params{data} as without_param("undeclared")
	found == {{"{id}.owner_declared"}}
}}
"""

_UNDECLARED = ["none", "n/a", "unknown", "unspecified", "tbd"]
_STRINGS = {
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}


@dataclass(frozen=True, slots=True)
class CreatedFiles:
    """Paths relative to the tree: the files created, and the file edited (or None)."""

    id: str
    created: tuple[Path, ...]
    edited: Path | None


def new(policies: Path, jurisdiction: str, day: str, sector: str | None = None) -> CreatedFiles:
    """Write a new jurisdiction, or the package of a sector in one.

    Args:
        policies: The tree.
        jurisdiction: Its id, such as ``uk``.
        day: ``effective_on`` of the first rule, ``YYYY-MM-DD``.
        sector: Such as ``finance``: the package is then ``uk-finance``.

    Raises:
        PolicyError: Not a tree, not an id, something of that name is there, or a sector's
            jurisdiction is not; or a jurisdiction has the name of a sector's package.
    """
    tree.require_policies(policies)
    for name in (jurisdiction, *([] if sector is None else [sector])):
        if name in _RESERVED:
            raise PolicyError(f"{name!r} is the package of the entrypoint; choose another id")
        if not _ID.fullmatch(name):
            raise PolicyError(
                f"{name!r}: expected an id of lower-case letters and digits, parts joined by '-'"
            )
    if sector is None:
        _refuse_sector(policies, jurisdiction)
    name = _package_id(jurisdiction, sector)
    files = _files(jurisdiction, sector, day, _sectors(policies))
    _refuse_existing(policies, tuple(files), name)
    edit = None if sector is None else _assigned(policies, jurisdiction, sector, name)
    for path, text in files.items():
        (policies / path).parent.mkdir(parents=True, exist_ok=True)
        with (policies / path).open("x", encoding="utf-8") as file:
            file.write(text)
    if edit is not None:
        (policies / edit[0]).write_text(edit[1], encoding="utf-8")
    return CreatedFiles(name, tuple(files), None if edit is None else edit[0])


def _refuse_sector(policies: Path, name: str) -> None:
    """Refuse a jurisdiction that has the name of a sector's package: no environment in it calls so.

    Raises:
        PolicyError: Its name is that of a jurisdiction, with a sector of it.
    """
    for at in (match.start() for match in re.finditer("-", name)):
        jurisdiction, sector = name[:at], name[at + 1 :]
        if (policies / PARAMS / jurisdiction).is_dir() and sector in _sectors(policies):
            raise PolicyError(
                f"{name} is the package of the sector {sector} in {jurisdiction}: run `admit "
                f"policy new {jurisdiction} --sector {sector}`; as a jurisdiction of its own it "
                f"would hold for no environment in {jurisdiction}"
            )


def _package_id(jurisdiction: str, sector: str | None) -> str:
    return jurisdiction if sector is None else f"{jurisdiction}-{sector}"


def _refuse_existing(policies: Path, files: tuple[Path, ...], name: str) -> None:
    places = [policies / path for path in files]
    folders = [place.parent for place in places if place.parent.name == name]
    for place in (*folders, *places):
        if place.exists():
            raise PolicyError(f"{place} exists already; nothing was written")


def _files(
    jurisdiction: str, sector: str | None, day: str, sectors: dict[str, None]
) -> dict[Path, str]:
    """Return the text of every new file by its path relative to the tree."""
    name = _package_id(jurisdiction, sector)
    plain = _PLAIN.fullmatch(name) is not None
    words = {
        "id": name,
        "day": day,
        "jurisdiction": jurisdiction,
        "sector": sector or _GENERAL,
        "title": f"The sector {name}" if sector else f"The jurisdiction {name}",
        "asks": "is held to this sector" if sector else "asks for this jurisdiction",
        "package": f".{name}" if plain else f'["{name}"]',
        "data": f".{name}" if plain else f'["{name}"]',
        "test_package": f".{name}_test" if plain else f'["{name}_test"]',
        "alias": "" if plain else f" as {name.replace('-', '_')}",
        "name": name.replace("-", "_"),
    }
    data: dict[str, Any] = {} if sector else {"sectors": sectors}
    data["undeclared"] = _UNDECLARED
    place = Path(JURISDICTIONS) / name
    return {
        place / f"{name}.rego": _RULES.format(**words),
        place / f"{name}_test.rego": _TEST.format(**words),
        place / CASES: _json({f"{name}.owner_declared": {"environment": {"owner": "none"}}}),
        Path(PARAMS) / name / "data.json": _json(data),
        Path(SCHEMAS) / f"params.{name}.schema.json": _json(_schema(name, data)),
    }


def _schema(name: str, data: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {"undeclared": _STRINGS}
    if "sectors" in data:
        entry = {"type": ["string", "null"], "pattern": f"^{name}-[a-z0-9-]+$"}
        properties["sectors"] = {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": entry,
        }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"Data of {name}",
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _sectors(policies: Path) -> dict[str, None]:
    """Return every sector that a jurisdiction of the tree names, each without a package."""
    known: set[str] = {_GENERAL}
    for path in sorted((policies / PARAMS).glob("*/data.json")):
        known |= _read(path).get("sectors", {}).keys()
    return dict.fromkeys(sorted(known))


def _assigned(policies: Path, jurisdiction: str, sector: str, package: str) -> tuple[Path, str]:
    """Return path and new text of a jurisdiction's data that maps the sector to the package."""
    place = Path(PARAMS) / jurisdiction / "data.json"
    path = policies / place
    if not path.is_file():
        raise PolicyError(
            f"{path} does not exist: run `admit policy new {jurisdiction}` before its sectors"
        )
    value = _read(path)
    sectors = value.get("sectors")
    if not isinstance(sectors, dict):
        raise PolicyError(f"{path}: expected an object under sectors")
    if sectors.get(sector) is not None:
        raise PolicyError(f"{path}: sector {sector} has the package {sectors[sector]} already")
    sectors[sector] = package
    text = path.read_text(encoding="utf-8")
    # If the sector has a line of its own, change only that line.
    edited, count = re.subn(rf'("{re.escape(sector)}"\s*:\s*)null', rf'\g<1>"{package}"', text)
    if count != 1 or json.loads(edited) != value:
        edited = _json(value)
    return place, edited


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise PolicyError(f"{path}: not an object")
    return value


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
