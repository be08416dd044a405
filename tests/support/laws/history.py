"""Operations of a history, as values that can be printed, shrunk and applied again.

``apply`` changes the world as the named act would; ``refresh`` is what the control path does after
it: ask every authority whose mirror answers, and keep the last verified view of every other one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.support.laws.nouns import (
    Documents,
    Failure,
    Floor,
    Grant,
    Item,
    Key,
    Span,
    Supersession,
    Withdrawal,
    World,
)
from tests.support.laws.succession import settle

Entry = Withdrawal | Failure | Supersession

HEARTBEAT = 48
"""Hours for which an authority's online key signs its timestamp."""


@dataclass(frozen=True, slots=True)
class Add:
    """A file arrives: an item as signed by some keys.

    ``by_hand``: it is narrower than what its author said before, and the author forgot to withdraw
    that, as its command would have done.
    """

    label: str
    item: Item
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Arrive:
    """Several files arrive at once, so that what follows fits into a history."""

    label: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Lose:
    """Every file of an item leaves the folder."""

    digest: str


@dataclass(frozen=True, slots=True)
class Shuffle:
    """The folder's files are given in another order, some of them twice, with junk between."""

    seed: int


@dataclass(frozen=True, slots=True)
class Publish:
    """An authority publishes an entry in its withdrawals document."""

    authority: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class TakeBack:
    """An authority publishes a version without that entry.

    ``by_hand``: it was the withdrawal of a word which a narrower one replaced, or of that narrower
    one. Both count then, of which its command warns.
    """

    authority: str
    entry: Entry
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Rotate:
    """An authority's newest key gives way to a new one, at once or after ``overlap`` hours."""

    authority: str
    key: str
    overlap: int | None


@dataclass(frozen=True, slots=True)
class Mirror:
    """An authority's mirror hangs, or answers again."""

    authority: str
    hangs: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """An authority stops signing new timestamps, or does so again."""

    authority: str
    stops: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes."""

    hours: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The gate starts anew, with what it kept."""


@dataclass(frozen=True, slots=True)
class Regrant:
    """The operator changes what an authority is granted; nothing at all where empty."""

    authority: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class SetFloors:
    """The operator changes the floors."""

    floors: tuple[Floor, ...]


@dataclass(frozen=True, slots=True)
class Require:
    """The operator changes what it requires: roles, everywhere and in jurisdictions, and whether a
    manifest must name a specification."""

    roles: tuple[str, ...]
    jurisdictions: tuple[tuple[str, tuple[str, ...]], ...]
    specified: bool


Operation = (
    Add
    | Arrive
    | Lose
    | Shuffle
    | Publish
    | TakeBack
    | Rotate
    | Mirror
    | Heartbeat
    | Wait
    | Restart
    | Regrant
    | SetFloors
    | Require
)


@dataclass(slots=True)
class Run:
    """A world on its way through a history."""

    world: World
    now: int = 0
    hung: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    junk: int = 0

    def apply(self, operation: Operation) -> None:
        """Do it, and let the control path see it."""
        world = self.world
        match operation:
            case Add() | Arrive():
                world.files.extend(_arriving(operation))
            case Lose():
                world.files = [f for f in world.files if f.digest != operation.digest]
            case Shuffle():
                self._shuffle(Random(operation.seed))
            case Publish() | TakeBack() | Rotate():
                self._publish(operation)
            case Mirror():
                _toggle(self.hung, operation.authority, operation.hangs)
            case Heartbeat():
                _toggle(self.mute, operation.authority, operation.stops)
            case Regrant() | SetFloors() | Require():
                self._configure(operation)
            case Wait():
                self.now += operation.hours
            case Restart():
                world.heard = set()
        self.refresh()

    def refresh(self) -> None:
        """Hear every authority whose mirror answers; then see which successors took over."""
        world = self.world
        for name in world.published:
            if name not in self.mute:
                current = world.published[name].with_expiry(self.now + HEARTBEAT)
                world.published[name] = current
            if name not in self.hung and name in world.operator.grants:
                world.views[name] = world.published[name]
                world.heard.add(name)
        settle(world)

    def _shuffle(self, rng: Random) -> None:
        files = self.world.files + rng.sample(self.world.files, min(3, len(self.world.files)))
        rng.shuffle(files)
        self.world.files = files
        self.junk += 1

    def _configure(self, operation: Regrant | SetFloors | Require) -> None:
        operator = self.world.operator
        if isinstance(operation, Require):
            self.world.operator = replace(
                operator,
                required_roles=operation.roles,
                jurisdiction_roles=dict(operation.jurisdictions),
                specified=operation.specified,
            )
            return
        if isinstance(operation, SetFloors):
            self.world.operator = replace(operator, floors=operation.floors)
            return
        grants = {**operator.grants, operation.authority: operation.grants}
        if not operation.grants:
            del grants[operation.authority]
            # What was kept of an authority goes with its last grant, by the operator's own act.
            self.world.views.pop(operation.authority, None)
            self.world.heard.discard(operation.authority)
        self.world.operator = replace(operator, grants=grants)

    def _publish(self, operation: Publish | TakeBack | Rotate) -> None:
        documents = self.world.published.get(operation.authority)
        if documents is None:
            return
        if isinstance(operation, Rotate):
            changed = self._rotated(documents, operation)
        elif isinstance(operation, Publish):
            changed = _with(documents, operation.entry)
        else:
            changed = _without(documents, operation.entry)
        # Publishing signs a new timestamp whether or not the heartbeat runs.
        self.world.published[operation.authority] = changed.with_expiry(self.now + HEARTBEAT)

    def _rotated(self, documents: Documents, operation: Rotate) -> Documents:
        *older, newest = documents.keys
        if operation.overlap is None:
            old = replace(newest, active=False)
        else:
            ends = min(newest.span.ends, self.now + operation.overlap)
            old = replace(newest, span=Span(newest.span.begins, max(ends, newest.span.begins + 1)))
        new = Key(operation.key, Span(self.now, self.now + 24 * 90))
        return replace(documents, keys=(*older, old, new))


def _arriving(operation: Add | Arrive) -> tuple[Item, ...]:
    return (operation.item,) if isinstance(operation, Add) else operation.items


def _toggle(names: set[str], name: str, on: bool) -> None:
    names.add(name) if on else names.discard(name)


def _with(documents: Documents, entry: Entry) -> Documents:
    match entry:
        case Withdrawal():
            rest = tuple(e for e in documents.withdrawals if e != entry)
            return replace(documents, withdrawals=(*rest, entry))
        case Failure():
            rest_of = tuple(e for e in documents.failures if e != entry)
            return replace(documents, failures=(*rest_of, entry))
        case Supersession():
            others = tuple(e for e in documents.supersessions if e != entry)
            return replace(documents, supersessions=(*others, entry))


def _without(documents: Documents, entry: Entry) -> Documents:
    return replace(
        documents,
        withdrawals=tuple(e for e in documents.withdrawals if e != entry),
        failures=tuple(e for e in documents.failures if e != entry),
        supersessions=tuple(e for e in documents.supersessions if e != entry),
    )
