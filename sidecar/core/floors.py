"""Combine an environment's declaration with the operator's floors (law 5)."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.evidence import Environment, Evidence
from sidecar.core.grants import OperatorTrust


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is required in an environment: declared, and added by floors.

    Attributes:
        environment: Its SPIFFE ID.
        sector: As declared.
        jurisdictions: The declared ones, then those of the floors; never empty.
        roles: Roles that the floors require of every adapted model.
        sectors: Sectors that floors demand and the declaration does not name; empty where it holds.
    """

    environment: str
    sector: str
    jurisdictions: tuple[str, ...]
    roles: frozenset[str]
    sectors: tuple[str, ...]


def surroundings(operator: OperatorTrust, item: Evidence[Environment]) -> Surroundings:
    """Return what holds in a declared environment; a union that a declaration cannot shrink."""
    name, declared = item.statement.subject.name, item.predicate
    floors = operator.floors_of(name)
    if not floors:
        return Surroundings(name, declared.sector, declared.jurisdictions, frozenset(), ())
    jurisdictions = [*declared.jurisdictions]
    for floor in floors:
        jurisdictions.extend(floor.jurisdictions)
    demanded = {floor.sector for floor in floors if floor.sector is not None}
    return Surroundings(
        environment=name,
        sector=declared.sector,
        jurisdictions=tuple(dict.fromkeys(jurisdictions)),
        roles=frozenset(role for floor in floors for role in floor.roles),
        sectors=tuple(sorted(demanded - {declared.sector})),
    )
