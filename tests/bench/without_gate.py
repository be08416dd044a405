"""The reference configuration less the gate: what the same Envoy does alone.

Only the gate's filter goes, with its settings on the routes. Everything else (bounds, header rules,
credential injection, access log) stays, so that the difference between two rows is the gate.
"""

from __future__ import annotations

from typing import Any

import yaml

GATE_FILTER = "envoy.filters.http.ext_authz"


def without_gate(bootstrap: str) -> str:
    """Take the gate's filter out of a bootstrap.

    Args:
        bootstrap: YAML, as from ``admissibility_devtools.tools.envoy_config.render``.

    Raises:
        ValueError: The filter was not there exactly once; the row would not be what it says.
    """
    config = yaml.safe_load(bootstrap)
    removed = _strip(config)
    if removed != 1:
        raise ValueError(f"the configuration has {removed} gate filters, expected 1")
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def _strip(value: Any) -> int:
    """Remove the filter below ``value``; return how often it was there."""
    removed = 0
    if isinstance(value, dict):
        value.get("typed_per_filter_config", {}).pop(GATE_FILTER, None)
        chain = value.get("http_filters", [])
        kept = [entry for entry in chain if entry["name"] != GATE_FILTER]
        removed = len(chain) - len(kept)
        chain[:] = kept
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        removed += sum(_strip(child) for child in children)
    return removed
