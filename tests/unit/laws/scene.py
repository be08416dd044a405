"""A fixed world for hand-written histories: everybody takes part, and everything is admitted."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.support.laws import laboratory, universe
from tests.support.laws.history import Add, Operation, Publish, Run
from tests.support.laws.model import admits
from tests.support.laws.nouns import (
    Content,
    Grant,
    Item,
    Manifest,
    Question,
    Supersession,
    Withdrawal,
)
from tests.support.laws.ruling import Ruling
from tests.support.laws.universe import CHILD, DUAL, PARENT, PROD, Start

PARENT_IN_PROD = Question(PROD, PARENT)
CHILD_IN_PROD = Question(PROD, CHILD)
CHILD_IN_DUAL = Question(DUAL, CHILD)
BASE_IN_DUAL = Question(DUAL, universe.BASE)


class Everybody(Random):
    """Draws that let every authority take part and leave every setting at its default."""

    def random(self) -> float:
        return 0.0

    def choice(self, options: object) -> object:  # type: ignore[override]
        return options[0]  # type: ignore[index]


class Scene:
    """A run with the words that hand-written histories need."""

    def __init__(self, *, sandbox: bool = False) -> None:
        self.made: Start = universe.start(Everybody())
        if sandbox:
            laboratory.open_for(self.made, Everybody())
        self.run = Run(self.made.world)
        self.run.refresh()

    def do(self, *operations: Operation) -> Scene:
        for operation in operations:
            self.run.apply(operation)
        return self

    def ask(self, question: Question) -> Ruling:
        return admits(self.run.world, question, self.run.now)

    def sign(self, content: Content, who: str) -> Item:
        item = universe.signed_item(self.run.world, content, (who,))
        self.do(Add(f"{who} signs", item))
        return item

    def withdraw(self, who: str, kind: str, subject: str) -> Scene:
        return self.do(Publish(who, Withdrawal(kind, subject)))

    def item(self, kind: type, model: str, by: str | None = None) -> Item:
        """The one item of a kind about a model, by one author where several have spoken."""
        (found,) = {
            replace(file, keys=frozenset())
            for file in self.run.world.files
            if isinstance(file.content, kind)
            and getattr(file.content, "model", None) == model
            and (by is None or f"{by}/1" in file.keys)
        }
        return found

    def successor(self, old: Item, who: str = "acme-ml") -> Item:
        """A manifest that supersedes another, announced as its command does."""
        assert isinstance(old.content, Manifest)
        content = universe.manifest(
            old.content.model,
            base=old.content.base,
            parent=old.content.parent,
            supersedes=old.digest,
        )
        item = self.sign(content, who)
        self.do(Publish(who, Supersession(old.digest, item.digest)))
        return item

    @property
    def made_rng(self) -> Random:
        return Everybody()

    def complete(self, item: Item) -> Scene:
        for content, who in universe.needed(self.made, item, Everybody()):
            self.sign(content, who)
        return self

    def grant(self, who: str, *grants: Grant) -> None:
        self.run.world.operator.grants[who] = grants
