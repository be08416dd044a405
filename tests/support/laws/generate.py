"""A seeded generator of operations: each is drawn with the world at hand, then fixed as a value.

Authors keep to what their commands do: whoever signs a narrower word withdraws the older one,
whoever withdraws a word withdraws what it said before on that matter, and a producer announces
what its manifest supersedes. Now and then one does it by hand and forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType
from typing import Any

from tests.support.laws import laboratory, universe
from tests.support.laws.cascade import matter
from tests.support.laws.draws import floors, regrant, specify, waive
from tests.support.laws.history import (
    Add,
    Entry,
    Heartbeat,
    Lose,
    Mirror,
    Operation,
    Publish,
    Restart,
    Rotate,
    Run,
    Shuffle,
    TakeBack,
    Wait,
)
from tests.support.laws.motifs import MOTIFS
from tests.support.laws.nouns import (
    KIND_OF,
    Binding,
    Content,
    Item,
    Manifest,
    Question,
    Span,
    Specification,
    Supersession,
    Withdrawal,
)
from tests.support.laws.said import entry, label, matters, narrower
from tests.support.laws.universe import DAY, EVERYWHERE, Start

BY_HAND = 0.1
FOCUS = 0.5
FUTURE = 12


@dataclass
class Author:
    """Draws operations; ``run`` is the world as the operations so far made it."""

    rng: Random
    made: Start
    run: Run
    queue: list[Operation] = field(default_factory=list)
    focus: tuple[str, Item] | None = None
    """An author and one of its words, around which most of a history turns: unlikely courses of
    events are those in which one thing happens to the same word again and again."""

    def __post_init__(self) -> None:
        who = self.rng.choice(sorted(self.made.journal))
        self.focus = (who, self.rng.choice(self.made.journal[who]))

    def next(self) -> Operation:
        """The next operation, a consequence of the last one first."""
        while not self.queue:
            draws, weights = zip(*_DRAWS, strict=True)
            self.rng.choices(draws, weights)[0](self)
        return self.queue.pop(0)

    def questions(self, number: int) -> list[Question]:
        """Questions to ask in this history, first one that the word in focus matters to."""
        found = self.rng.sample(universe.QUESTIONS, len(universe.QUESTIONS))
        if self.focus is not None:
            content = self.focus[1].content
            found.sort(key=lambda question: not matters(content, question))
        return found[:number]

    # ---- Evidence ----------------------------------------------------------------------------

    def approve(self) -> None:
        item = self.manifest()
        if item is None:
            return
        role = self.rng.choice(sorted(self.made.approvers))
        who = self.one_of(self.made.approvers[role])
        where = self.rng.choice((("eu",), ("us",), EVERYWHERE))
        self.say(universe.approval(item, role, where, self.span()), who)

    def evaluate(self) -> None:
        item = self.manifest()
        if item is None:
            return
        who = self.one_of(self.made.evaluators)
        if self.rng.random() < 0.6:
            passed = universe.result(item, self.span())
            few = self.rng.sample(passed.suites, self.rng.randint(1, len(passed.suites)))
            partial = replace(passed, suites=tuple(few))
            self.say(self.rng.choice((passed, partial)), who)
            return
        failed = self.say(universe.result(item, self.span(), "FAILED"), who)
        if self.rng.random() > BY_HAND:
            suite = self.rng.choice(universe.SUITES).digest
            self.queue.append(Publish(who, universe.failure(item, suite, failed.digest)))

    def declare(self) -> None:
        environment = self.rng.choice(sorted(self.run.world.credentials))
        where = self.rng.choice((("eu",), ("us",), EVERYWHERE))
        bases = self.rng.choice(((), (f"openai/{universe.BASE}",)))
        sector = self.rng.choice(("finance",) * 4 + ("retail",))
        content = universe.declaration(environment, where, self.span(), bases, sector)
        if environment == self.made.laboratory:
            content = replace(content, purpose="evaluation")
        who = self.run.world.credentials[environment]
        if "acme-risk" in self.made.approvers["customer"] and self.rng.random() < 0.2:
            who = "acme-risk"
        self.say(content, who)

    def bind(self) -> None:
        item = self.manifest()
        if item is None or not isinstance(item.content, Manifest):
            return
        content = Binding(universe.DEPLOYMENT, item.content.model, item.digest, self.span())
        self.say(content, "provider")

    def motif(self) -> None:
        """A course of events that one of the laws is about."""
        more = () if self.made.laboratory is None else laboratory.MOTIFS
        self.rng.choice((*MOTIFS, *more))(self)

    def succeed(
        self, old: Item, *who: str, changes: Mapping[str, Any] = MappingProxyType({})
    ) -> Item:
        """Sign a manifest that supersedes another, and, as the command does, announce it."""
        assert isinstance(old.content, Manifest)
        content = replace(
            universe.manifest(
                old.content.model,
                base=old.content.base,
                parent=old.content.parent,
                supersedes=old.digest,
            ),
            required=self.rng.choice((("provider",), ("provider", "auditor"))),
            **{"specification": old.content.specification, **changes},
        )
        new = self.say(content, *who)
        if self.rng.random() > BY_HAND:
            self.queue.append(Publish(who[0], Supersession(old.digest, new.digest)))
        return new

    def supersede(self) -> None:
        old = self.manifest()
        if old is None:
            return
        who = self.one_of(self.made.producers)
        others = self.rng.sample(self.made.producers, 1) if self.rng.random() < 0.2 else []
        new = self.succeed(old, *dict.fromkeys((who, *others)))
        if self.rng.random() < 0.7:
            steps = universe.needed(self.made, new, self.rng)
            for content, by in steps[: self.rng.randint(1, len(steps) + 4)]:
                self.say(content, by)

    def renew(self) -> None:
        """Say again what was said, for another time."""
        who = self.one_of(sorted(self.made.journal))
        words = [i for i in self.made.journal[who] if _renewable(i)]
        if words and who in self.run.world.published:
            item = self._focused(words) or self.rng.choice(words)
            self.say(replace(item.content, span=self.span()), who)

    def resign(self) -> None:
        item = self._anything()
        authors = {key.rpartition("/")[0] for key in item.keys} if item else set()
        for name in sorted(authors & set(self.run.world.published)):
            newest = self.run.world.published[name].keys[-1].name
            signed = replace(item, keys=item.keys | {newest}) if item else None
            if signed is not None:
                self.queue.append(Add(f"{name} re-signs {label(signed.content)}", signed))

    # ---- Noes --------------------------------------------------------------------------------

    def withdraw(self) -> None:
        who = self.one_of(sorted(self.run.world.published))
        own = self.made.journal.get(who, [])
        if own and self.rng.random() < 0.5:
            self._withdraw_word(who, self._focused(own) or self.rng.choice(own))
            return
        if self.rng.random() < 0.3:
            whose = self.one_of(sorted(self.made.journal))
            newest = self._focused(self.made.journal[whose]) or self.made.journal[whose][-1]
            self.queue.append(Publish(who, entry(newest)))
            return
        kind, subject = self.subject()
        later = self.run.now + FUTURE if self.rng.random() < 0.2 else None
        self.queue.append(Publish(who, Withdrawal(kind, subject, later)))

    def take_back(self) -> None:
        all_entries: list[tuple[str, Entry]] = []
        for name, published in sorted(self.run.world.published.items()):
            all_entries.extend((name, each) for each in published.withdrawals)
            all_entries.extend((name, each) for each in published.failures)
            all_entries.extend((name, each) for each in published.supersessions)
        if all_entries:
            who, taken = self.rng.choice(all_entries)
            self.queue.append(TakeBack(who, taken, by_hand=self._replaces(who, taken)))

    def _replaces(self, who: str, taken: Entry) -> bool:
        """Return whether a withdrawn word is one of two of which the newer is the narrower one."""
        words = self.made.journal.get(who, [])
        return any(
            matter(old.content) == matter(new.content)
            and narrower(new.content, old.content)
            and isinstance(taken, Withdrawal)
            and taken.subject in {old.digest, new.digest}
            for at, new in enumerate(words)
            for old in words[:at]
        )

    def _withdraw_word(self, who: str, item: Item) -> None:
        """As the command does it: this word, and what the author said before on that matter."""
        for each in self.made.journal[who]:
            same = matter(each.content) == matter(item.content)
            if each is item or (same and each.content.span.begins <= item.content.span.begins):
                self.queue.append(Publish(who, entry(each)))

    def subject(self) -> tuple[str, str]:
        item = self._anything()
        options = [
            ("model", f"openai/{self.rng.choice((universe.PARENT, universe.CHILD))}"),
            ("model", f"openai/{universe.BASE}"),
            ("base-model", self.rng.choice(("openai/gpt-4o-*", f"openai/{universe.BASE}"))),
            ("environment", self.rng.choice((universe.DUAL, "spiffe://acme.example/**"))),
            ("key", f"{self.rng.choice(sorted(self.run.world.published))}/1"),
            ("authority", self.rng.choice(sorted(self.run.world.published))),
            ("evaluation", self.rng.choice(universe.SUITES).digest),
        ]
        if self.made.laboratory is not None:
            options += [("environment", laboratory.LAB), ("model", f"openai/{laboratory.NEW}")]
        if item is not None:
            options += [(KIND_OF[type(item.content)], item.digest)] * 3
            if isinstance(item.content, Manifest):
                options += [("corpus", item.content.corpora[0])] * 3
                options.append(("run", item.content.run))
                options.append(("evaluation", item.content.graders[0]))
                options.append(("model", f"openai/{item.content.used[0]}"))
        return self.rng.choice(options)

    # ---- Keys, files, time, the gate, the operator ----------------------------------------------

    def rotate(self) -> None:
        who = self.one_of(sorted(self.run.world.published))
        number = len(self.run.world.published[who].keys) + 1
        if number <= 4:
            overlap = self.rng.choice((None, None, 6, 72))
            self.queue.append(Rotate(who, f"{who}/{number}", overlap))
            if self.rng.random() < 0.5:
                self.queue.extend(self.resigned(who, f"{who}/{number}"))

    def resigned(self, who: str, key: str) -> list[Operation]:
        """Everything an authority signed, by its new key over the same bytes."""
        return [
            Add(f"{who} re-signs {label(item.content)}", replace(item, keys=item.keys | {key}))
            for item in self.made.journal.get(who, [])
        ]

    def lose(self) -> None:
        """Lose anything, or what a no is about: the file that somebody would like to be gone."""
        item = self._anything()
        subjects = {
            entry.subject
            for published in self.run.world.published.values()
            for entry in published.withdrawals
        }
        denied = [file for file in self.run.world.files if file.digest in subjects]
        if denied and self.rng.random() < 0.5:
            item = self.rng.choice(denied)
        if item is not None:
            self.queue.append(Lose(item.digest))

    def find_again(self) -> None:
        lost = [
            item
            for items in self.made.journal.values()
            for item in items
            if all(item.digest != known.digest for known in self.run.world.files)
        ]
        if lost:
            item = self.rng.choice(lost)
            self.queue.append(Add(f"found again: {label(item.content)}", item))

    def shuffle(self) -> None:
        self.queue.append(Shuffle(self.rng.randrange(1 << 16)))

    def mirror(self) -> None:
        who = self.one_of(sorted(self.run.world.published))
        self.queue.append(Mirror(who, who not in self.run.hung))

    def heartbeat(self) -> None:
        who = self.one_of(sorted(self.run.world.published))
        self.queue.append(Heartbeat(who, who not in self.run.mute))

    def wait(self) -> None:
        self.queue.append(Wait(self.rng.choice((1, 7, 49, 120))))

    def restart(self) -> None:
        self.queue.append(Restart())

    # ---- Helpers -----------------------------------------------------------------------------

    def say(self, content: Content, *who: str) -> Item:
        """Sign it; where it is narrower than what an author said before, that is withdrawn."""
        item = universe.signed_item(self.run.world, content, who)
        forgets = self.rng.random() < BY_HAND
        older = {
            name: [
                each
                for each in self.made.journal.get(name, [])
                if matter(each.content) == matter(content)
                and each.digest != item.digest
                and narrower(content, each.content)
            ]
            for name in who
        }
        text = f"{' and '.join(who)} sign {label(content)}"
        self.queue.append(Add(text, item, forgets and any(older.values())))
        for name, narrowed in older.items():
            noes = [] if forgets else [entry(each) for each in narrowed]
            self.queue.extend(Publish(name, no) for no in dict.fromkeys(noes))
            self.made.journal.setdefault(name, []).append(item)
        return item

    def span(self) -> Span:
        begins = self.run.now - self.run.now % DAY + self.rng.choice((-DAY, 0, 0, DAY))
        return Span(begins, begins + self.rng.choice((2, 5, 60)) * DAY)

    def manifest(self) -> Item | None:
        found = [f for f in self.run.world.files if isinstance(f.content, Manifest)]
        if self.focus is not None and self.rng.random() < FOCUS:
            content = self.focus[1].content
            about = getattr(content, "manifest", self.focus[1].digest)
            found = [f for f in found if f.digest == about] or found
        return self.rng.choice(found) if found else None

    def _anything(self) -> Item | None:
        files = self.run.world.files
        return self._focused(files) or (self.rng.choice(files) if files else None)

    def one_of(self, names: Sequence[str]) -> str:
        """A name: mostly that of the author in focus."""
        if self.focus is not None and self.focus[0] in names and self.rng.random() < FOCUS:
            return self.focus[0]
        return self.rng.choice(names)

    def _focused(self, items: Sequence[Item]) -> Item | None:
        """Mostly the newest word on the matter in focus."""
        if self.focus is None or self.rng.random() > FOCUS:
            return None
        subject = matter(self.focus[1].content)
        found = [item for item in items if matter(item.content) == subject]
        return max(found, key=lambda item: item.content.span.begins, default=None)


def _renewable(item: Item) -> bool:
    """Whether a statement is the same under another span: others name the rest by digest."""
    return not isinstance(item.content, Manifest | Specification)


_DRAWS: tuple[tuple[Callable[[Author], None], int], ...] = (
    (Author.motif, 25),
    (Author.approve, 8),
    (Author.evaluate, 6),
    (Author.declare, 6),
    (Author.bind, 3),
    (specify, 3),
    (waive, 2),
    (Author.supersede, 6),
    (Author.renew, 8),
    (Author.resign, 3),
    (Author.withdraw, 12),
    (Author.take_back, 5),
    (Author.rotate, 7),
    (Author.lose, 8),
    (Author.find_again, 3),
    (Author.shuffle, 3),
    (Author.mirror, 5),
    (Author.heartbeat, 4),
    (Author.wait, 7),
    (Author.restart, 4),
    (regrant, 4),
    (floors, 2),
)
