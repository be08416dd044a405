"""Write the compatibility table: formats and interfaces by release."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from admissibility_devtools.site.tables import table
from admissibility_devtools.tools import pins
from sidecar.core import documents, predicates
from sidecar.core.verdict import Verdict
from sidecar.registry import record
from sidecar.trust.config_file import TrustFile

ROOT = Path(__file__).resolve().parents[3]
CURRENT = "unreleased"
Column = dict[str, str]

RELEASES = Path(__file__).with_name("releases.json")
"""Release → its column as it was, newest first; :func:`current` is added there at a release."""

HEAD = """# Compatibility

The formats and interfaces of each release. Two releases with the same value in a row understand
each other there. A digest is the SHA-256 of the schema, cut to 12 digits.

"""
NOTES = """
## Upgrading

- **Gate and policies are of one release.** The facts are what policies read. A bundle written for
  other facts denies with `facts_malformed`, so upgrade the policies together with the gate.
- **Evidence stays valid.** A predicate type gets a new version when its meaning changes. Unknown
  fields are ignored; a name in `critical` that the gate does not know is refused.
- **Envoy's mutation rules**: since 0.1.0 the gate also removes `x-environment-specification`.
  Without `x-environment-(credential|specification)` in `allow_expression`, as in the reference
  configurations, Envoy answers such a tuning job with 500.
- **Keep the state folder** of `trust.yaml`: it holds the highest versions seen, without which a
  source could offer older metadata.
- **Going back to 0.1.0**: it looks for the highest versions in other files of the state folder
  than later gates write, and finds none. A source that offers an authority's publication from
  before a withdrawal is then taken at its word. So go back only where the sources are current:
  compare the versions that `admit status` shows before and after.
- **A newer `grpcio` than the lock file's**: where its binding to gRPC's core has changed, the log
  says `grpc.aio serves`, and a call costs the gate two to three times the processor time.
- `admit policy diff` does not compare lines of a facts log written by another release; it prints
  how many lines it left out.
"""


def page() -> str:
    """Return the page: one row for each format, one column for each release, newest first."""
    columns: dict[str, Column] = {CURRENT: current(), **json.loads(RELEASES.read_text("utf-8"))}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [(name, *_cells(name, list(columns.items()))) for name in names]
    return HEAD + table(("", *columns), rows) + NOTES


def _cells(name: str, columns: list[tuple[str, Column]]) -> Iterator[str]:
    """Yield one row's cells; a value that did not change since the release before names it."""
    for number, (_, column) in enumerate(columns):
        value = column.get(name, "—")
        release, earlier = columns[number + 1] if number + 1 < len(columns) else ("", {})
        yield f"as in {release}" if earlier.get(name) == value else value


def current() -> Column:
    """Return the column of the code as it is now."""
    return {
        "Facts (OPA's `input`)": _digest(ROOT / "policies/schemas/facts.schema.json"),
        "Policy answer": _code(field.name for field in dataclasses.fields(Verdict)),
        "Evidence": _code(sorted(_predicate_types())),
        "Repository documents": _code(sorted(_document_types())),
        "Registrations": _code([record.TYPE]),
        "`trust.yaml`": _code(["version: " + str(_only(TrustFile, "version"))]),
        "Envoy's API": _code(sorted(_services())),
        "Tested with": f"Envoy {pins.ENVOY}, OPA {pins.OPA}",
        "Python": _python(),
    }


def _predicate_types() -> set[str]:
    prefixes = ("urn:admissibility:", "https://in-toto.io/attestation/")
    values = vars(predicates).values()
    return {value for value in values if isinstance(value, str) and value.startswith(prefixes)}


def _document_types() -> set[str]:
    kinds = [kind for kind in vars(documents).values() if dataclasses.is_dataclass(kind)]
    hints = [get_type_hints(kind) for kind in kinds if isinstance(kind, type)]
    return {value for hint in hints if "type" in hint for value in get_args(hint["type"])}


def _services() -> set[str]:
    """Return the gRPC services that the gate implements."""
    found = set()
    for path in (ROOT / "proto").glob("*.proto"):
        text = path.read_text("utf-8")
        package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
        service = re.search(r"^service (\w+) ", text, re.MULTILINE)
        if package and service:
            found.add(f"{package[1]}.{service[1]}")
    return found


def _only(model: type[TrustFile], field: str) -> object:
    (value,) = get_args(model.model_fields[field].annotation)
    return value


def _python() -> str:
    found = re.search(r'^requires-python = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    return found[1] if found else ""


def _digest(path: Path) -> str:
    return _code([hashlib.sha256(path.read_bytes()).hexdigest()[:12]])


def _code(names: Iterable[str]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)
