"""Defines the operator's grants and floors, which no authority can declare for itself.

A grant without patterns would cover nothing, or, read carelessly, everything; so every list must
be written out, and ``**`` is the pattern for "all".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sidecar.core.patterns import any_matches

PRODUCER = "producer"
EVALUATOR = "evaluator"
PROVIDER = "provider"
CUSTOMER = "customer"
REGULATOR = "regulator"

ALWAYS_REQUIRED = (PROVIDER, CUSTOMER, REGULATOR)
"""Roles every adapted model needs, whatever the manifest or the operator says (composite)."""


SILENCE_DENIES = (REGULATOR, CUSTOMER, PROVIDER)
"""Roles whose grants deny on silence unless the operator sets ``silence`` otherwise."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a decision, which a grant must cover.

    ``model`` is ``provider/id``, or ``None`` where no model is concerned (an environment's own
    declaration).
    """

    environment: str
    sector: str
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One role and where it holds; all but the role are patterns.

    Attributes:
        role: ``producer``, ``evaluator``, ``provider``, ``customer``, ``regulator`` or another
            approving role.
        jurisdictions: e.g. ``eu``.
        sectors: e.g. ``finance``.
        models: Over ``provider/id``.
        environments: Over SPIFFE IDs.
        base_models: Over ``provider/id``: base models this provider answers for. Only for the
            provider role.
        trust_domains: SPIFFE trust domains whose roots this authority publishes; exact names. Only
            for the customer role.
        sandbox: Over SPIFFE IDs: environments from which this evaluator may call a model before it
            is active. Only for the evaluator role.
        of_record: It attests what the provider's API said; the provider does not sign for itself.
        silence: Whether an authority that cannot be heard ``denies`` decisions in the grant's
            scope, or is ``ignored`` there unless it signed what they rest on; by role if ``None``.
    """

    role: str
    jurisdictions: tuple[str, ...]
    sectors: tuple[str, ...]
    models: tuple[str, ...]
    environments: tuple[str, ...]
    base_models: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()
    sandbox: tuple[str, ...] = ()
    of_record: bool = False
    silence: Literal["denies", "ignored"] | None = None

    @property
    def silence_denies(self) -> bool:
        """Whether the authority must be fresh where it is only an objector."""
        if self.silence is None:
            return self.role in SILENCE_DENIES
        return self.silence == "denies"

    def covers(self, role: str, scope: Scope, jurisdictions: tuple[str, ...] = ()) -> bool:
        """Return whether the grant holds for ``role`` in ``scope`` and every jurisdiction given."""
        return (
            role == self.role
            and (scope.model is None or any_matches(self.models, scope.model))
            and any_matches(self.environments, scope.environment)
            and any_matches(self.sectors, scope.sector)
            and all(any_matches(self.jurisdictions, name) for name in jurisdictions)
        )


@dataclass(frozen=True, slots=True)
class Floor:
    """What holds in some environments whatever their customer declares.

    Attributes:
        environments: Patterns over SPIFFE IDs.
        jurisdictions: Added to the declared ones.
        roles: Added to the required roles.
        sector: The declared sector must equal it; any sector if ``None``.
    """

    environments: tuple[str, ...]
    jurisdictions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    sector: str | None = None


@dataclass(frozen=True, slots=True)
class OperatorTrust:
    """The operator's configuration: grants by authority, required roles, floors.

    Attributes:
        grants: Authority name → its grants.
        required_roles: Roles required of every adapted model.
        jurisdiction_roles: Jurisdiction → further roles it asks for.
        floors: Each holds in every environment that it matches; several add up.
        adapted_names: Matches the names that providers give to adapted models, in full. Without
            the rule no name is taken for that of a base model.
        specified: Whether every manifest must name the specification that it was tuned under.
    """

    grants: Mapping[str, tuple[Grant, ...]]
    required_roles: tuple[str, ...] = ()
    jurisdiction_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    floors: tuple[Floor, ...] = ()
    adapted_names: re.Pattern[str] | None = None
    specified: bool = False

    def floors_of(self, environment: str) -> tuple[Floor, ...]:
        """Return the floors that hold in ``environment``."""
        return tuple(each for each in self.floors if any_matches(each.environments, environment))

    def of(self, authority: str) -> tuple[Grant, ...]:
        """Return the grants of one authority; none where the operator does not know it."""
        return self.grants.get(authority, ())

    def base_model_grantees(
        self, provider: str, base: str, scope: Scope, jurisdictions: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the providers that answer for a base model in a scope, sorted.

        Empty for the name of an adapted model, however wide a pattern is: where a provider answers
        for ``openai/**`` and a customer lists ``*``, every adapted model without a manifest would
        otherwise pass as a base model, with nobody's approval.
        """
        if self.adapted_names is None or self.adapted_names.fullmatch(base):
            return ()
        return tuple(
            sorted(
                name
                for name, grants in self.grants.items()
                if any(
                    grant.covers(PROVIDER, scope, jurisdictions)
                    and any_matches(grant.base_models, f"{provider}/{base}")
                    for grant in grants
                )
            )
        )
