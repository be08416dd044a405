"""Waivers that policies may read: no step depends on them, so every doubt drops one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.support.laws.cascade import Noes
from tests.support.laws.nouns import Item, Waiver
from tests.support.laws.reading import Reading


def usable(
    reading: Reading, sector: str, asked: Iterable[str], counted: Iterable[str]
) -> Iterator[str]:
    """Digests of the environment's waivers that a regulator of the jurisdiction stands by.

    ``counted`` are the authorities whose withdrawals count for the question.
    """
    places, noes = set(asked), Noes(reading, counted)
    for item in reading.of_kind(Waiver):
        said = item.content
        assert isinstance(said, Waiver)
        if (
            said.environment == reading.question.environment
            and said.jurisdiction in places
            and said.span.holds(reading.now)
            and _stands(reading, item, said, sector, noes)
        ):
            yield item.digest


def _stands(reading: Reading, item: Item, said: Waiver, sector: str, noes: Noes) -> bool:
    return any(
        reading.holds(signer[0], "regulator", sector, None, (said.jurisdiction,))
        and reading.fresh(signer[0])
        and not noes.said_hit(item, signer)
        for signer in reading.agreeing(item)
    )
