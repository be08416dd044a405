"""Write the reference of configuration files from their pydantic models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from admissibility_devtools.site.tables import table
from sidecar.binder.config_file import BinderFile
from sidecar.relay.config import RelayFile
from sidecar.service.config import SidecarConfig
from sidecar.trust.config_file import TrustFile

Schema = dict[str, Any]

SIDECAR_HEAD = """# `sidecar.yaml`

The gate's own configuration: `admit serve --config sidecar.yaml`. Paths are relative to the file's
folder. An unknown key, or a value that is not allowed, ends `admit serve` with one line that names
the key. [For mesh operators](../operators.md) explains how the settings work together.

"""
TRUST_HEAD = """# `trust.yaml`

The operator's list of authorities and of what each may do. Paths are relative to the file's folder.
An unknown key, a key given twice or an empty list is an error, named in one line with its place.
[Whom the gate trusts](../trust.md) explains grants, pinned roots and freshness.

"""
_ONE_LINE = """An unknown key, a key given
twice or a value that is not allowed is an error, named in one line with its place; `--check` reads
the file and runs nothing."""
BINDER_HEAD = f"""# `binder.yaml`

The configuration of `admit binder serve`. Paths are relative to the file's folder. {_ONE_LINE}
[From a job to a manifest](../binder.md) explains how the settings work together.

"""
RELAY_HEAD = f"""# `relay.yaml`

The configuration of `admit relay`. Paths are relative to the file's folder. {_ONE_LINE}
[A relay for many gates](../relay.md) explains how the settings work together.

"""
_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
    "pattern": "`{}`",
}
COLUMNS = ("key", "value", "default", "meaning")


def sidecar_page() -> str:
    """Return the page of ``sidecar.yaml``."""
    return SIDECAR_HEAD + _page(SidecarConfig)


def trust_page() -> str:
    """Return the page of ``trust.yaml``."""
    return TRUST_HEAD + _page(TrustFile)


def binder_page() -> str:
    """Return the page of ``binder.yaml``."""
    return BINDER_HEAD + _page(BinderFile)


def relay_page() -> str:
    """Return the page of ``relay.yaml``."""
    return RELAY_HEAD + _page(RelayFile)


def undescribed(model: type[BaseModel]) -> list[str]:
    """Return the keys that have no description."""
    return [name for name, _, _, text in _rows(model) if not text]


def _page(model: type[BaseModel]) -> str:
    return table(COLUMNS, ((f"`{name}`", *rest) for name, *rest in _rows(model)))


def _rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    schema = model.model_json_schema()
    return list(_walk(schema, schema.get("$defs", {}), ""))


def _walk(schema: Schema, defs: Schema, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield one row for each key of an object, then for those of the objects below it."""
    required = schema.get("required", [])
    for name, found in schema.get("properties", {}).items():
        default = "required" if name in required else _default(found)
        variants = list(_variants(found, defs))
        kinds = ", or ".join(dict.fromkeys(kind for kind in map(_kind, variants) if kind))
        yield prefix + name, kinds, default, found.get("description", "")
        for variant in variants:
            yield from _below(variant, defs, prefix + name)


def _below(variant: Schema, defs: Schema, name: str) -> Iterator[tuple[str, str, str, str]]:
    if "properties" in variant:
        yield from _walk(variant, defs, f"{name}.")
    for inner in _variants(variant.get("items", {}), defs):
        yield from _walk(inner, defs, f"{name}[].")
    named = (variant.get("additionalProperties"), *variant.get("patternProperties", {}).values())
    for values in named:
        for inner in _variants(values, defs) if isinstance(values, dict) else ():
            yield from _walk(inner, defs, f"{name}.NAME.")


def _variants(schema: Schema, defs: Schema) -> Iterator[Schema]:
    """Yield the alternatives of one value, references followed, without null."""
    if "$ref" in schema:
        yield from _variants(defs[schema["$ref"].rpartition("/")[2]], defs)
        return
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is None:
        if schema.get("type") != "null":
            yield schema
        return
    for option in options:
        yield from _variants(option, defs)


def _kind(schema: Schema) -> str:
    """Return a value's kind and limits, as text."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    words = {"object": "mapping", "array": "list", "string": "text", "boolean": "true or false"}
    kind = str(schema.get("format") or schema.get("type", ""))
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    return " ".join([words.get(kind, kind), *[f"({limit})" for limit in limits]])


def _given(value: Any) -> Any:  # noqa: ANN401 - a default is any YAML value
    """Return a value without the keys that are null."""
    if not isinstance(value, dict):
        return value
    return {key: _given(inner) for key, inner in value.items() if inner is not None}


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if value is None or value in ([], {}):
        return ""
    text = yaml.safe_dump(_given(value), default_flow_style=True, width=1000)
    return "`" + text.removesuffix("...\n").strip() + "`"
