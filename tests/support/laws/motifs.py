"""Courses of events that the laws are about, each around one word, one author, or one manifest.

Drawn by chance alone they would need thousands of histories; here a motif queues them in order,
with chance in who, what and how it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.laws import universe
from tests.support.laws.history import (
    Add,
    Arrive,
    Heartbeat,
    Lose,
    Mirror,
    Operation,
    Publish,
    Restart,
    Rotate,
    TakeBack,
    Wait,
)
from tests.support.laws.nouns import Declaration, Manifest, Specification, Withdrawal
from tests.support.laws.said import entry

if TYPE_CHECKING:
    from tests.support.laws.generate import Author


def renewed_then_withdrawn(author: Author) -> None:
    """Law 3: an author says it again, and the newer word is withdrawn, by itself or another."""
    if author.focus is None or isinstance(author.focus[1].content, Manifest | Specification):
        return
    who, item = author.focus
    newer = author.say(replace(item.content, span=author.span()), who)
    by = author.rng.choice((who, author.rng.choice(sorted(author.run.world.published))))
    author.queue.append(Publish(by, entry(newer)))
    author.queue.extend(_afterwards(author, who, newer.digest))


def withdrawn_then_anything(author: Author) -> None:
    """Law 1: a no, and then all that must not end it."""
    who = author.rng.choice(sorted(author.run.world.published))
    entry_of = Withdrawal(*author.subject())
    author.queue.append(Publish(who, entry_of))
    own = [i.digest for i in author.made.journal.get(who, [])]
    author.queue.extend(Lose(digest) for digest in author.rng.sample(own, min(2, len(own))))
    author.queue.extend(_afterwards(author, who))
    if author.rng.random() < 0.3:
        author.queue.append(TakeBack(who, entry_of))


def failed_then_anything(author: Author) -> None:
    """Laws 1 and 2: a FAILED, and then all that must not end it."""
    item = author.manifest()
    if item is None:
        return
    who = author.rng.choice(author.made.evaluators)
    failed = author.say(universe.result(item, author.span(), "FAILED"), who)
    suite = author.rng.choice(universe.SUITES).digest
    author.queue.append(Publish(who, universe.failure(item, suite, failed.digest)))
    by = author.rng.choice(sorted(author.run.world.published))
    author.queue.append(Publish(by, entry(failed)))
    author.queue.extend(_afterwards(author, who, failed.digest))


def superseded(author: Author) -> None:
    """Laws 6 and 7: a successor, complete or not, with a corpus that is withdrawn, and lost."""
    old = author.manifest()
    if old is None:
        return
    new = author.succeed(old, author.rng.choice(author.made.producers))
    if author.rng.random() < 0.6:
        steps = universe.needed(author.made, new, author.rng)
        drop = author.rng.randrange(len(steps)) if author.rng.random() < 0.3 else None
        before = len(author.queue)
        for number, (content, by) in enumerate(steps):
            if number != drop:
                author.say(content, by)
        _at_once(author, before, "what the successor needs")
    if author.rng.random() < 0.6:
        assert isinstance(new.content, Manifest)
        what = author.rng.choice(
            (Withdrawal("corpus", new.content.corpora[0]), Withdrawal("manifest", new.digest))
        )
        author.queue.append(Publish(author.rng.choice(sorted(author.run.world.published)), what))
    author.queue.extend(_afterwards(author, "acme-ml", new.digest))


def parent_withdrawn(author: Author) -> None:
    """Law 6: a word about the parent is withdrawn and lost."""
    about = [
        (who, item)
        for who, items in sorted(author.made.journal.items())
        for item in items
        if getattr(item.content, "model", None) == universe.PARENT
        and not isinstance(item.content, Manifest)
    ]
    if about:
        who, item = author.rng.choice(about)
        author.queue.append(Publish(who, entry(item)))
        author.queue.extend(_afterwards(author, who, item.digest))


def silent(author: Author) -> None:
    """Law 4: an authority cannot be heard, for a while and through a restart."""
    who = author.rng.choice(sorted(author.run.world.published))
    author.queue.append(author.rng.choice((Mirror(who, hangs=True), Heartbeat(who, stops=True))))
    author.queue.append(author.rng.choice((Wait(49), Restart(), Wait(7))))
    author.queue.append(author.rng.choice((Restart(), Wait(49), Mirror(who, hangs=False))))


def key_changed(author: Author) -> None:
    """Law 8: a key is replaced, at once or after an overlap; its owner signs again, or not."""
    who = author.focus[0] if author.focus is not None else "provider"
    if who not in author.run.world.published:
        return
    key = f"{who}/{len(author.run.world.published[who].keys) + 1}"
    author.queue.append(Rotate(who, key, author.rng.choice((None, 6, 72))))
    if author.rng.random() < 0.6:
        before = len(author.queue)
        author.queue.extend(author.resigned(who, key))
        _at_once(author, before, f"{who} re-signs everything")
    author.queue.append(Wait(author.rng.choice((7, 120))))


def _at_once(author: Author, start: int, label: str) -> None:
    """Let the files that were queued from ``start`` on arrive in one operation."""
    queued = author.queue[start:]
    items = tuple(each.item for each in queued if isinstance(each, Add))
    others = [each for each in queued if not isinstance(each, Add)]
    author.queue[start:] = [Arrive(label, items), *others] if items else others


def _afterwards(author: Author, who: str, digest: str | None = None) -> list[Operation]:
    """One or two of the things that must not matter."""
    number = (
        len(author.run.world.published[who].keys) + 1 if who in author.run.world.published else 9
    )
    options: list[Operation] = [
        Restart(),
        Wait(author.rng.choice((1, 49, 120))),
        Mirror(who, hangs=True),
        Rotate(who, f"{who}/{number}", None),
    ]
    if digest is not None:
        options += [Lose(digest)] * 3
    return author.rng.sample(options, author.rng.randint(1, 2))


def moved(author: Author) -> None:
    """Law 5: a no, and then its environment is declared for elsewhere, and the old file is lost."""
    environment = author.rng.choice((universe.PROD, universe.DUAL))
    who = author.rng.choice(sorted(author.run.world.published))
    author.queue.append(Publish(who, Withdrawal(*author.subject())))
    owner = author.run.world.credentials[environment]
    older = [
        item
        for item in author.made.journal.get(owner, [])
        if isinstance(item.content, Declaration) and item.content.environment == environment
    ]
    where = author.rng.choice((("us",), ("eu",), universe.EVERYWHERE))
    sector = author.rng.choice(("finance", "finance", "retail"))
    span = replace(author.span(), begins=author.run.now - author.run.now % universe.DAY)
    author.say(universe.declaration(environment, where, span, sector=sector), owner)
    if author.rng.random() < 0.5:
        author.queue.extend(Lose(item.digest) for item in older)
    author.queue.extend(_afterwards(author, owner))


def extended(author: Author) -> None:
    """Case 13: a model gains an operation by an extension of what it was tuned under."""
    old = author.manifest()
    if old is None or not isinstance(old.content, Manifest):
        return
    under = old.content.specification or universe.UNDER
    base = universe.SPECIFICATION
    kept = author.rng.choice((universe.OPERATIONS, universe.OPERATIONS, (universe.CHAT,)))
    place = replace(base.places[0], operations=(*kept, "batches"))
    begins = author.run.now - author.run.now % universe.DAY
    span = replace(author.span(), begins=begins)
    wider = author.say(replace(base, places=(place,), extends=under, span=span), "acme")
    new = author.succeed(
        old,
        author.rng.choice(author.made.producers),
        changes={
            "places": (place,),
            "specification": author.rng.choice((wider.digest, wider.digest, under)),
            "span": replace(old.content.span, begins=begins),
        },
    )
    before = len(author.queue)
    for content, by in universe.needed(author.made, new, author.rng):
        author.say(content, by)
    _at_once(author, before, "what the successor needs")
    what = author.rng.choice((under, wider.digest))
    by = author.rng.choice(sorted(author.run.world.published))
    options: list[Operation] = [
        Publish(by, Withdrawal("specification", what)),
        Lose(what),
        Restart(),
    ]
    author.queue.extend(author.rng.sample(options, author.rng.randint(0, 2)))
    author.queue.extend(_afterwards(author, "acme", wider.digest))


def unspecified(author: Author) -> None:
    """Case 13: what a model was tuned under is lost, withdrawn, or by a key that was replaced."""
    who = author.rng.choice(sorted(author.run.world.published))
    number = len(author.run.world.published["acme"].keys) + 1
    options: list[Operation] = [
        Lose(universe.UNDER),
        Publish(who, Withdrawal("specification", universe.UNDER)),
        Rotate("acme", f"acme/{number}", author.rng.choice((None, 6))),
    ]
    author.queue.extend(author.rng.sample(options, author.rng.randint(1, 2)))
    author.queue.append(author.rng.choice((Restart(), Wait(7), Wait(49))))


def chained(author: Author) -> None:
    """Law 7: a successor of a successor, of which the one in between was lost before it counted."""
    old = author.manifest()
    if old is None:
        return
    second = author.succeed(old, author.rng.choice(author.made.producers))
    lost: tuple[Operation, ...] = (Lose(second.digest), Restart())
    author.queue.extend(lost[: author.rng.randint(0, 2)])
    third = author.succeed(second, author.rng.choice(author.made.producers))
    before = len(author.queue)
    for content, by in universe.needed(author.made, third, author.rng):
        author.say(content, by)
    _at_once(author, before, "what the newest successor needs")
    author.queue.append(Lose(third.digest))


MOTIFS: tuple[Callable[[Author], None], ...] = (
    renewed_then_withdrawn,
    renewed_then_withdrawn,
    withdrawn_then_anything,
    failed_then_anything,
    superseded,
    superseded,
    parent_withdrawn,
    silent,
    key_changed,
    moved,
    moved,
    extended,
    unspecified,
    chained,
)
