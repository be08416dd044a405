"""Determines whose withdrawals and whose silence count for a question.

An objector is granted any role whose scope overlaps the question. Grants are the operator's, so no
evidence that is lost, rotated or ended makes an objector cease to be one (laws 1 and 4); nor does a
declaration that leaves out its sector or jurisdiction (law 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.core.floors import EffectiveEnvironment
from sidecar.core.grants import EVALUATOR, PRODUCER, Grant, OperatorTrust
from sidecar.core.patterns import any_matches

ANYWHERE = frozenset({EVALUATOR, PRODUCER})
"""Roles that object whatever jurisdictions their grants name, because they also agree there.

Step 4 asks for every suite of an envelope, those of other jurisdictions included, and a parent
needs a producer of any.
"""


@dataclass(frozen=True, slots=True)
class Objectors:
    """Authorities with a grant that overlaps a question, sorted.

    Attributes:
        names: All of them; each must have been heard once.
        must_be_fresh: Those with an overlapping grant whose silence denies.
    """

    names: tuple[str, ...]
    must_be_fresh: tuple[str, ...]


def objectors(
    operator: OperatorTrust,
    effective: EffectiveEnvironment,
    models: frozenset[str],
    *,
    everywhere: bool = False,
) -> Objectors:
    """Return the objectors of a question.

    Args:
        operator: The grants.
        effective: The environment with its floors and everything it was ever declared for.
        models: ``provider/id`` of the models named, their parents and base models; where it is
            empty, the call can reach no model and every model pattern overlaps.
        everywhere: Whether a grant for one of the models is enough, as in the sandbox.
    """
    names, fresh = [], []
    for authority, grants in operator.grants.items():
        matching = [
            each for each in grants if overlaps(each, effective, models, everywhere=everywhere)
        ]
        if matching:
            names.append(authority)
            if any(grant.silence_denies for grant in matching):
                fresh.append(authority)
    return Objectors(tuple(sorted(names)), tuple(sorted(fresh)))


def overlaps(
    grant: Grant,
    effective: EffectiveEnvironment,
    models: frozenset[str],
    *,
    everywhere: bool = False,
) -> bool:
    """Return whether a grant's scope overlaps a question.

    With ``everywhere``, only its models count. A sandbox stands in for all the environments that
    the model is made for, so whoever can object in one of them can object there.
    """
    if everywhere:
        return any(_about(grant, models))
    return (
        any_matches(grant.environments, effective.environment)
        and any(
            any_matches(grant.sectors, sector)
            and (
                grant.role in ANYWHERE
                or any(any_matches(grant.jurisdictions, name) for name in places)
            )
            for sector, places in effective.reach
        )
        and (not models or any(_about(grant, models)))
    )


def about(operator: OperatorTrust, models: frozenset[str]) -> frozenset[str]:
    """Return the grants about any of these models, each as ``authority/number``."""
    return frozenset(
        f"{authority}/{number}"
        for authority, grants in operator.grants.items()
        for number, grant in enumerate(grants)
        if any(_about(grant, models))
    )


def _about(grant: Grant, models: frozenset[str]) -> Iterator[bool]:
    for name in models:
        yield any_matches(grant.models, name) or any_matches(grant.base_models, name)
