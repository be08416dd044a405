"""Restates recorded facts as if an environment had declared other jurisdictions.

Only the facts change: what the structural predicate would ask of the other jurisdictions
(approvals, compliance suites) was proven, or not, before the recording, and is not replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.core.patterns import matches
from sidecar.opa.errors import PolicyError


@dataclass(frozen=True, slots=True)
class AsIf:
    """Other jurisdictions for the environments that a pattern covers."""

    pattern: str
    jurisdictions: tuple[str, ...]


def parse(text: str, known: Iterable[str]) -> AsIf:
    """Parse ``ENVIRONMENT=JURISDICTION,…``.

    Args:
        text: A SPIFFE ID or a pattern of some (``*`` within a segment, ``**`` across), and ids.
        known: The jurisdictions that the policies have a package for.

    Raises:
        PolicyError: It has another form, or names a jurisdiction without a package.
    """
    pattern, _, listed = text.rpartition("=")
    jurisdictions = tuple(dict.fromkeys(part.strip() for part in listed.split(",")))
    if not pattern or not all(jurisdictions):
        raise PolicyError(f"{text!r}: expected ENVIRONMENT=JURISDICTION,… as in spiffe://x/*=eu,uk")
    packages = sorted(known)
    for one in jurisdictions:
        if one not in packages:
            raise PolicyError(
                f"{text!r}: no policy for jurisdiction {one!r}; there are {', '.join(packages)}"
            )
    return AsIf(pattern, jurisdictions)


def chosen(changes: Sequence[AsIf], facts: Mapping[str, Any]) -> AsIf | None:
    """Return the last change that covers the environment of some facts, or None."""
    environment = facts.get("environment")
    name = environment.get("id") if isinstance(environment, Mapping) else None
    if not isinstance(name, str):
        return None
    return next((one for one in reversed(changes) if matches(one.pattern, name)), None)


def restated(change: AsIf, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of facts in which the environment is in the change's jurisdictions."""
    environment = {**facts["environment"], "jurisdictions": list(change.jurisdictions)}
    return {**facts, "environment": environment}
