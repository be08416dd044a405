"""Draws of a generator: what customers specify, regulators waive, and the operator configures."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.support.laws import universe
from tests.support.laws.history import Regrant, SetFloors
from tests.support.laws.nouns import Floor, Item, Specification, Waiver
from tests.support.laws.universe import EVERYWHERE

if TYPE_CHECKING:
    from tests.support.laws.generate import Author


def specify(author: Author) -> None:
    """Sign a specification anew, or one that extends or (invalidly) narrows another."""
    older = _specification(author)
    content = older.content if older is not None else universe.SPECIFICATION
    assert isinstance(content, Specification)
    place = content.places[0]
    changed = author.rng.choice(
        (
            replace(place, operations=(*place.operations, "batches")),
            replace(place, jurisdictions=("eu",)),
            place,
        )
    )
    extends = None if older is None else author.rng.choice((older.digest, older.digest, None))
    new = replace(content, places=(changed,), extends=extends, span=author.span())
    author.say(new, author.one_of(author.made.approvers["customer"]))


def waive(author: Author) -> None:
    """Structure cannot be waived: this changes nothing, whoever signs it."""
    environment = author.rng.choice(sorted(author.run.world.credentials))
    rule = author.rng.choice(("withdrawn", "eu-art-50"))
    where = author.rng.choice(EVERYWHERE)
    who = author.one_of(author.made.approvers["regulator"])
    author.say(Waiver(environment, rule, where, author.span()), who)


def regrant(author: Author) -> None:
    who = author.one_of(sorted(author.run.world.published))
    now = author.run.world.operator.grants.get(who, ())
    if not now or author.rng.random() < 0.4:
        changed = () if now else universe.grants(Random(1)).get(who, ())
    else:
        where = author.rng.choice((("**",), ("eu",), ("us",)))
        changed = tuple(replace(grant, jurisdictions=where) for grant in now)
    if changed != now:
        author.queue.append(Regrant(who, changed))


def floors(author: Author) -> None:
    author.queue.append(
        SetFloors(
            author.rng.choice(
                (
                    (),
                    (Floor((universe.DUAL,), ("us",)),),
                    (Floor(("spiffe://acme.example/**",), ("eu",), None, ("auditor",)),),
                    (Floor((universe.PROD,), (), "health"),),
                )
            )
        )
    )


def _specification(author: Author) -> Item | None:
    found = [f for f in author.run.world.files if isinstance(f.content, Specification)]
    return author.rng.choice(found) if found else None
