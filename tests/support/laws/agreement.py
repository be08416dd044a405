"""Steps 4 and 5: whether evaluators and approvers can be found who agree, each in one role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tests.support.laws.nouns import Approval, Item, Manifest, Result, covers
from tests.support.laws.reading import PASSING, Reading, Signer

Good = Callable[[Item, Signer], bool]
"""Whether a piece of evidence, as one signer's, may be relied on."""
Cell = tuple[str, str]
"""A role and what it is needed for: a manifest, a suite or a jurisdiction."""


def agreed(reading: Reading, item: Item, sector: str, asked: frozenset[str], good: Good) -> bool:
    """Whether roles can be given out so that all that is needed comes of good signers."""
    offers = list(_offers(reading, item, sector, asked, good))
    return _given_out(offers, _evaluated(item) | reading.required(_content(item), asked))


def lacking(reading: Reading, item: Item, sector: str, asked: frozenset[str]) -> int | None:
    """Which step fails, of whoever signed: 4 without the results alone, 5 without the approvals."""
    offers = list(_offers(reading, item, sector, asked, lambda *_: True))
    evaluated, required = _evaluated(item), reading.required(_content(item), asked)
    if not _given_out(offers, evaluated):
        return 4
    return None if _given_out(offers, evaluated | required) else 5


def _given_out(offers: list[tuple[str, str, Signer]], needed: set[Cell]) -> bool:
    roles: dict[str, set[str]] = {}
    wanted = {role for role, _ in needed}
    for role, _, signer in offers:
        for name in signer:
            roles.setdefault(name, set()).update({role} & wanted)
    if not needed <= {(role, what) for role, what, _ in offers}:
        return False
    options = [sorted(each) or [""] for each in roles.values()]
    for chosen in product(*options):
        role_of = dict(zip(roles, chosen, strict=True))
        got = {
            (role, what)
            for role, what, signer in offers
            if all(role_of[name] == role for name in signer)
        }
        if needed <= got:
            return True
    return False


def _evaluated(item: Item) -> set[Cell]:
    suites = {("evaluator", suite.digest) for suite in _content(item).suites}
    return {("producer", item.digest), *suites}


def _offers(
    reading: Reading, item: Item, sector: str, asked: frozenset[str], good: Good
) -> Iterator[tuple[str, str, Signer]]:
    """(role, what for, signer) of everything good that counts now for this manifest."""
    for signer in reading.producers(item, sector, asked) & reading.agreeing(item):
        if good(item, signer):
            yield "producer", item.digest, signer
    for word, said in reading.of_manifest(item.digest):
        if said.span.holds(reading.now):
            for signer in reading.agreeing(word):
                if good(word, signer):
                    for role, what in _said(reading, sector, asked, said, signer[0]):
                        yield role, what, signer


def _said(
    reading: Reading, sector: str, asked: frozenset[str], said: Approval | Result, authority: str
) -> Iterator[Cell]:
    """What one authority's word fills here."""
    if isinstance(said, Result):
        if said.outcome == "PASSED" and said.score >= PASSING:
            for suite in said.suites:
                where = () if suite.jurisdiction is None else (suite.jurisdiction,)
                if reading.holds(authority, "evaluator", sector, said.model, where):
                    yield "evaluator", suite.digest
    elif (
        covers(said.environments, reading.question.environment)
        and reading.question.operation in said.operations
    ):
        for name in asked & set(said.jurisdictions):
            if reading.holds(authority, said.role, sector, said.model, {name}):
                yield said.role, name


def _content(item: Item) -> Manifest:
    assert isinstance(item.content, Manifest)
    return item.content
