"""One question read against one world at one hour: who spoke, who may, what is in force.

Written as the laws read: sets and loops over everything that is known. What has nothing to do with
the question is looked up once for several of them (``asked``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from typing import TypeVar

from tests.support.laws.nouns import (
    Approval,
    Binding,
    Declaration,
    Floor,
    Item,
    Key,
    Manifest,
    Question,
    Result,
    Specification,
    World,
    covers,
)

Signer = tuple[str, str]
"""An authority and the name of one of its keys."""
Cell = tuple[str, str]
"""A role and what it is needed for: a manifest, a suite or a jurisdiction."""

C = TypeVar("C", Declaration, Binding)

ALWAYS_REQUIRED = ("provider", "customer", "regulator")
SILENCE_DENIES = ("regulator", "customer", "provider")
PASSING = 0.9


class Reading:
    """The world as one question sees it."""

    def __init__(self, world: World, question: Question, now: int) -> None:
        self.world, self.question, self.now = world, question, now
        self.listed: dict[str, list[tuple[str, Key]]] = {}
        for authority, documents in world.views.items():
            if authority in world.operator.grants:
                for key in documents.keys:
                    self.listed.setdefault(key.name, []).append((authority, key))
        self.memory = world.memory
        self._signed: dict[tuple[str, frozenset[str]], set[Signer]] = {}
        self.manifests = self._verified(Manifest)
        self.specifications = self._verified(Specification)
        self._holding: dict[tuple[object, ...], bool] = {}
        self.counting: dict[tuple[object, ...], list[tuple[Item, Signer, list[Cell]]]] = {}

    def asked(self, question: Question) -> Reading:
        """Return the same world at the same hour, as another question sees it."""
        other = copy(self)
        other.question, other._holding, other.counting = question, {}, {}
        return other

    def of_kind(self, kind: type) -> list[Item]:
        """Every item that states something of this kind."""
        return self.world.of_kind.get(kind, [])

    def _verified(self, kind: type) -> dict[str, Item]:
        return {item.digest: item for item in self.of_kind(kind) if self.as_signed(item)}

    # ---- Who spoke ---------------------------------------------------------------------------

    def as_signed(self, item: Item) -> set[Signer]:
        """Signers by any listed key: active, retired, or out of its window."""
        # By its keys too: what is remembered of an item may hold more of them than its files.
        at = (item.digest, item.keys)
        if at not in self._signed:
            self._signed[at] = {
                (authority, key.name)
                for name in item.keys
                for authority, key in self.listed.get(name, ())
            }
        return self._signed[at]

    def agreeing(self, item: Item) -> set[Signer]:
        """Signers whose key is active and in its window now."""
        return {
            (authority, key.name)
            for name in item.keys
            for authority, key in self.listed.get(name, ())
            if key.active and key.span.holds(self.now)
        }

    def fresh(self, authority: str) -> bool:
        """Whether its metadata is unexpired now, and it was heard since the gate started."""
        view = self.world.views.get(authority)
        return view is not None and view.expires > self.now and authority in self.world.heard

    # ---- Who may -----------------------------------------------------------------------------

    def holds(
        self,
        authority: str,
        role: str,
        sector: str,
        model: str | None,
        jurisdictions: Iterable[str],
    ) -> bool:
        """Whether one grant covers all of it in the question's environment."""
        asked = tuple(jurisdictions)
        at = (authority, role, sector, model, asked)
        if at not in self._holding:
            self._holding[at] = any(
                grant.role == role
                and covers(grant.environments, self.question.environment)
                and covers(grant.sectors, sector)
                and (model is None or covers(grant.models, f"openai/{model}"))
                and all(covers(grant.jurisdictions, name) for name in asked)
                for grant in self.world.operator.grants.get(authority, ())
            )
        return self._holding[at]

    def base_answerers(self, base: str, sector: str, jurisdictions: Iterable[str]) -> set[str]:
        """Providers granted for this scope that answer for a base model."""
        asked = set(jurisdictions)
        return {
            authority
            for authority, grants in self.world.operator.grants.items()
            for grant in grants
            if grant.role == "provider"
            and covers(grant.base_models, f"openai/{base}")
            and covers(grant.environments, self.question.environment)
            and covers(grant.sectors, sector)
            and all(covers(grant.jurisdictions, name) for name in asked)
        }

    # ---- The environment (step 1, law 5) -----------------------------------------------------

    def floors(self) -> list[Floor]:
        return [
            floor
            for floor in self.world.operator.floors
            if covers(floor.environments, self.question.environment)
        ]

    def with_floors(self, jurisdictions: Iterable[str]) -> frozenset[str]:
        """What is declared, and what every floor adds."""
        added = {name for floor in self.floors() for name in floor.jurisdictions}
        return frozenset(jurisdictions) | added

    def ever_declared(self) -> set[tuple[str, str]]:
        """Sectors and jurisdictions of every declaration ever, by customers granted them now."""
        found = {
            (sector, name)
            for environment, authority, sector, name in self.world.declared
            if environment == self.question.environment
            and self.holds(authority, "customer", sector, None, (name,))
        }
        return found | {(sector, name) for sector, _ in found for name in self.with_floors(())}

    def vouched(self) -> bool:
        """Whether the credential's authority is granted its trust domain."""
        domain = self.question.environment.removeprefix("spiffe://").partition("/")[0]
        authority = self.world.credentials[self.question.environment]
        return any(
            grant.role == "customer"
            and domain in grant.trust_domains
            and covers(grant.environments, self.question.environment)
            for grant in self.world.operator.grants.get(authority, ())
        )

    def declarations(self) -> Iterator[tuple[Item, Declaration]]:
        for item in self.of_kind(Declaration):
            assert isinstance(item.content, Declaration)
            if item.content.environment == self.question.environment:
                yield item, item.content

    def declarers(self, item: Item, declared: Declaration, signers: set[Signer]) -> set[Signer]:
        asked = self.with_floors(declared.jurisdictions)
        return {s for s in signers if self.holds(s[0], "customer", declared.sector, None, asked)}

    def declarations_in_force(self) -> list[tuple[Item, Declaration, str]]:
        """Each author's newest that has begun, where it has not ended; newest first."""
        begun: list[tuple[Item, Declaration, str]] = [
            (item, declared, authority)
            for item, declared in self.declarations()
            if declared.span.begins <= self.now
            for authority, _ in self.declarers(item, declared, self.agreeing(item))
        ]
        return _newest_of_each(begun, self.now)

    # ---- Manifests (steps 2 and 3, law 7) ----------------------------------------------------

    def producers(self, item: Item, sector: str, asked: Iterable[str]) -> set[Signer]:
        """As signed, whoever is granted to produce this model here."""
        assert isinstance(item.content, Manifest)
        model, jurisdictions = item.content.model, frozenset(asked)
        return {
            signer
            for signer in self.as_signed(item)
            if self.holds(signer[0], "producer", sector, model, jurisdictions)
        }

    def of_manifest(self, digest: str) -> Iterator[tuple[Item, Approval | Result]]:
        """Approvals and results about one manifest."""
        about = self.manifests.get(digest)
        for kind in (Approval, Result):
            for item in self.of_kind(kind):
                assert isinstance(item.content, kind)
                if item.content.manifest == digest and (
                    about is None or _model(about) == item.content.model
                ):
                    yield item, item.content

    def bindings(self) -> Iterator[tuple[Item, Binding]]:
        for item in self.of_kind(Binding):
            assert isinstance(item.content, Binding)
            if item.content.deployment == self.question.deployment:
                yield item, item.content

    def binders(self, item: Item, sector: str, asked: Iterable[str]) -> set[Signer]:
        """As signed, providers that may bind this model here."""
        assert isinstance(item.content, Binding)
        jurisdictions, bound = frozenset(asked), item.content
        if bound.manifest is None:
            able = self.base_answerers(bound.model, sector, jurisdictions)
            return {s for s in self.as_signed(item) if s[0] in able}
        return {
            signer
            for signer in self.as_signed(item)
            if self.holds(signer[0], "provider", sector, bound.model, jurisdictions)
        }

    def bindings_in_force(
        self, sector: str, asked: Iterable[str]
    ) -> list[tuple[Item, Binding, str]]:
        """Each author's newest that has begun, where it has not ended; newest first."""
        jurisdictions = frozenset(asked)
        begun: list[tuple[Item, Binding, str]] = [
            (item, bound, authority)
            for item, bound in self.bindings()
            if bound.span.begins <= self.now
            for authority, _ in self.binders(item, sector, jurisdictions) & self.agreeing(item)
        ]
        return _newest_of_each(begun, self.now)

    # ---- What must be agreed to (steps 4 and 5, law 5) ---------------------------------------

    def required(self, manifest: Manifest, jurisdictions: Iterable[str]) -> set[tuple[str, str]]:
        """Cells (role, jurisdiction): who must approve, and for where."""
        operator, asked = self.world.operator, set(jurisdictions)
        roles = {*ALWAYS_REQUIRED, *manifest.required, *operator.required_roles}
        for name in asked:
            roles |= set(operator.jurisdiction_roles.get(name, ()))
        for floor in self.floors():
            roles |= set(floor.roles)
        return {(role, name) for role in roles for name in asked}


def _model(item: Item) -> str | None:
    return item.content.model if isinstance(item.content, Manifest) else None


def _newest_of_each(begun: list[tuple[Item, C, str]], now: int) -> list[tuple[Item, C, str]]:
    last: dict[str, int] = {}
    for _, content, author in begun:
        last[author] = max(last.get(author, content.span.begins), content.span.begins)
    found = [
        entry
        for entry in begun
        if entry[1].span.begins == last[entry[2]] and entry[1].span.holds(now)
    ]
    return sorted(found, key=lambda each: (each[1].span.begins, each[0].digest), reverse=True)
