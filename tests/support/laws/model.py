"""The reference model: is a question admitted, and if not, which step refuses?

Slow and direct on purpose. It follows the numbered predicate and the laws of the cascade, and
shares nothing with the product but names.

It leaves out what no history has, which tests of tests/unit cover instead: an expired credential
(core/test_assess), waivers of manifests (core/test_waivers), results with a threshold of their own
(core/breaks_of_approval), stored objects (core/test_modelless, registry/), chains and sets of
grants beyond their bounds (core/test_assess, core/test_combinations, core/laws/test_case_13),
several names of one base model (providers/test_descriptors). Nor does it say until when an admitted
call holds (laws/test_properties, core/test_validity). Of what policies see it knows waivers of
environments and the evidence among which a policy may choose (``policies``); core/test_facts has
all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

from tests.support.laws import agreement, sandbox
from tests.support.laws.agreement import Good
from tests.support.laws.cascade import Noes, family, objectors
from tests.support.laws.nouns import (
    Binding,
    Declaration,
    Item,
    Manifest,
    Place,
    Question,
    Specification,
    World,
    covers,
    failed,
)
from tests.support.laws.policies import Policy
from tests.support.laws.reading import Reading, Signer
from tests.support.laws.ruling import UNNAMED, UNSPECIFIED, No, Ruling, refused
from tests.support.laws.specifications import Chain, for_manifest, for_tuning
from tests.support.laws.succession import in_force
from tests.support.laws.waivers import usable

EVERYTHING = Policy()
Bound = tuple[Item, Binding, str]
Needed = list[tuple[Item, set[Signer]]]
"""Evidence that must be relied on, each with the signers of which one is enough."""


def admits(world: World, question: Question, now: int, policy: Policy = EVERYTHING) -> Ruling:
    """Answer a question. ``succession.settle`` must have seen the world before."""
    return answer(Reading(world, question, now), policy)


def answer(reading: Reading, policy: Policy = EVERYTHING) -> Ruling:
    """Answer the question of a reading.

    Where several declarations, bindings or manifests could be relied on, any that admits does; of
    several refusals the one of the newest is given. A policy must be content with evidence that can
    be relied on together.
    """
    question = reading.question
    if question.sandbox and (question.modelless or question.tunes is not None):
        return refused(0, "unsupported_operation")
    if not reading.vouched():
        return refused(1, "credential_invalid")
    declarations = reading.declarations_in_force()
    if not declarations:
        return refused(1, "environment_unknown")
    first: Ruling | None = None
    for item, declared, declarer in declarations:
        for ruling in _under(_Case(reading, item, declared, declarer, policy)):
            found = replace(ruling, declaration=item.digest)
            if found.admitted:
                return found
            first = first or found
    assert first is not None
    return first


def _under(case: _Case) -> Iterator[Ruling]:
    """The answers under one declaration: one for each choice of what its names stand for."""
    if any(f.sector not in (None, case.sector) for f in case.reading.floors()):
        yield refused(1, "environment_below_floor")
        return
    for parts in product(*(case.parts(name) for name in case.question.names)):
        ruling = case.ruling(parts)
        items = [part.item for part in parts if part.item is not None]
        yield replace(ruling, manifest=items[0].digest if items else None)


@dataclass(frozen=True, slots=True)
class Part:
    """What one name of the call stands for: a manifest or a base model, through a binding or not.

    ``models`` are its model, parents and base; ``answerers`` the providers that answer for the
    base. ``refusal``: why it can be nothing.
    """

    model: str
    item: Item | None = None
    bound: Bound | None = None
    models: frozenset[str] = frozenset()
    answerers: frozenset[str] = frozenset()
    specified: Chain = field(default_factory=list)
    refusal: Ruling | None = None


class _Case:
    """One question under one declaration."""

    def __init__(
        self, reading: Reading, item: Item, declared: Declaration, declarer: str, policy: Policy
    ) -> None:
        self.reading, self.declaration, self.declared = reading, item, declared
        self.policy = policy
        self.declarer, self.sector = declarer, declared.sector
        self.asked = reading.with_floors(declared.jurisdictions)
        self.now, self.question = reading.now, reading.question

    # ---- Step 2: what a name stands for --------------------------------------------------------

    def parts(self, name: str) -> list[Part]:
        """Every way in which a name of the call could be meant, newest first."""
        if name != self.question.deployment:
            return self._parts(name, None)
        bindings = self.reading.bindings_in_force(self.sector, self.asked)
        if not bindings:
            return [Part(name, refusal=refused(2, "deployment_unbound"))]
        return [part for each in bindings for part in self._bound(each)]

    def _bound(self, bound: Bound) -> list[Part]:
        """What a binding's model could be, if it is what was bound, or nothing at all."""
        meant = bound[1].manifest
        parts = self._parts(bound[1].model, bound)
        same = [
            part
            for part in parts
            if (part.refusal is not None and part.refusal.step == 2)
            or (part.item.digest if part.item else None) == meant
        ]
        wrong = refused(2, "deployment_unbound")
        return same or [replace(part, refusal=wrong) for part in parts]

    def _parts(self, model: str, bound: Bound | None) -> list[Part]:
        manifests = in_force(self.reading, model, self.sector, self.asked)
        if not manifests:
            return [self._base(model, bound)]
        return [self._adapted(item, bound) for item in manifests]

    def _base(self, model: str, bound: Bound | None) -> Part:
        answerers = self.reading.base_answerers(model, self.sector, self.asked)
        adapted = model.startswith("ft:") or model in self._known()
        if adapted or not answerers or self.question.sandbox:
            return Part(model, refusal=refused(2, "manifest_missing"))
        declared = self.declared
        listed = declared.tuning_models if self.question.tunes else declared.base_models
        if not covers(listed, f"openai/{model}"):
            return Part(model, refusal=refused(2, "base_model_not_listed"))
        return Part(model, None, bound, frozenset({model}), frozenset(answerers))

    def _adapted(self, item: Item, bound: Bound | None) -> Part:
        """Follow ``parent`` to the base model."""
        reading, models, child = self.reading, set[str](), item.content
        assert isinstance(child, Manifest)
        specified: Chain = []
        refusal = self._under(child, specified)
        models.update((child.model, *child.used))
        while child.parent is not None:
            parent = reading.manifests.get(child.parent)
            if parent is None or not isinstance(parent.content, Manifest):
                return Part(child.model, item, refusal=refused(2, "manifest_missing"))
            if parent.content.model != child.base or not self._parent_signers(parent):
                return Part(child.model, item, refusal=refused(2, "manifest_unverified"))
            child = parent.content
            models.update((child.model, *child.used))
            refusal = refusal or self._under(child, specified)
        answerers = reading.base_answerers(child.base, self.sector, self.asked)
        if child.base in self._known():
            return Part(child.model, item, refusal=refused(2, "manifest_unverified"))
        if not answerers:
            return Part(child.model, item, refusal=refused(2, "base_model_not_listed"))
        found = frozenset(models | {child.base})
        assert isinstance(item.content, Manifest)
        part = Part(item.content.model, item, bound, found, frozenset(answerers), specified)
        return replace(part, refusal=refusal)

    def _known(self) -> set[str]:
        return {i.content.model for i in self.reading.manifests.values()}  # type: ignore[union-attr]

    def _parent_signers(self, parent: Item) -> set[Signer]:
        return self.reading.producers(parent, self.sector, ()) & self.reading.agreeing(parent)

    def _under(self, manifest: Manifest, found: Chain) -> Ruling | None:
        """Why what a manifest says of its specification refuses; the operator may require one."""
        if not manifest.specification:
            return UNNAMED if self.reading.world.operator.specified else None
        chain = for_manifest(self.reading, manifest)
        found.extend(chain or [])
        return UNSPECIFIED if chain is None else None

    # ---- Steps 3 to 5, for each name -----------------------------------------------------------

    def ruling(self, parts: tuple[Part, ...]) -> Ruling:
        """The answer where each name stands for one part: the first step that refuses any."""
        models = {model for part in parts for model in part.models}
        refusals = [self._refusal(part, models) for part in parts]
        chain: Chain | None = []
        if self.question.tunes is not None:
            tuned = {part.model for part in parts}
            chain = for_tuning(self.reading, self.question.tunes, tuned, self.sector, self.asked)
            if chain is None:
                refusals.append(UNSPECIFIED)
        found = [each for each in refusals if each is not None]
        if found:
            return min(found, key=lambda each: each.step)
        return self._end(parts, models, chain or [])

    def _refusal(self, part: Part, models: set[str]) -> Ruling | None:
        if part.item is None or (part.refusal is not None and part.refusal.step == 2):
            return part.refusal
        item, manifest = part.item, part.item.content
        assert isinstance(manifest, Manifest)
        producers = self.reading.producers(item, self.sector, self.asked)
        agreeing = producers & self.reading.agreeing(item)
        if not agreeing:
            return refused(3, "manifest_unverified")
        shut = manifest.shutdown is not None and manifest.shutdown <= self.now
        if shut or not manifest.span.holds(self.now):
            return refused(3, "manifest_not_in_window")
        places = [place for place in manifest.places if self._made_for(place)]
        if not places:
            return refused(3, "environment_not_covered")
        if not any(self.question.operation in place.operations for place in places):
            return refused(3, "operation_not_covered")
        if part.refusal is not None:
            return part.refusal
        above = [self.reading.manifests[digest] for digest in self._chain(item)]
        failures = frozenset(no for each in above for no in self._failures(each, models))
        if self.question.sandbox:
            names = {name for name, _ in agreeing}
            code = sandbox.refusal(
                self.reading, self.declared, manifest.model, self.asked, names, failures
            )
            return None if code is None else refused(4, code, failures)
        if not self.asked <= {s.jurisdiction for s in manifest.suites if s.kind == "compliance"}:
            return refused(4, "preactivation_missing")
        if failures:
            return refused(4, "preactivation_failed", failures)
        lacking = agreement.lacking(self.reading, item, self.sector, self.asked)
        return None if lacking is None else refused(*lacking)

    def _made_for(self, place: Place) -> bool:
        """Whether the call comes from a place of a manifest; a sandbox stands in for it."""
        return self.asked <= set(place.jurisdictions) and (
            self.question.sandbox
            or (
                covers((place.pattern,), self.question.environment)
                and (place.sector, place.purpose) == (self.sector, self.declared.purpose)
            )
        )

    def _failures(self, item: Item, models: set[str]) -> set[No]:
        """Noes to a manifest's model of every evaluator whose grant overlaps the question.

        A failure is of the model that was tested, whoever binds it in another manifest.
        """
        assert isinstance(item.content, Manifest)
        suites = {suite.digest for suite in item.content.suites}
        evaluating = objectors(self.reading, self.sector, self.asked, models, role="evaluator")
        return {
            (authority, failure)
            for authority in evaluating
            if authority in self.reading.world.views
            for failure in self.reading.world.views[authority].failures
            if failure.suite in suites and failed(failure, item)
        }

    # ---- Steps 6 and 7, for all of them --------------------------------------------------------

    def _end(self, parts: tuple[Part, ...], models: set[str], tuned: Chain) -> Ruling:
        reading = self.reading
        objecting = objectors(reading, self.sector, self.asked, models)
        answerers = {name for part in parts for name in part.answerers}
        vouching = reading.world.credentials[self.question.environment]
        noes = Noes(reading, {*objecting, self.declarer, vouching, *answerers})
        hits = [noes.hit("environment", self.question.environment)]
        hits.append(noes.hit("authority", vouching))
        hits.extend(self._unanswered(noes, part) for part in parts)
        hits.extend(noes.base_hit(model) for model in models)
        hits.extend(self._hit(noes, part) for part in parts if part.item is not None)
        hits.extend(self._specification_hit(noes, item) for item, _ in tuned)
        needed = self._needed(parts, tuned)
        self._look_at_all(noes, parts, needed)
        if any(hits):
            return refused(6, "withdrawn", frozenset(noes.found))
        if not self._relied_on(parts, needed, lambda word, s: not noes.said_hit(word, s)):
            return refused(6, "withdrawn", frozenset(noes.found))
        stale = {name for name, denies in objecting.items() if denies and not reading.fresh(name)}
        stale |= {name for name in {vouching, *answerers} if not reading.fresh(name)}
        stale |= {name for name in objecting if name not in reading.world.views}
        if stale:
            return refused(7, "trust_stale", frozenset(noes.found))

        def sound(word: Item, s: Signer) -> bool:
            return reading.fresh(s[0]) and not noes.said_hit(word, s)

        if not self._relied_on(parts, needed, sound):
            return refused(7, "trust_stale", frozenset(noes.found))
        if not self._relied_on(parts, needed, sound, self.policy):
            return refused(8, "jurisdiction_denied", frozenset(noes.found))
        waivers = frozenset(usable(reading, self.sector, self.asked, noes.counted))
        found, counted = frozenset(noes.found), frozenset(noes.counted)
        return Ruling(True, 8, "admitted", None, found, None, waivers, counted)

    def _look_at_all(self, noes: Noes, parts: tuple[Part, ...], needed: Needed) -> None:
        """Find the noes to everybody who signed what could be relied on, chosen or not."""
        items = [item for item, _ in needed]
        for part in parts:
            if part.item is not None:
                items.append(part.item)
                if not self.question.sandbox:
                    items.extend(word for word, _ in self.reading.of_manifest(part.item.digest))
        for item in items:
            for signer in self.reading.as_signed(item):
                noes.said_hit(item, signer)

    def _hit(self, noes: Noes, part: Part) -> bool:
        """Law 6: whether a no hits the lineage of an adapted model, or its successors."""
        assert part.item is not None
        known, announced = family(self.reading, part.item, self.sector)
        own = self._chain(part.item)
        hits = [noes.hit("manifest", each) for each in announced]
        hits.extend(noes.told_hit(each) for each in announced)
        for each in known.values():
            hits.append(noes.manifest_hit(each))
            hits.append(each is not part.item and noes.statements_hit(each.digest))
            if each.digest not in own:
                hits.append(noes.signers_hit(self.reading.producers(each, self.sector, ())))
        return any(hits)

    def _unanswered(self, noes: Noes, part: Part) -> bool:
        """Whether every provider that answers for the base model is withdrawn."""
        withdrawn = [noes.hit("authority", name) for name in part.answerers]
        return all(withdrawn) and bool(withdrawn)

    def _specification_hit(self, noes: Noes, item: Item) -> bool:
        assert isinstance(item.content, Specification)
        suites = [noes.hit("evaluation", suite.digest) for suite in item.content.suites]
        return noes.hit("specification", item.digest) or any(suites)

    def _chain(self, item: Item | None) -> set[str]:
        """The manifest and its parents."""
        found, child = set[str](), item
        while child is not None and isinstance(child.content, Manifest):
            found.add(child.digest)
            child = self.reading.manifests.get(child.content.parent or "")
        return found

    def _needed(self, parts: tuple[Part, ...], tuned: Chain) -> Needed:
        """Everything that is relied on, apart from the manifests called and what is about them."""
        reading, item = self.reading, self.declaration
        declarers = reading.declarers(item, self.declared, reading.agreeing(item))
        needed: Needed = [(item, {s for s in declarers if s[0] == self.declarer})]
        needed.extend(tuned)
        for part in parts:
            needed.extend(part.specified)
            if part.bound is not None:
                bound, _, binder = part.bound
                binders = reading.binders(bound, self.sector, self.asked) & reading.agreeing(bound)
                needed.append((bound, {s for s in binders if s[0] == binder}))
            for digest in self._chain(part.item) - {part.item.digest if part.item else ""}:
                parent = reading.manifests[digest]
                needed.append((parent, self._parent_signers(parent)))
        return needed

    def _relied_on(
        self, parts: tuple[Part, ...], needed: Needed, sound: Good, policy: Policy = EVERYTHING
    ) -> bool:
        """Whether there is a sound signer, and one that contents the policy, of all of it."""

        def good(word: Item, s: Signer) -> bool:
            return policy.of_called(word, s) and sound(word, s)

        if not all(
            any(policy.of_other(word, s) and sound(word, s) for s in signers)
            for word, signers in needed
        ):
            return False
        reading, sector, asked = self.reading, self.sector, self.asked
        items = [part.item for part in parts if part.item is not None]
        if self.question.sandbox:
            made = [(i, reading.producers(i, sector, asked) & reading.agreeing(i)) for i in items]
            return all(any(good(item, s) for s in signers) for item, signers in made)
        return all(agreement.agreed(reading, item, sector, asked, good) for item in items)
