"""The reference model: is a question admitted, and if not, which step refuses?

Slow and direct on purpose. It follows the numbered predicate and the laws of the cascade, and
shares nothing with the product but names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from tests.support.laws.cascade import Noes, family, objectors
from tests.support.laws.nouns import (
    Approval,
    Binding,
    Declaration,
    Failure,
    Item,
    Manifest,
    Question,
    Result,
    Withdrawal,
    World,
    covers,
)
from tests.support.laws.reading import PASSING, Reading, Signer
from tests.support.laws.succession import in_force

No = tuple[str, Withdrawal | Failure]
Good = Callable[[Item, Signer], bool]
"""Whether a piece of evidence, as one signer's, may be relied on."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether it is admitted; else the step that refuses and why.

    ``manifest`` is what the model resolved to, ``declaration`` the environment's that it was asked
    under, and ``noes`` is every no that hits the lineage.
    """

    admitted: bool
    step: int
    why: str
    manifest: str | None = None
    noes: frozenset[No] = frozenset()
    declaration: str | None = None


def admits(world: World, question: Question, now: int) -> Ruling:
    """Answer a question. ``succession.settle`` must have seen the world before.

    Where several declarations, bindings or manifests could be relied on, any one that admits does;
    of several refusals the one of the newest is given.
    """
    reading = Reading(world, question, now)
    if not reading.vouched():
        return Ruling(False, 1, "nobody granted vouches for the credential")
    declarations = reading.declarations_in_force()
    if not declarations:
        return Ruling(False, 1, "no declaration is in force")
    rulings = [
        replace(_in(reading, item, declared, declarer), declaration=item.digest)
        for item, declared, declarer in declarations
    ]
    return _first(rulings)


def _in(reading: Reading, item: Item, declared: Declaration, declarer: str) -> Ruling:
    """The answer under one declaration."""
    if any(f.sector not in (None, declared.sector) for f in reading.floors()):
        return Ruling(False, 1, "the declared sector is below the floor")
    if reading.question.deployment is None:
        case = _Case(reading, item, declared, declarer, None)
        return case.ruling(reading.question.model)
    asked = reading.with_floors(declared.jurisdictions)
    bindings = reading.bindings_in_force(declared.sector, asked)
    if not bindings:
        return Ruling(False, 2, "no binding is in force")
    return _first(
        [_Case(reading, item, declared, declarer, each).ruling(each[1].model) for each in bindings]
    )


def _first(rulings: list[Ruling]) -> Ruling:
    return next((ruling for ruling in rulings if ruling.admitted), rulings[0])


class _Case:
    """One question under one declaration and, for a deployment, one binding."""

    def __init__(
        self,
        reading: Reading,
        item: Item,
        declared: Declaration,
        declarer: str,
        binding: tuple[Item, Binding, str] | None,
    ) -> None:
        self.reading, self.declaration, self.declared = reading, item, declared
        self.declarer, self.binding = declarer, binding
        self.sector = declared.sector
        self.asked = reading.with_floors(declared.jurisdictions)
        self.now, self.question = reading.now, reading.question

    def ruling(self, model: str) -> Ruling:
        manifests = in_force(self.reading, model, self.sector, self.asked)
        if self.binding is not None:
            bound = self.binding[1].manifest
            if bound is None and manifests:
                return Ruling(False, 2, "bound to a base model, which has a manifest")
            manifests = [item for item in manifests if item.digest == bound]
            if bound is not None and not manifests:
                return Ruling(False, 2, "bound to a manifest that is not in force")
        if not manifests:
            return self._unadapted(model)
        return _first([self._adapted(item) for item in manifests])

    # ---- Base models (step 2) ------------------------------------------------------------------

    def _unadapted(self, model: str) -> Ruling:
        known = {i.content.model for i in self.reading.manifests.values()}  # type: ignore[union-attr]
        answerers = self.reading.base_answerers(model, self.sector, self.asked)
        if model.startswith("ft:") or model in known or not answerers:
            return Ruling(False, 2, "neither a manifest nor a known base model")
        if not covers(self.declared.base_models, f"openai/{model}"):
            return Ruling(False, 2, "the environment does not list the base model")
        return self._end(None, {model}, answerers)

    # ---- Adapted models (steps 2 to 5) ---------------------------------------------------------

    def _adapted(self, item: Item) -> Ruling:
        manifest = item.content
        assert isinstance(manifest, Manifest)
        lineage = self._parents(item)
        if lineage is None:
            return Ruling(False, 2, "a parent is missing, not a producer's, or not the base")
        if not manifest.span.holds(self.now):
            return Ruling(False, 3, "outside the manifest's window")
        if not any(
            covers((place.pattern,), self.question.environment)
            and self.asked <= set(place.jurisdictions)
            and place.sector == self.sector
            and place.purpose == self.declared.purpose
            and self.question.operation in place.operations
            for place in manifest.places
        ):
            return Ruling(False, 3, "not made for this environment and operation")
        if not self.asked <= {s.jurisdiction for s in manifest.suites if s.kind == "compliance"}:
            return Ruling(False, 4, "a jurisdiction has no compliance suite")
        failures = {
            no
            for digest in self._chain(item)
            for no in self._failures(self.reading.manifests[digest], {manifest.model, *lineage[1]})
        }
        if failures:
            return Ruling(False, 4, "a FAILED stands", item.digest, frozenset(failures))
        return self._end(item, {manifest.model, *lineage[1]}, lineage[0])

    def _parents(self, item: Item) -> tuple[set[str], set[str]] | None:
        """Who answers for the base, and the models on the way there; None where it is broken."""
        reading, models = self.reading, set[str]()
        child = item.content
        assert isinstance(child, Manifest)
        while child.parent is not None:
            parent = reading.manifests.get(child.parent)
            if parent is None or not isinstance(parent.content, Manifest):
                return None
            signers = reading.producers(parent, self.sector, ()) & reading.agreeing(parent)
            if parent.content.model != child.base or not signers:
                return None
            child = parent.content
            models.add(child.model)
        known = {i.content.model for i in reading.manifests.values()}  # type: ignore[union-attr]
        answerers = reading.base_answerers(child.base, self.sector, self.asked)
        if child.base in known or not answerers:
            return None
        return answerers, models | {child.base}

    def _failures(self, item: Item, models: set[str]) -> set[No]:
        """Noes to one manifest of every evaluator whose grant overlaps the question."""
        assert isinstance(item.content, Manifest)
        suites = {suite.digest for suite in item.content.suites}
        evaluating = objectors(self.reading, self.sector, self.asked, models, role="evaluator")
        return {
            (authority, failure)
            for authority in evaluating
            if authority in self.reading.world.views
            for failure in self.reading.world.views[authority].failures
            if failure.manifest == item.digest and failure.suite in suites
        }

    # ---- Agreement, cascade and freshness (steps 4 to 7) ---------------------------------------

    def _end(self, item: Item | None, models: set[str], answerers: set[str]) -> Ruling:
        reading = self.reading
        known, announced = family(reading, item, self.sector) if item else ({}, set[str]())
        every = {m for each in known.values() for m in (each.content.model, each.content.base)}  # type: ignore[union-attr]
        objecting = objectors(reading, self.sector, self.asked, models | every)
        vouching = reading.world.credentials[self.question.environment]
        noes = Noes(reading, {*objecting, self.declarer, vouching, *answerers})
        digest = None if item is None else item.digest
        if item is not None and not self._agreed(item, lambda *_: True):
            return Ruling(False, 5, "results, approvals or the producer are lacking", digest)
        hits = [noes.hit("environment", self.question.environment)]
        hits.extend(noes.base_hit(model) for model in models)
        for each in known.values():
            hits.append(noes.manifest_hit(each))
            hits.append(each is not item and noes.statements_hit(each.digest))
            if each.digest not in self._chain(item):
                hits.append(noes.signers_hit(reading.producers(each, self.sector, ())))
        hits.extend(noes.hit("manifest", each) for each in announced)
        if any(hits):
            return Ruling(False, 6, "withdrawn", digest, frozenset(noes.found))
        if not self._relied_on(item, lambda word, s: not noes.said_hit(word, s)):
            noes_found = frozenset(noes.found)
            return Ruling(False, 6, "too little is left unwithdrawn", digest, noes_found)
        stale = {name for name, denies in objecting.items() if denies and not reading.fresh(name)}
        stale |= {name for name in {vouching, *answerers} if not reading.fresh(name)}
        stale |= {name for name in objecting if name not in reading.world.views}
        if stale:
            return Ruling(False, 7, f"not fresh: {', '.join(sorted(stale))}", digest)
        if not self._relied_on(
            item, lambda word, s: reading.fresh(s[0]) and not noes.said_hit(word, s)
        ):
            return Ruling(False, 7, "too little is left that is fresh", digest)
        return Ruling(True, 8, "admitted", digest)

    def _chain(self, item: Item | None) -> set[str]:
        """The manifest and its parents."""
        found, child = set[str](), item
        while child is not None and isinstance(child.content, Manifest):
            found.add(child.digest)
            child = self.reading.manifests.get(child.content.parent or "")
        return found

    def _relied_on(self, item: Item | None, good: Good) -> bool:
        """Whether there is a good signer of everything that must be relied on."""
        reading, sector = self.reading, self.sector
        declarers = {
            s
            for s in reading.declarers(
                self.declaration, self.declared, reading.agreeing(self.declaration)
            )
            if s[0] == self.declarer
        }
        needed = [(self.declaration, declarers)]
        if self.binding is not None:
            bound, _, binder = self.binding
            binders = reading.binders(bound, sector, self.asked) & reading.agreeing(bound)
            needed.append((bound, {s for s in binders if s[0] == binder}))
        for digest in self._chain(item) - {item.digest if item else ""}:
            parent = reading.manifests[digest]
            signers = reading.producers(parent, sector, ()) & reading.agreeing(parent)
            needed.append((parent, signers))
        return all(any(good(word, s) for s in signers) for word, signers in needed) and (
            item is None or self._agreed(item, good)
        )

    def _agreed(self, item: Item, good: Good) -> bool:
        """Whether roles can be given out so that all that is needed comes of good signers."""
        filled = list(self._offers(item, good))
        manifest = item.content
        assert isinstance(manifest, Manifest)
        needed = {("producer", item.digest)}
        needed |= {("evaluator", suite.digest) for suite in manifest.suites}
        needed |= self.reading.required(manifest, self.asked)
        roles: dict[str, set[str]] = {}
        for role, _, signer in filled:
            for name in signer:
                roles.setdefault(name, set()).add(role)
        for chosen in product(*(sorted(options) for options in roles.values())):
            role_of = dict(zip(roles, chosen, strict=True))
            got = {
                (role, what)
                for role, what, signer in filled
                if all(role_of[name] == role for name in signer)
            }
            if needed <= got:
                return True
        return False

    def _offers(self, item: Item, good: Good) -> Iterator[tuple[str, str, Signer]]:
        """(role, what for, signer) of everything good that counts now for this manifest."""
        reading = self.reading
        for signer in reading.producers(item, self.sector, self.asked) & reading.agreeing(item):
            if good(item, signer):
                yield "producer", item.digest, signer
        for word, said in reading.of_manifest(item.digest):
            if said.span.holds(self.now):
                for signer in reading.agreeing(word):
                    if good(word, signer):
                        for role, what in self._said(said, signer[0]):
                            yield role, what, signer

    def _said(self, said: Approval | Result, authority: str) -> Iterator[tuple[str, str]]:
        """What one authority's word fills here."""
        if isinstance(said, Result):
            if said.outcome == "PASSED" and said.score >= PASSING:
                for suite in said.suites:
                    asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
                    if self.reading.holds(authority, "evaluator", self.sector, said.model, asked):
                        yield "evaluator", suite.digest
        elif (
            covers(said.environments, self.question.environment)
            and self.question.operation in said.operations
        ):
            for name in self.asked & set(said.jurisdictions):
                if self.reading.holds(authority, said.role, self.sector, said.model, {name}):
                    yield said.role, name
