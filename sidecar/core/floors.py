"""Combines an environment's declarations with the operator's floors (law 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.evidence import Evidence
from sidecar.core.grants import OperatorTrust
from sidecar.core.predicates import Environment


@dataclass(frozen=True, slots=True)
class EffectiveEnvironment:
    """What is required in an environment: declared, and added by floors.

    Attributes:
        environment: Its SPIFFE ID.
        sector: As declared.
        jurisdictions: The declared ones, then those of the floors; never empty.
        roles: Roles that the floors require of every adapted model.
        unmet_sectors: Those that floors demand and the declaration does not name.
        reach: Sector → jurisdictions that the environment was ever declared for or a floor adds.
            An authority granted any of it can object; the declared sector comes first.
    """

    environment: str
    sector: str
    jurisdictions: tuple[str, ...]
    roles: frozenset[str]
    unmet_sectors: tuple[str, ...]
    reach: tuple[tuple[str, tuple[str, ...]], ...]


def effective_environment(
    operator: OperatorTrust, item: Evidence[Environment], known: Iterable[tuple[str, str]] = ()
) -> EffectiveEnvironment:
    """Return what holds in a declared environment; a union that a declaration cannot shrink.

    Args:
        operator: The floors.
        item: The declaration.
        known: (sector, jurisdiction) of everything the environment was ever declared for.
    """
    name, declared = item.statement.subject.name, item.predicate
    floors = operator.floors_of(name)
    added = tuple(place for floor in floors for place in floor.jurisdictions)
    jurisdictions = tuple(dict.fromkeys((*declared.jurisdictions, *added)))
    reach = {declared.sector: dict.fromkeys(jurisdictions)}
    for sector, place in known:
        reach.setdefault(sector, dict.fromkeys(added))[place] = None
    demanded = {floor.sector for floor in floors if floor.sector is not None}
    return EffectiveEnvironment(
        environment=name,
        sector=declared.sector,
        jurisdictions=jurisdictions,
        roles=frozenset(role for floor in floors for role in floor.roles),
        unmet_sectors=tuple(sorted(demanded - {declared.sector})),
        reach=tuple((sector, tuple(places)) for sector, places in reach.items()),
    )
