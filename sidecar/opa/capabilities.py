"""Computes the capabilities of policies: only built-ins that depend on facts and bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sidecar.opa import executable


def deterministic(program: Path) -> dict[str, Any]:
    """Return OPA's capabilities without network, clock, randomness and environment.

    Every built-in function that OPA itself marks as nondeterministic is left out (``http.send``,
    ``time.now_ns``, ``rand.intn``, ``opa.runtime`` and others), and no host may be contacted.

    Raises:
        PolicyError: OPA cannot be run.
    """
    offered: dict[str, Any] = executable.run_json(program, "capabilities", "--current")
    kept = [one for one in offered["builtins"] if not one.get("nondeterministic", False)]
    return {**offered, "builtins": kept, "allow_net": []}


def nondeterministic(program: Path) -> frozenset[str]:
    """Return the names of the built-in functions that ``deterministic`` leaves out.

    Raises:
        PolicyError: OPA cannot be run.
    """
    offered = executable.run_json(program, "capabilities", "--current")["builtins"]
    return frozenset(str(one["name"]) for one in offered if one.get("nondeterministic", False))
