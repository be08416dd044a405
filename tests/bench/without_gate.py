"""The reference configuration less the gate: what the same Envoy does alone.

Only the gate's filter goes, with its settings on the routes, and the seal, which would refuse what
no gate admitted. Everything else (bounds, header rules, credential injection, access log) stays, so
that the difference between two rows is the gate.
"""

from __future__ import annotations

from typing import Any

import yaml

GATE_FILTER, SEAL = "envoy.filters.http.ext_authz", "admissibility.seal"


def without_gate(bootstrap: str) -> str:
    """Take the gate's filter out of a bootstrap.

    Args:
        bootstrap: YAML, as from ``admissibility_devtools.tools.envoy_config.render``.

    Raises:
        ValueError: The filter was not there exactly once; the row would not be what it says.
    """
    config = yaml.load(bootstrap, Loader=yaml.CSafeLoader)
    removed = _strip(config)
    if removed != [GATE_FILTER, SEAL]:
        raise ValueError(f"the configuration has the gate filters {removed}, expected one of each")
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _strip(value: Any) -> list[str]:
    """Remove the filters below ``value``; return their names."""
    removed: list[str] = []
    if isinstance(value, dict):
        value.get("typed_per_filter_config", {}).pop(GATE_FILTER, None)
        chain = value.get("http_filters", [])
        removed = [entry["name"] for entry in chain if entry["name"] in {GATE_FILTER, SEAL}]
        chain[:] = [entry for entry in chain if entry["name"] not in removed]
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for child in children:
            removed += _strip(child)
    return removed
