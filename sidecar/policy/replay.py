"""Replays recorded facts against two trees of policies and compares the decisions.

Theory of operation. A gate with ``facts_log`` records the facts of every decision by policies: the
preferred evidence, and what else they were asked about where they denied that. Each record
is put to two trees of policies, each served by an OPA of its own. The answers are compared by
decision (allow or not) and by violations (rule, jurisdiction, subject). The reference time is the
recorded one, so only the policies differ, and the jurisdictions where ``as_if`` restates them.
Records are read in batches, and only changes are kept.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from sidecar.opa.errors import PolicyError
from sidecar.policy.as_if import AsIf, chosen, restated
from sidecar.policy.ask_in_turn import ask_in_turn

MAX_LINE_BYTES = 4 << 20
MAX_CHANGES = 1000
MAX_GROUPS = 1000
FACTS_MALFORMED = "facts_malformed"
_BATCH = 256
_ASKERS = 4


class Decider(Protocol):
    """Evaluates facts like the gate's OPA."""

    def decide(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of one query."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded decision: its id, time and outcome, and the facts.

    ``others`` are the facts of other evidence that the policies were asked about after ``facts``.
    """

    id: str
    time: str
    allowed: bool
    facts: Mapping[str, Any]
    others: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class RuleHit:
    """One violation or warning, without its message."""

    jurisdiction: str
    code: str
    subject: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one tree of policies to one query."""

    allow: bool
    violations: frozenset[RuleHit]
    warnings: frozenset[RuleHit]


@dataclass(frozen=True, slots=True)
class Change:
    """One decision whose outcome or violations differ."""

    record: Record
    before: Answer
    after: Answer

    @property
    def kind(self) -> str:
        """``denied`` now, ``allowed`` now, or denied for other ``reasons``."""
        if self.before.allow != self.after.allow:
            return "allowed" if self.after.allow else "denied"
        return "reasons"


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """The attributes shared by decisions that change alike.

    Attributes:
        kind: As of a change.
        environment: SPIFFE ID; empty where the facts name none.
        models: Every name the calls use.
        appears: (jurisdiction, code) of what denies now and did not.
        disappears: The same for what denied and does not any more.
    """

    kind: str
    environment: str
    models: tuple[str, ...]
    appears: tuple[tuple[str, str], ...]
    disappears: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many decisions a group has, the first of them by id and time, and the last one's time."""

    decisions: int
    first: str
    since: str
    until: str


@dataclass(slots=True)
class Difference:
    """The result of a replay.

    Attributes:
        records: The number of replayed queries.
        changes: The decisions that change, the first ``MAX_CHANGES`` of them.
        kinds: How many of each kind, all of them.
        appears: (jurisdiction, code) of what denies now and did not: in how many decisions.
        disappears: The same for what denied and does not any more.
        groups: The decisions that change, by their shared attributes; at most ``MAX_GROUPS``.
        ungrouped: How many decisions change that are in none of the groups.
        restated: How many records each ``AsIf`` restated, by its pattern.
        warnings: Decisions in which only warnings differ.
        unlike_recorded: Decisions for which the tree before differs from the recorded outcome.
        malformed: Records whose facts lack a field that the tree before needs, such as those of
            another release; they are counted in no other field, because they cannot be compared.
    """

    records: int = 0
    changes: list[Change] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    appears: Counter[tuple[str, str]] = field(default_factory=Counter)
    disappears: Counter[tuple[str, str]] = field(default_factory=Counter)
    groups: dict[Group, Tally] = field(default_factory=dict)
    ungrouped: int = 0
    restated: Counter[str] = field(default_factory=Counter)
    warnings: int = 0
    unlike_recorded: int = 0
    malformed: int = 0

    @property
    def changed(self) -> int:
        """Return how many decisions change."""
        return self.kinds.total()

    def add(self, record: Record, before: Answer, after: Answer) -> None:
        """Count one query's two answers."""
        self.records += 1
        if any(one.code == FACTS_MALFORMED for one in before.violations):
            self.malformed += 1
            return
        self.unlike_recorded += before.allow != record.allowed
        if (before.allow, before.violations) == (after.allow, after.violations):
            self.warnings += before.warnings != after.warnings
            return
        change = Change(record, before, after)
        self.kinds[change.kind] += 1
        group = _group(change)
        self.appears.update(group.appears)
        self.disappears.update(group.disappears)
        self._count(group, record)
        if len(self.changes) < MAX_CHANGES:
            self.changes.append(change)

    def _count(self, group: Group, record: Record) -> None:
        known = self.groups.get(group)
        if known is not None:
            self.groups[group] = replace(known, decisions=known.decisions + 1, until=record.time)
        elif len(self.groups) < MAX_GROUPS:
            self.groups[group] = Tally(1, record.id, record.time, record.time)
        else:
            self.ungrouped += 1


def replay(
    records: Iterable[Record],
    before: Decider,
    after: Decider,
    advanced: Callable[[int], None] = lambda _: None,
    changes: Sequence[AsIf] = (),
) -> Difference:
    """Evaluate every record with both trees and compare the answers.

    Args:
        records: From ``read``.
        before: The policies in force.
        after: The changed policies.
        advanced: Called with the number of records done since its last call.
        changes: Restatements of the facts for ``after``; the last that covers a record applies.

    Raises:
        PolicyError: An answer is missing or has another shape.
    """
    difference, rest = Difference(), iter(records)

    def both(record: Record) -> tuple[Record, Answer, Answer, AsIf | None]:
        change = chosen(changes, record.facts)
        asked = (record.facts, *record.others)
        other = asked if change is None else tuple(restated(change, facts) for facts in asked)
        return record, _decided(before, asked), _decided(after, other), change

    with ThreadPoolExecutor(_ASKERS) as pool:
        while batch := list(islice(rest, _BATCH)):
            for record, was, would_be, change in pool.map(both, batch):
                difference.add(record, was, would_be)
                if change is not None:
                    difference.restated[change.pattern] += 1
            advanced(len(batch))
    return difference


def read(path: Path) -> Iterator[Record]:
    """Yield every record of a log of facts.

    Raises:
        PolicyError: It cannot be read, or a line is no record; the message names the line.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                yield _record(line, f"{path}:{number}")
    except OSError as error:
        raise _unread(path, error) from error


def count(path: Path) -> int:
    """Return the number of lines of a file.

    Raises:
        PolicyError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        raise _unread(path, error) from error


def _unread(path: Path, error: OSError) -> PolicyError:
    if isinstance(error, FileNotFoundError):
        return PolicyError(f"{path}: there is no such file; a gate writes one with facts_log set")
    return PolicyError(f"{path}: {error.strerror}")


def _decided(policies: Decider, asked: Iterable[Mapping[str, Any]]) -> Answer:
    """Return the first answer that allows, else that about the preferred evidence."""
    return ask_in_turn(asked, lambda facts: answer(policies.decide(facts)), lambda a: a.allow)[1]


def answer(value: Mapping[str, Any]) -> Answer:
    """Parse an answer of the policies.

    Raises:
        PolicyError: It has another shape.
    """
    try:
        allow = value["allow"]
        if not isinstance(allow, bool):
            raise TypeError("allow")
        return Answer(allow, _found(value["violations"]), _found(value["warnings"]))
    except (KeyError, TypeError) as error:
        raise PolicyError(
            "the policies' answer lacks allow, violations or warnings, or one has another type"
        ) from error


def _found(entries: Iterable[Mapping[str, str]]) -> frozenset[RuleHit]:
    return frozenset(RuleHit(e["jurisdiction"], e["code"], e["subject"]) for e in entries)


def _group(change: Change) -> Group:
    before, after, facts = change.before.violations, change.after.violations, change.record.facts
    environment, request = facts.get("environment"), facts.get("request")
    name = environment.get("id") if isinstance(environment, Mapping) else None
    models = request.get("models") if isinstance(request, Mapping) else None
    return Group(
        change.kind,
        str(name or ""),
        tuple(map(str, models)) if isinstance(models, list) else (),
        _rules(after - before),
        _rules(before - after),
    )


def _rules(found: Iterable[RuleHit]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({(one.jurisdiction, one.code) for one in found}))


def _record(line: bytes, place: str) -> Record:
    try:
        value = json.loads(line)
        facts, others, allowed = value["facts"], value.get("others", []), value["allowed"]
        if not all(isinstance(each, dict) for each in (facts, *others)):
            raise TypeError("facts")
        if not isinstance(allowed, bool):
            raise TypeError("allowed")
        return Record(str(value["id"]), str(value["time"]), allowed, facts, tuple(others))
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyError(
            f"{place}: expected a record as a gate writes it (id, time, allowed, facts)"
        ) from error
