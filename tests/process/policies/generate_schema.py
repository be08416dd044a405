"""Writes ``policies/schemas/facts.schema.json`` from the types in :mod:`sidecar.core.facts`.

``opa check --schema`` reads it, so that a policy which reads a field that the facts do not have is
an error. Objects are closed and all their fields required; free-form maps (hyperparameters,
metrics) stay open. Run ``python -m tests.process.policies.generate_schema`` after changing a type.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from sidecar.core.facts import Facts
from tests.process.policies.opa import SCHEMAS

PATH = SCHEMAS / "facts.schema.json"


def schema() -> dict[str, Any]:
    """The JSON Schema of OPA's ``input``."""
    generated: dict[str, Any] = _closed(TypeAdapter(Facts).json_schema())
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Facts",
        "description": "The input of the admission policies, generated from the Python types.",
        **generated,
    }


def render() -> str:
    """The schema as it is written."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


def _closed(node: Any) -> Any:
    """Drop titles and descriptions, which repeat the types; close every object with fields."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    properties = node.get("properties")
    kept = {
        key: _closed(value)
        for key, value in node.items()
        if key not in {"title", "description", "properties"}
    }
    if isinstance(properties, dict):
        # Below `properties` the keys are names of fields, never keywords of the schema.
        kept["properties"] = {name: _closed(field) for name, field in properties.items()}
        kept["required"] = sorted(properties)
        kept["additionalProperties"] = False
    return kept


def main() -> None:
    """Write the schema."""
    PATH.write_text(render())


if __name__ == "__main__":
    main()
