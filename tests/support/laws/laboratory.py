"""Some worlds have an evaluator with a sandbox of its own, and a model that nobody approved yet.

It is drawn apart, as endings are: the other worlds, and what is drawn in them, stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.support.laws import universe
from tests.support.laws.history import Lose, Operation, Publish, TakeBack
from tests.support.laws.nouns import (
    EVERYTHING,
    Approval,
    Declaration,
    Documents,
    Grant,
    Item,
    Key,
    Manifest,
    Question,
    Result,
    Span,
    Waiver,
)
from tests.support.laws.said import entry
from tests.support.laws.universe import (
    BASE,
    CHILD,
    DAY,
    DEPLOYMENT,
    DUAL,
    LONG,
    PARENT,
    PROD,
    TUNE,
    UNDER,
    Start,
)

if TYPE_CHECKING:
    from tests.support.laws.generate import Author

SHARE = 0.4
LAB = "spiffe://lab.example/env/evaluation"
NEW = f"ft:{BASE}:acme:v3:n"
"""What was tuned last; it has neither results nor approvals."""

QUESTIONS = (
    Question(LAB, NEW, sandbox=True),
    Question(LAB, NEW, sandbox=True),
    Question(LAB, CHILD, sandbox=True),
    Question(LAB, PARENT, others=(NEW,), sandbox=True),
    Question(LAB, CHILD, deployment=DEPLOYMENT, sandbox=True),
    Question(PROD, NEW),
    Question(PROD, PARENT),
    Question(PROD, "", "files.retrieve", modelless=True),
    Question(DUAL, "", "files.retrieve", modelless=True),
)
REFUSED = (
    Question(LAB, NEW),
    Question(PROD, NEW, sandbox=True),
    Question(LAB, CHILD, others=(BASE,), sandbox=True),
    Question(LAB, CHILD, TUNE, tunes=UNDER, sandbox=True),
    Question(LAB, "", "files.retrieve", sandbox=True, modelless=True),
)
"""What no history ever admits, or hardly any."""


def drawn(seed: int) -> bool:
    return Random(f"laboratory {seed}").random() < SHARE


def open_for(made: Start, rng: Random) -> None:
    """Add the evaluator, its environment, and the new model."""
    grants, acme = made.world.operator.grants, universe.tenant("acme")
    wide = (*acme, LAB)
    for name, theirs in list(grants.items()):
        grants[name] = tuple(_opened(rng, name, grant, wide) for grant in theirs)
    if rng.random() > 0.85:
        grants["acme-ml"] = (*grants["acme-ml"], Grant("evaluator", sandbox=(LAB,)))
    grants["lab"] = (
        Grant(
            "evaluator",
            environments=rng.choice((acme, wide)),
            jurisdictions=rng.choice((EVERYTHING, EVERYTHING, ("eu",))),
            sectors=rng.choice((EVERYTHING, EVERYTHING, ("finance",))),
            sandbox=(LAB,),
        ),
        Grant(
            "customer",
            environments=(LAB,),
            models=rng.choice((EVERYTHING, ("none/*",))),
            trust_domains=("lab.example",),
        ),
    )
    made.open_laboratory(LAB, "lab", Documents((Key("lab/1", LONG),), expires=2 * DAY))
    sector = rng.choice(("finance", "laboratory"))
    where = rng.choice((("eu",), universe.EVERYWHERE))
    universe.sign(made, declaration(rng, where, sector), "lab")
    parent = next(i for i in made.journal["acme-ml"] if isinstance(i.content, Manifest))
    tuned = universe.manifest(NEW, base=PARENT, parent=parent.digest)
    new = rng.choice((tuned, universe.manifest(NEW)))
    named = universe.UNDER if made.world.operator.specified else None
    new = replace(new, shutdown=rng.choice((None, None, 50)), specification=named)
    universe.sign(made, new, "acme-ml")


def declaration(rng: Random, where: tuple[str, ...], sector: str) -> Declaration:
    purpose = "evaluation" if rng.random() < 0.9 else "support"
    return replace(universe.declaration(LAB, where, sector=sector), purpose=purpose)


def _opened(rng: Random, name: str, grant: Grant, wide: tuple[str, ...]) -> Grant:
    """Let producers of the tenant reach the laboratory, and now and then others evaluate there."""
    if grant.role == "producer" and name != "globex-ml":
        return replace(grant, environments=rng.choice((wide, wide, EVERYTHING)))
    if name in ("eval-a", "echo", "second-look") and grant.role == "evaluator":
        return replace(grant, environments=rng.choice((EVERYTHING, wide[:-1])))
    if name in ("eval-b", "world") and grant.role == "evaluator" and rng.random() > 0.7:
        return replace(grant, sandbox=(LAB,))
    return grant


def question(rng: Random) -> Question:
    """A question that is mostly asked over the route of the sandbox."""
    return rng.choice(REFUSED if rng.random() < 0.15 else QUESTIONS)


# ---- Courses of events --------------------------------------------------------------------------


def looked_at_again(author: Author) -> None:
    """Law 1: a failure denies the sandbox too, except to whoever published one itself."""
    item = _about(author)
    able = author.made.evaluators
    two = [author.rng.choice(able), author.rng.choice(("lab", "lab", *able))]
    suites = universe.SUITES
    said = [
        (who, universe.failure(item, author.rng.choice(suites).digest, "1" * 64)) for who in two
    ]
    order: list[Operation] = [Publish(who, failure) for who, failure in said]
    order.append(TakeBack(*author.rng.choice(said)))
    author.queue.extend(order[: author.rng.randint(1, 3)])


def activated(author: Author) -> None:
    """What the sandbox is for: results and approvals come, and production may call the model."""
    item = _about(author)
    steps = universe.needed(author.made, item, author.rng)
    for content, who in steps[: author.rng.randint(1, len(steps) + 4)]:
        author.say(content, who)
    if author.rng.random() < 0.3:
        author.queue.append(Publish(author.one_of(sorted(author.run.world.published)), entry(item)))


def redeclared(author: Author) -> None:
    """The laboratory declares its environment anew: elsewhere, or for another purpose."""
    where = author.rng.choice((("eu",), ("us",), universe.EVERYWHERE))
    sector = author.rng.choice(("finance", "laboratory"))
    author.say(replace(declaration(author.rng, where, sector), span=author.span()), "lab")


def waived(author: Author) -> None:
    """Regulators excuse rules of the policies; a waiver is dropped where its author is in doubt."""
    environment = author.rng.choice((LAB, LAB, PROD))
    who = author.rng.choice(author.made.approvers["regulator"])
    where = who[:2] if who[:2] in universe.EVERYWHERE else author.rng.choice(universe.EVERYWHERE)
    said = author.say(Waiver(environment, "eu-art-50", where, author.span()), who)
    if author.rng.random() < 0.5:
        by = author.rng.choice((who, who, *sorted(author.run.world.published)))
        author.queue.append(Publish(by, entry(said)))


def said_otherwise(author: Author) -> None:
    """An approval or a result is lost, and said again for another time, place or operation."""
    about = [f for f in author.run.world.files if isinstance(f.content, Approval | Result)]
    item = author.rng.choice(about)
    content = replace(item.content, span=author.rng.choice((Span(-72, -24), LONG)))
    if isinstance(content, Approval):
        operations = author.rng.choice((universe.OPERATIONS, ("batches",)))
        content = replace(content, operations=operations)
    elif isinstance(content, Result):
        content = replace(content, outcome=author.rng.choice(("PASSED", "FAILED")))
    author.queue.append(Lose(item.digest))
    for name in sorted({key.rpartition("/")[0] for key in item.keys}):
        if name in author.run.world.published:
            author.say(content, name)


def _about(author: Author) -> Item:
    """The new model's manifest, or any other."""
    found = [f for f in author.run.world.files if isinstance(f.content, Manifest)]
    new = [f for f in found if getattr(f.content, "model", None) == NEW]
    anything = author.rng.choice(found) if found else author.made.journal["acme-ml"][0]
    return author.rng.choice(new) if new and author.rng.random() < 0.7 else anything


MOTIFS: tuple[Callable[[Author], None], ...] = (
    looked_at_again,
    looked_at_again,
    activated,
    activated,
    redeclared,
    waived,
    said_otherwise,
)
