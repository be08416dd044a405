"""Writes the operator's configuration as a record of the store, for the processes that read it.

A state and the configuration that it follows from belong together: readers of the store take both
from one transaction, so that a changed ``trust.yaml`` is never combined with tables of the one
before.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from sidecar.core.grants import Floor, Grant, OperatorTrust

_GRANTS: TypeAdapter[dict[str, tuple[Grant, ...]]] = TypeAdapter(dict[str, tuple[Grant, ...]])
_FLOORS: TypeAdapter[tuple[Floor, ...]] = TypeAdapter(tuple[Floor, ...])
_WHOLE: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def write(operator: OperatorTrust) -> bytes:
    """Write it as JSON."""
    names = operator.adapted_names
    return _WHOLE.dump_json(
        {
            "grants": _GRANTS.dump_python({**operator.grants}, mode="json"),
            "required_roles": operator.required_roles,
            "jurisdiction_roles": {**operator.jurisdiction_roles},
            "floors": _FLOORS.dump_python(operator.floors, mode="json"),
            "adapted_names": None if names is None else [names.pattern, names.flags],
            "specified": operator.specified,
        }
    )


def read(data: bytes) -> OperatorTrust:
    """Read it.

    Raises:
        ValueError: It is not what ``write`` writes.
    """
    value = _WHOLE.validate_json(data)
    names = value["adapted_names"]
    return OperatorTrust(
        grants=MappingProxyType(_GRANTS.validate_python(value["grants"])),
        required_roles=tuple(value["required_roles"]),
        jurisdiction_roles=MappingProxyType(
            {name: tuple(roles) for name, roles in value["jurisdiction_roles"].items()}
        ),
        floors=_FLOORS.validate_python(value["floors"]),
        adapted_names=None if names is None else re.compile(names[0], names[1]),
        specified=value["specified"],
    )
