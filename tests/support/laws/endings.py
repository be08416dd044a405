"""How some histories end: a course of events drawn apart, so that what comes before keeps its seed.

A history that once showed a fault is named by its seed. A course that is added to ``motifs`` would
change what every seed draws; one that is added here follows what the seed drew before.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.support.laws import universe
from tests.support.laws.history import Add, Arrive, Lose, Publish, Rotate
from tests.support.laws.nouns import Item, Manifest, Withdrawal

if TYPE_CHECKING:
    from tests.support.laws.generate import Author

SHARE, LENGTH = 0.25, 8


def drawn(seed: int) -> int:
    """How many operations follow the history of a seed."""
    return LENGTH if Random(f"ending {seed}").random() < SHARE else 0


def begin(author: Author, seed: int) -> None:
    """Draw from here on apart, first one of the courses below."""
    author.rng = Random(f"course {seed}")
    author.queue.clear()
    author.rng.choice(COURSES)(author)


def successor_of_two(author: Author) -> None:
    """Law 6: two producers sign a successor; its keys are withdrawn, those of the older stay."""
    old = author.manifest()
    if old is None or len(author.made.producers) < 2:
        return
    two = author.rng.sample(author.made.producers, 2)
    owner = next((key.rpartition("/")[0] for key in sorted(old.keys)), two[0])
    if owner in author.run.world.published:
        number = len(author.run.world.published[owner].keys) + 1
        new = author.succeed(old, *two)
        key = f"{owner}/{number}"
        author.queue.append(Rotate(owner, key, author.rng.choice((None, 72, 72))))
        signed = [each.item for each in author.resigned(owner, key) if isinstance(each, Add)]
        again = tuple(item for item in signed if _is_of(item, old.digest))
        author.queue.append(Arrive(f"{owner} re-signs", again))
        _withdraw_keys(author, sorted(new.keys))
        author.queue.append(Lose(new.digest))


def statement_of_two(author: Author) -> None:
    """Laws 1 and 2: two authorities sign one statement, are withdrawn, and its files are lost."""
    item = author.manifest()
    if item is None:
        return
    role = author.rng.choice(sorted(author.made.approvers))
    able = author.made.approvers[role]
    two = author.rng.sample(able, min(2, len(able)))
    if author.rng.random() < 0.4:
        two = author.rng.sample(author.made.evaluators, 2)
        signed = author.say(universe.result(item, author.span()), *two)
    else:
        where = author.rng.choice((("eu",), ("us",), universe.EVERYWHERE))
        signed = author.say(universe.approval(item, role, where, author.span()), *two)
    _withdraw_keys(author, sorted(signed.keys))
    author.queue.append(author.rng.choice((Lose(signed.digest), Add("it returns", signed))))


def _is_of(item: Item, digest: str) -> bool:
    """Whether it is a manifest, or a statement about it."""
    about = item.digest if isinstance(item.content, Manifest) else None
    return digest in (about, getattr(item.content, "manifest", None))


def _withdraw_keys(author: Author, keys: list[str]) -> None:
    """Withdraw each key, or the authority that holds it; now and then not the last one."""
    by = author.rng.choice(sorted(author.run.world.published))
    for key in keys[: author.rng.choice((1, 2, 2, 2))]:
        name = key.rpartition("/")[0]
        options = (Withdrawal("key", key), Withdrawal("key", key), Withdrawal("authority", name))
        author.queue.append(Publish(by, author.rng.choice(options)))


COURSES: tuple[Callable[[Author], None], ...] = (successor_of_two, statement_of_two)
