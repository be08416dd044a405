"""Law 7: a successor takes over when it is complete, and what it replaced never returns."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.laws.nouns import (
    Approval,
    Declaration,
    Item,
    Manifest,
    Question,
    Result,
    World,
    covers,
)
from tests.support.laws.reading import PASSING, Reading


def settle(world: World) -> None:
    """Remember what is there, and which manifests are replaced by now in which environment."""
    world.merge()
    known = {key.name for view in world.views.values() for key in view.keys}
    for item in world.items:
        signed = item.keys & known
        if signed:
            before = world.memory.get(item.digest, item)
            keys = signed | before.keys & known
            if item.digest not in world.memory or keys != before.keys:
                world.memory[item.digest] = Item(item.digest, item.content, keys)
    entries = {e.subject for view in world.views.values() for e in view.withdrawals}
    world.withdrawn |= {
        i.digest: world.memory[i.digest]
        for i in world.items
        if i.digest in entries and i.digest in world.memory
    }
    everything = Reading(world, Question("", ""), 0)
    declared = {
        item.content.environment
        for item in everything.of_kind(Declaration)
        if isinstance(item.content, Declaration)
    }
    for environment in declared:
        reading = everything.asked(Question(environment, ""))
        world.declared |= _declared(reading)
        newest = _newest_declaration(reading)
        for item in reading.manifests.values():
            assert isinstance(item.content, Manifest)
            if (
                newest is not None
                and item.content.supersedes is not None
                and complete(reading, item, newest)
            ):
                older = superseded(reading, item.content, newest.sector)
                world.replaced |= {(environment, each) for each in older}


def _declared(reading: Reading) -> set[tuple[str, str, str, str]]:
    """What customers that are granted it declared this environment for, as signed."""
    return {
        (declared.environment, authority, declared.sector, name)
        for item, declared in reading.declarations()
        for authority, _ in reading.as_signed(item)
        for name in declared.jurisdictions
        if reading.holds(authority, "customer", declared.sector, None, (name,))
    }


def _newest_declaration(reading: Reading) -> Declaration | None:
    """The one that begins last of those that customers granted the environment signed."""
    signed = [
        (declared.span.begins, item.digest, declared)
        for item, declared in reading.declarations()
        if reading.declarers(item, declared, reading.as_signed(item))
    ]
    return max(signed, key=lambda each: each[:2])[2] if signed else None


def complete(reading: Reading, item: Item, declared: Declaration) -> bool:
    """Whether everything required of a manifest exists as signed, under one declaration."""
    manifest, sector = item.content, declared.sector
    assert isinstance(manifest, Manifest)
    asked = reading.with_floors(declared.jurisdictions)
    producers = reading.producers(item, sector, asked)
    if not producers:
        return False
    names = {name for signer in producers for name in signer}
    passed: set[str] = set()
    approved: set[tuple[str, str]] = set()
    for word, said in reading.of_manifest(item.digest):
        for signer in reading.as_signed(word):
            if isinstance(said, Result) and said.outcome == "PASSED" and said.score >= PASSING:
                passed |= {
                    suite.digest
                    for suite in said.suites
                    if not names & set(signer)
                    and reading.holds(
                        signer[0], "evaluator", sector, said.model, _of(suite.jurisdiction)
                    )
                }
            if isinstance(said, Approval) and covers(
                said.environments, reading.question.environment
            ):
                approved |= {
                    (said.role, name)
                    for name in said.jurisdictions
                    if reading.holds(signer[0], said.role, sector, said.model, {name})
                }
    return (
        asked <= {suite.jurisdiction for suite in manifest.suites if suite.kind == "compliance"}
        and {suite.digest for suite in manifest.suites} <= passed
        and reading.required(manifest, asked) <= approved
    )


def superseded(reading: Reading, manifest: Manifest, sector: str) -> set[str]:
    """Digests of everything a manifest supersedes, transitively, known or not.

    What a producer signed that is not granted here supersedes nothing further.
    """
    found: set[str] = set()
    older = manifest.supersedes
    while older is not None:
        known = reading.memory.get(older)
        if known is None:
            return found | {older}
        assert isinstance(known.content, Manifest)
        if known.content.model != manifest.model:
            return found
        found.add(older)
        granted = reading.producers(known, sector, ())
        older = known.content.supersedes if granted else None
    return found


def in_force(reading: Reading, model: str, sector: str, asked: Iterable[str]) -> list[Item]:
    """Manifests of a model that nothing took over from, newest first, pending successors last.

    Those of granted producers, if there are any.
    """
    jurisdictions = frozenset(asked)
    known = [item for item in reading.manifests.values() if _model(item) == model]
    granted = [item for item in known if reading.producers(item, sector, jurisdictions)]
    here = (reading.question.environment, reading.world.replaced)
    found = [item for item in granted or known if (here[0], item.digest) not in here[1]]
    digests = {item.digest for item in found}
    newest = sorted(found, key=lambda each: (each.content.span.begins, each.digest), reverse=True)
    return sorted(newest, key=lambda each: _supersedes(each) in digests)


def _model(item: Item) -> str:
    assert isinstance(item.content, Manifest)
    return item.content.model


def _supersedes(item: Item) -> str | None:
    assert isinstance(item.content, Manifest)
    return item.content.supersedes


def _of(jurisdiction: str | None) -> tuple[str, ...]:
    return () if jurisdiction is None else (jurisdiction,)
