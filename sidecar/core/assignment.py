"""Assigns authorities to roles by a complete search: none fills two.

One authority, and one key, fills one role. A *slot* is something to be filled (the producer, a
suite's evaluator, a role in one jurisdiction) and has options, best first. Only names that occur
under several roles constrain the choice, and they are few: the operator's grants bound them.

Where such a name could fill either of two roles, each is an assignment of its own. All evidence
that one assignment leaves to a role counts together; that of two does not, because one authority
would then speak in both roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True, slots=True)
class Assignment(Generic[T]):
    """A role for each contested name, with what that leaves to each slot.

    Attributes:
        chosen: An offer for each slot. Within one role, one that fills several is preferred.
        counting: For each slot, every offer whose names fill no other role; never empty.
    """

    chosen: tuple[Offer[T], ...]
    counting: tuple[tuple[Offer[T], ...], ...]


def assignments(slots: Sequence[Slot[T]]) -> Iterator[Assignment[T]]:
    """Yield every assignment in which no name fills two roles; the search is complete.

    Names are decided in their order, each for the roles in the order of the slots.
    """
    contested = _contested(slots)
    if not contested:
        counting = tuple([slot.offers for slot in slots])
        if all(counting):
            yield Assignment(_chosen(slots, counting), counting)
        return
    for roles in _solve(slots, sorted(contested), contested, {}):
        counting = tuple(
            tuple(o for o in slot.offers if _allowed(o, slot.role, roles)) for slot in slots
        )
        yield Assignment(_chosen(slots, counting), counting)


def _chosen(
    slots: Sequence[Slot[T]], counting: tuple[tuple[Offer[T], ...], ...]
) -> tuple[Offer[T], ...]:
    taken: set[tuple[str, int]] = set()
    chosen: list[Offer[T]] = []
    for slot, offers in zip(slots, counting, strict=True):
        offer = next((o for o in offers if (slot.role, id(o.item)) in taken), offers[0])
        taken.add((slot.role, id(offer.item)))
        chosen.append(offer)
    return tuple(chosen)


def _contested(slots: Sequence[Slot[T]]) -> dict[str, tuple[str, ...]]:
    """Return the names offered under several roles, with those roles in the order of the slots.

    A key that one authority alone signs with is no name of its own: what fills a role by it does
    so by the authority, and to decide the same twice would only repeat assignments.
    """
    found: dict[str, dict[str, None]] = {}
    for slot in slots:
        for offer in slot.offers:
            for name in offer.names:
                found.setdefault(name, {})[slot.role] = None
    contested = {name: tuple(roles) for name, roles in found.items() if len(roles) > 1}
    return contested and _without_lone_keys(slots, contested)


def _without_lone_keys(
    slots: Sequence[Slot[T]], contested: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    holders: dict[str, set[str]] = {}
    for slot in slots:
        for offer in slot.offers:
            holders.setdefault(offer.signer.fingerprint, set()).add(offer.signer.authority)
    authorities = set[str]().union(*holders.values())
    lone = {key for key, names in holders.items() if len(names) == 1} - authorities
    return {name: roles for name, roles in contested.items() if name not in lone}


def _solve(
    slots: Sequence[Slot[T]],
    names: list[str],
    contested: Mapping[str, tuple[str, ...]],
    roles: dict[str, str],
) -> Iterator[dict[str, str]]:
    """Give each contested name one role, depth first; leave a branch that fills no more."""
    if not _can_be_filled(slots, roles):
        return
    if not names:
        yield roles
        return
    name, rest = names[0], names[1:]
    for role in contested[name]:
        yield from _solve(slots, rest, contested, {**roles, name: role})


def _can_be_filled(slots: Sequence[Slot[T]], roles: Mapping[str, str]) -> bool:
    """Return false only where the authorities alone leave some slot without an offer.

    An authority on which a slot depends is its role's, and no other role's. Of what that leaves,
    the scarcest slots of the roles must have an authority each. Otherwise a search in which two
    roles depend on one authority would try every role of all others before it finds that out.
    """
    needed = dict[str, str]()
    left: dict[str, frozenset[str]] = {}
    growing = True
    while growing:
        growing, left = False, {}
        for slot in slots:
            able = frozenset(
                offer.signer.authority
                for offer in slot.offers
                if _allowed(offer, slot.role, roles)
                and needed.get(offer.signer.authority, slot.role) == slot.role
            )
            if not able:
                return False
            if len(able) == 1 and not able <= needed.keys():
                needed |= dict.fromkeys(able, slot.role)
                growing = True
            if slot.role not in left or len(able) < len(left[slot.role]):
                left[slot.role] = able
    taken: dict[str, str] = {}
    return all(_find(role, left, taken, set()) for role in left)


def _find(
    role: str, able: Mapping[str, frozenset[str]], taken: dict[str, str], tried: set[str]
) -> bool:
    """Find an authority for a role, moving others if needed (augmenting paths, Kuhn 1955).

    Args:
        role: The role.
        able: Role → authorities that can fill it.
        taken: Authority → the role that it fills; changed.
        tried: Authorities that were looked at for this role; changed.
    """
    for name in sorted(able[role] - tried):
        tried.add(name)
        if name not in taken or _find(taken[name], able, taken, tried):
            taken[name] = role
            return True
    return False


def _allowed(offer: Offer[T], role: str, roles: Mapping[str, str]) -> bool:
    return all(roles.get(name, role) == role for name in offer.names)
