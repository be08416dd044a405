"""What was specified before a model was tuned, and what a later specification may add."""

from __future__ import annotations

from tests.support.laws.nouns import (
    RUN_BEGAN,
    Item,
    Manifest,
    Place,
    Specification,
    covers,
)
from tests.support.laws.reading import Reading, Signer

Chain = list[tuple[Item, set[Signer]]]
"""A specification, and what it extends, each with the customers whose signatures agree."""


def for_manifest(reading: Reading, manifest: Manifest) -> Chain | None:
    """The specification a manifest names, and all that it extends; None where it does not count."""
    assert manifest.specification is not None
    chain = _chain(reading, manifest.specification, {f"openai/{manifest.base}"})
    if chain is None:
        return None
    newest, oldest = (_content(chain[at][0]) for at in (0, -1))
    if not oldest.span.holds(RUN_BEGAN):
        return None
    if len(chain) > 1 and not newest.span.holds(manifest.span.begins):
        return None
    same = (newest.places, newest.suites) == (manifest.places, manifest.suites)
    return chain if same else None


def for_tuning(
    reading: Reading, digest: str, models: set[str], sector: str, asked: frozenset[str]
) -> Chain | None:
    """The specification that a tuning job names; None where it does not count."""
    chain = _chain(reading, digest, {f"openai/{model}" for model in models})
    if chain is None or not _content(chain[0][0]).span.holds(reading.now):
        return None
    item, signers = chain[0]
    here = {s for s in signers if reading.holds(s[0], "customer", sector, None, asked)}
    return [(item, here), *chain[1:]] if here else None


def _chain(reading: Reading, digest: str, models: set[str]) -> Chain | None:
    """A specification for these models and everything that it extends, if each one counts."""
    chain: Chain = []
    following: str | None = digest
    while following is not None:
        item = reading.specifications.get(following)
        if item is None:
            return None
        signers = {s for s in reading.agreeing(item) if _owns(reading, s[0], item, models)}
        if not signers or (chain and not _adds_only(_content(item), _content(chain[-1][0]))):
            return None
        chain.append((item, signers))
        following = _content(item).extends
    newest = _content(chain[0][0])
    answered = {suite.jurisdiction for suite in newest.suites}
    asked = {name for place in newest.places for name in place.jurisdictions}
    fits = asked <= answered and all(covers(newest.models, name) for name in models)
    return chain if fits else None


def _owns(reading: Reading, authority: str, item: Item, models: set[str]) -> bool:
    """Whether it is granted, as a customer, every place of the specification."""
    return all(
        any(
            grant.role == "customer"
            and ("**" in grant.environments or place.pattern in grant.environments)
            and covers(grant.sectors, place.sector)
            and all(covers(grant.jurisdictions, name) for name in place.jurisdictions)
            and all(covers(grant.models, name) for name in models)
            for grant in reading.world.operator.grants.get(authority, ())
        )
        for place in _content(item).places
    )


def _adds_only(old: Specification, new: Specification) -> bool:
    """Whether a newer specification takes nothing away."""
    return set(old.suites) <= set(new.suites) and all(
        any(_within(place, other) for other in new.places) for place in old.places
    )


def _within(old: Place, new: Place) -> bool:
    same = (old.pattern, old.sector, old.purpose) == (new.pattern, new.sector, new.purpose)
    return (
        same
        and set(old.jurisdictions) <= set(new.jurisdictions)
        and set(old.operations) <= set(new.operations)
    )


def _content(item: Item) -> Specification:
    assert isinstance(item.content, Specification)
    return item.content
