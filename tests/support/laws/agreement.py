"""Steps 4 and 5: whether evaluators and approvers can be found who agree, each in one role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from tests.support.laws.nouns import Approval, Item, Manifest, Result, Suite, covers
from tests.support.laws.reading import PASSING, Cell, Reading, Signer

Good = Callable[[Item, Signer], bool]
"""Whether a piece of evidence, as one signer's, may be relied on."""

RESULTS = ("preactivation_missing", "preactivation_failed", "preactivation_expired")
APPROVALS = ("approval_missing", "approval_not_in_window", "approval_out_of_scope")
"""Why a step refuses, the first of those that apply; of one suite the last of them."""


def agreed(reading: Reading, item: Item, sector: str, asked: frozenset[str], good: Good) -> bool:
    """Whether roles can be given out so that all that is needed comes of good signers."""
    offers = list(_offers(reading, item, sector, asked, good))
    return _given_out(offers, _evaluated(item) | reading.required(_content(item), asked))


def lacking(
    reading: Reading, item: Item, sector: str, asked: frozenset[str]
) -> tuple[int, str] | None:
    """Which step fails and why, of whoever signed: 4 for the results alone, 5 for the approvals."""
    offers = list(_offers(reading, item, sector, asked, lambda *_: True))
    evaluated, required = _evaluated(item), reading.required(_content(item), asked)
    if not _given_out(offers, evaluated):
        suites = {_outcome(reading, item, sector, suite) for suite in _content(item).suites}
        return 4, min(suites & {*RESULTS}, key=RESULTS.index, default=RESULTS[0])
    if _given_out(offers, evaluated | required):
        return None
    given = {_answer(reading, item, sector, role, name) for role, name in required}
    return 5, min(given & {*APPROVALS}, key=APPROVALS.index, default=APPROVALS[0])


def _outcome(reading: Reading, item: Item, sector: str, suite: Suite) -> str:
    """What became of one suite: the best of everything that evaluators said of it."""
    asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
    found = {
        "passed"
        if said.outcome == "PASSED" and said.score >= PASSING and said.span.holds(reading.now)
        else "preactivation_expired"
        if said.outcome == "PASSED" and said.score >= PASSING
        else "preactivation_failed"
        for word, said in reading.of_manifest(item.digest)
        if isinstance(said, Result)
        and suite in said.suites
        and any(
            reading.holds(name, "evaluator", sector, said.model, asked)
            for name, _ in reading.agreeing(word)
        )
    }
    return max(found, key=(*RESULTS, "passed").index, default=RESULTS[0])


def _answer(reading: Reading, item: Item, sector: str, role: str, place: str) -> str:
    """What became of a role in one jurisdiction: given, or how near its approvals come."""
    said = [
        said
        for word, said in reading.of_manifest(item.digest)
        if isinstance(said, Approval)
        and said.role == role
        and any(
            reading.holds(name, role, sector, said.model, {place})
            for name, _ in reading.agreeing(word)
        )
    ]
    if not said:
        return "approval_missing"
    here = [each for each in said if _here(reading, each) and place in each.jurisdictions]
    if not here:
        return "approval_out_of_scope"
    held = any(each.span.holds(reading.now) for each in here)
    return "given" if held else "approval_not_in_window"


def _here(reading: Reading, said: Approval) -> bool:
    question = reading.question
    covered = covers(said.environments, question.environment)
    return covered and question.operation in said.operations


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
    at = (item.digest, item.keys, sector, asked)
    if at not in reading.counting:
        reading.counting[at] = list(_counting(reading, item, sector, asked))
    for word, signer, cells in reading.counting[at]:
        if good(word, signer):
            for role, what in cells:
                yield role, what, signer


def _counting(
    reading: Reading, item: Item, sector: str, asked: frozenset[str]
) -> Iterator[tuple[Item, Signer, list[Cell]]]:
    """Everything that counts now for this manifest: its signer, and what it fills."""
    for signer in reading.producers(item, sector, asked) & reading.agreeing(item):
        yield item, signer, [("producer", item.digest)]
    for word, said in reading.of_manifest(item.digest):
        if said.span.holds(reading.now):
            for signer in reading.agreeing(word):
                cells = list(_said(reading, sector, asked, said, signer[0]))
                if cells:
                    yield word, signer, cells


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
    elif _here(reading, said):
        for name in asked & set(said.jurisdictions):
            if reading.holds(authority, said.role, sector, said.model, {name}):
                yield said.role, name


def _content(item: Item) -> Manifest:
    assert isinstance(item.content, Manifest)
    return item.content
