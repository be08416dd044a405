"""AWS service models (botocore's ``service-2.json``), reduced to what a table has to know."""

from __future__ import annotations

from typing import Any

from tests.contract.operations.openapi import body_of, in_order, parameters_of
from tests.contract.operations.schemas import Schema, Walker

_BODY = ("application/json",)
_PLACES = {"uri": "path", "querystring": "query", "header": "header"}
_KINDS = {
    "blob": {"type": "object"},
    "boolean": {"type": "boolean"},
    "double": {"type": "number"},
    "float": {"type": "number"},
    "integer": {"type": "integer"},
    "long": {"type": "integer"},
    "string": {"type": "string"},
    "timestamp": {"type": "string"},
}


def name(model: Schema) -> str:
    """The endpoint's prefix, by which the services are told apart."""
    prefix: str = model["metadata"]["endpointPrefix"]
    return prefix


def version(model: Schema) -> str:
    """Date of the service's interface."""
    date: str = model["metadata"]["apiVersion"]
    return date


def reduce(models: list[Schema]) -> list[dict[str, Any]]:
    """Every operation of the services, sorted."""
    return in_order([row for model in models for row in _service(model)])


def _service(model: Schema) -> list[dict[str, Any]]:
    shapes = model["shapes"]
    walker = Walker({"shapes": {key: _schema(shape) for key, shape in shapes.items()}})
    rows = []
    for key, operation in model["operations"].items():
        http = operation["http"]
        shape = shapes.get(operation.get("input", {}).get("shape", ""), {"members": {}})
        located = [
            (_PLACES[member["location"]], member.get("locationName", word))
            for word, member in shape["members"].items()
            if member.get("location") in _PLACES
        ]
        rows.append(
            {
                "id": f"{name(model)}.{key}",
                "method": http["method"],
                "path": http["requestUri"].replace("+}", "}"),
                **parameters_of(located, http["method"]),
                **_body(walker, shape),
            }
        )
    return rows


def _body(walker: Walker, shape: Schema) -> dict[str, Any]:
    payload = shape.get("payload")
    if payload is not None:
        schema = {"$ref": f"#/shapes/{shape['members'][payload]['shape']}"}
    else:
        schema = _schema(shape)
    if payload is None and not schema["properties"]:
        return {}
    return body_of(walker, dict.fromkeys(_BODY, schema))


def _schema(shape: Schema) -> Schema:
    """One shape as JSON Schema; members that travel in the path or a header are left out."""
    kind = shape.get("type", "structure")
    if kind == "structure":
        members = {
            word: member for word, member in shape["members"].items() if "location" not in member
        }
        names = {word: member.get("locationName", word) for word, member in members.items()}
        return {
            "type": "object",
            "properties": {
                names[word]: {"$ref": f"#/shapes/{member['shape']}"}
                for word, member in members.items()
            },
            "required": [names[word] for word in shape.get("required", ()) if word in names],
        }
    if kind == "list":
        items = {"$ref": f"#/shapes/{shape['member']['shape']}"}
        return {"type": "array", "items": items, "minItems": shape.get("min", 0)}
    if kind == "map":
        values = {"$ref": f"#/shapes/{shape['value']['shape']}"}
        return {"type": "object", "additionalProperties": values}
    return _KINDS[kind] | ({"enum": shape["enum"]} if "enum" in shape else {})
