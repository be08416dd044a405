"""Assign authorities to roles by a complete search: none fills two.

One authority, and one key, fills one role. A *slot* is something to be filled (the producer, a
suite's evaluator, a role in one jurisdiction) and has options, best first. Only names that occur
under several roles constrain the choice, and they are few: the operator's grants bound them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sidecar.core.evidence import Signer
from sidecar.core.reasons import Reason

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer(Generic[T]):
    """One signer's evidence for a slot."""

    signer: Signer
    item: T

    @property
    def names(self) -> tuple[str, str]:
        """The two names that fill one role each: the authority's and the key's."""
        return self.signer.authority, self.signer.fingerprint


@dataclass(frozen=True, slots=True)
class Slot(Generic[T]):
    """Something that a role must fill, and what is offered for it, best first."""

    role: str
    offers: tuple[Offer[T], ...]


def given(found: Mapping[K, tuple[Offer[T], ...] | Reason]) -> dict[K, tuple[Offer[T], ...]]:
    """Return the slots for which there are offers."""
    return {at: offers for at, offers in found.items() if not isinstance(offers, Reason)}


def assign(slots: Sequence[Slot[T]]) -> tuple[Offer[T], ...] | None:
    """Return an offer for each slot so that no name fills two roles, or ``None``.

    The search is complete. Within one role, an offer that fills several slots is preferred.
    """
    if not all(slot.offers for slot in slots):
        return None
    contested = _contested(slots)
    roles = _solve(slots, sorted(contested), contested, {}) if contested else {}
    if roles is None:
        return None
    taken: set[tuple[str, int]] = set()
    chosen: list[Offer[T]] = []
    for slot in slots:
        allowed = slot.offers
        if roles:
            allowed = tuple(o for o in slot.offers if _allowed(o, slot.role, roles))
        offer = next((o for o in allowed if (slot.role, id(o.item)) in taken), allowed[0])
        taken.add((slot.role, id(offer.item)))
        chosen.append(offer)
    return tuple(chosen)


def _contested(slots: Sequence[Slot[T]]) -> dict[str, tuple[str, ...]]:
    """Return the names offered under several roles, with those roles in the order of the slots."""
    found: dict[str, dict[str, None]] = {}
    for slot in slots:
        for offer in slot.offers:
            for name in offer.names:
                found.setdefault(name, {})[slot.role] = None
    return {name: tuple(roles) for name, roles in found.items() if len(roles) > 1}


def _solve(
    slots: Sequence[Slot[T]],
    names: list[str],
    contested: Mapping[str, tuple[str, ...]],
    roles: dict[str, str],
) -> dict[str, str] | None:
    """Give each contested name one role, depth first; leave a branch once a slot is empty."""
    if not all(any(_allowed(o, slot.role, roles) for o in slot.offers) for slot in slots):
        return None
    if not names:
        return roles
    name, rest = names[0], names[1:]
    for role in contested[name]:
        found = _solve(slots, rest, contested, {**roles, name: role})
        if found is not None:
            return found
    return None


def _allowed(offer: Offer[T], role: str, roles: Mapping[str, str]) -> bool:
    return all(roles.get(name, role) == role for name in offer.names)
