"""The operator's grants, required roles and floors, from the entries of ``trust.yaml``.

A requirement that no authority could ever fill is a mistake: it would deny everything, and is found
here rather than at the first call. A requirement for an environment that cannot exist is one too: a
misspelt name would silently require nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from sidecar.core.grants import (
    ALWAYS_REQUIRED,
    CUSTOMER,
    EVALUATOR,
    PROVIDER,
    REGULATOR,
    Floor,
    Grant,
    OperatorTrust,
)
from sidecar.core.patterns import any_covers, any_matches, matches
from sidecar.providers import ADAPTED_NAMES, canonical_name
from sidecar.trust.config_file import AuthorityEntry, FileError, FloorEntry, GrantEntry, TrustFile

_Grants = Mapping[str, tuple[Grant, ...]]
_BEFORE_PATH = 3
"""Slashes of a SPIFFE ID up to its path."""


def operator_trust(file: TrustFile) -> OperatorTrust:
    """Return the operator's configuration.

    Raises:
        FileError: A key that the role does not have, a requirement that nobody is granted, a trust
            domain of two authorities, floors that require nothing or contradict each other,
            requirements of a jurisdiction or environment that there is not, or a grant for names
            that no call has.
    """
    grants: _Grants = MappingProxyType(
        {
            entry.name: tuple(
                _grant(grant, f"authorities.{number}.grants.{index}")
                for index, grant in enumerate(entry.grants)
            )
            for number, entry in enumerate(file.authorities)
        }
    )
    _check_trust_domains(file.authorities)
    required = tuple(file.required_roles or ())
    by_jurisdiction = {n: tuple(j.required_roles) for n, j in file.jurisdictions.items()}
    floors = tuple(_floor(entry, f"floors.{n}") for n, entry in enumerate(file.floors or ()))
    _check_sectors(floors)
    held = {grant.role for each in grants.values() for grant in each}
    for role in (
        *ALWAYS_REQUIRED,
        *required,
        *(r for each in by_jurisdiction.values() for r in each),
        *(r for floor in floors for r in floor.roles),
    ):
        if role not in held:
            raise FileError(
                f"authorities: none is granted the role {role!r}, which is required; "
                "nothing could ever be admitted"
            )
    _check_regulated(floors, by_jurisdiction, grants)
    _check_environments(floors, grants)
    _check_models(grants)
    return OperatorTrust(
        grants,
        required,
        MappingProxyType(by_jurisdiction),
        floors,
        ADAPTED_NAMES,
        specified=file.specification == "required",
    )


def _grant(entry: GrantEntry, place: str) -> Grant:
    for name, role, given in (
        ("base_models", PROVIDER, entry.base_models is not None),
        ("of_record", PROVIDER, entry.of_record),
        ("trust_domains", CUSTOMER, entry.trust_domains is not None),
        ("sandbox", EVALUATOR, entry.sandbox is not None),
    ):
        if given and entry.role != role:
            raise FileError(
                f"{place}.{name}: only the role {role!r} has it; move it or leave it out"
            )
    return Grant(
        role=entry.role,
        jurisdictions=tuple(entry.jurisdictions),
        sectors=tuple(entry.sectors),
        models=tuple(entry.models),
        environments=tuple(entry.environments),
        base_models=tuple(entry.base_models or ()),
        trust_domains=tuple(entry.trust_domains or ()),
        sandbox=tuple(entry.sandbox or ()),
        of_record=entry.of_record,
        silence=entry.silence,
    )


def _floor(entry: FloorEntry, place: str) -> Floor:
    if not (entry.jurisdictions or entry.roles or entry.sector):
        raise FileError(f"{place}: requires nothing; give it jurisdictions, a sector or roles")
    for name in entry.jurisdictions or ():
        if "*" in name:
            raise FileError(
                f"{place}.jurisdictions: {name!r} is a pattern; a floor names its jurisdictions"
            )
    if entry.sector is not None and "*" in entry.sector:
        raise FileError(f"{place}.sector: {entry.sector!r} is a pattern; a floor names its sector")
    return Floor(
        environments=tuple(entry.environments),
        jurisdictions=tuple(entry.jurisdictions or ()),
        roles=tuple(entry.roles or ()),
        sector=entry.sector,
    )


def _check_sectors(floors: tuple[Floor, ...]) -> None:
    """Refuse two sectors for one pattern: no declaration could meet both."""
    sectors: dict[str, tuple[int, str]] = {}
    for number, floor in enumerate(floors):
        for pattern in floor.environments if floor.sector is not None else ():
            assert floor.sector is not None
            first, sector = sectors.setdefault(pattern, (number, floor.sector))
            if sector != floor.sector:
                raise FileError(
                    f"floors.{number}.sector: {floor.sector!r}, but floors.{first} requires "
                    f"{sector!r} of {pattern} too; no environment can meet both"
                )


def _check_regulated(
    floors: tuple[Floor, ...], by_jurisdiction: Iterable[str], grants: _Grants
) -> None:
    """Refuse requirements of a jurisdiction without a regulator: every jurisdiction has one."""
    named = [(f"jurisdictions.{name}", name) for name in by_jurisdiction]
    for number, floor in enumerate(floors):
        named.extend((f"floors.{number}.jurisdictions", name) for name in floor.jurisdictions)
    for place, name in named:
        if not any(any_matches(grant.jurisdictions, name) for grant in _regulators(grants)):
            raise FileError(
                f"{place}: no authority is granted the role {REGULATOR!r} for {name!r}; nothing "
                "could be admitted there"
            )


def _check_environments(floors: tuple[Floor, ...], grants: _Grants) -> None:
    """Refuse a pattern of a floor or a grant that matches nothing in a granted trust domain.

    A floor would require nothing, and an authority could object to nothing.
    """
    domains = sorted({d for _, grant in _each(grants) for d in grant.trust_domains})
    places = [(f"floors.{n}.environments", floor.environments) for n, floor in enumerate(floors)]
    for place, grant in _each(grants):
        places += [(f"{place}.environments", grant.environments)]
        places += [(f"{place}.sandbox", grant.sandbox)]
    for place, patterns in places if domains else ():
        for pattern in patterns:
            if not any(_may_match(pattern, domain) for domain in domains):
                raise FileError(
                    f"{place}: {pattern!r} matches no environment: trust domains are granted for "
                    f"{', '.join(domains)}; correct it or grant its"
                )


def _may_match(pattern: str, domain: str) -> bool:
    """Return whether a pattern over SPIFFE IDs can match one of a trust domain."""
    literal, across, _ = pattern.partition("**")
    if across and literal.count("/") < _BEFORE_PATH:
        begin = literal.partition("*")[0]
        return f"spiffe://{domain}/".startswith(begin)
    *before, path = pattern.split("/", _BEFORE_PATH)
    return bool(path) and matches("/".join(before), f"spiffe://{domain}")


def _check_models(grants: _Grants) -> None:
    """Refuse a grant for another name of a model than calls have: it would match none."""
    for place, grant in _each(grants):
        for key, patterns in (("models", grant.models), ("base_models", grant.base_models)):
            for pattern in patterns:
                name = canonical_name(pattern)
                if name != pattern and not any_covers(patterns, name):
                    raise FileError(f"{place}.{key}: {pattern!r} is {name!r} to calls; list that")


def _each(grants: _Grants) -> Iterator[tuple[str, Grant]]:
    """Yield every grant with its place in the file."""
    for number, held in enumerate(grants.values()):
        for index, grant in enumerate(held):
            yield f"authorities.{number}.grants.{index}", grant


def _regulators(grants: _Grants) -> Iterator[Grant]:
    return (grant for each in grants.values() for grant in each if grant.role == REGULATOR)


def _check_trust_domains(entries: list[AuthorityEntry]) -> None:
    owners: dict[str, str] = {}
    for entry in entries:
        for domain in (d for grant in entry.grants for d in grant.trust_domains or ()):
            other = owners.setdefault(domain, entry.name)
            if other != entry.name:
                raise FileError(
                    f"authorities: the trust domain {domain} is granted to both {other} and "
                    f"{entry.name}; one authority answers for a trust domain"
                )
