"""Compares statements of one authority on one matter: does the newer one renew or narrow it?

Pure. A *matter* is what several statements of one author are about: an approval's manifest and
role, a result's manifest and suites, an environment's SPIFFE ID, a deployment's name. A newer
statement that permits less than an older one is a *no* to the rest, and is published as one (the
older statement is withdrawn), so that losing the newer file can never permit more.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import assert_never

from sidecar.core.evidence import Statement
from sidecar.core.patterns import any_covers
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Predicate,
    Result,
    Specification,
    Waiver,
)

PASSED = "PASSED"


class Relation(StrEnum):
    """How a newer statement relates to an older one of the same author on the same matter."""

    RENEWS = "renews"
    """It permits everything that the older one permits, for at least as long."""

    BESIDE = "beside"
    """It permits nothing that the older one permits: the two add up."""

    NARROWS = "narrows"
    """Anything else: the older one is replaced."""


def matter(statement: Statement[Predicate]) -> tuple[str, ...] | None:
    """Return the matter of a statement (law 3); ``None`` for a kind without matters."""
    subject, predicate = statement.subject, statement.predicate
    match predicate:
        case Approval():
            return "approval", subject.digest.sha256, predicate.role
        case Result():
            suites = sorted({item.digest.sha256 for item in predicate.configuration})
            return "result", subject.digest.sha256, *suites
        case Environment():
            return "environment", subject.name
        case DeploymentBinding():
            return "deployment", predicate.provider, predicate.deployment
        case Manifest() | Waiver() | Specification():
            return None
    assert_never(predicate)


def relation(new: Statement[Predicate], old: Statement[Predicate]) -> Relation:
    """Compare two statements on the same matter."""
    ours, before = new.predicate, old.predicate
    longer = ours.window.not_after >= before.window.not_after
    if isinstance(ours, Approval) and isinstance(before, Approval):
        return _approvals(ours, before)
    if isinstance(ours, Result) and isinstance(before, Result):
        renews = before.result != PASSED or (
            ours.result == PASSED and longer and _scores_as_high(ours, before)
        )
    elif isinstance(ours, Environment) and isinstance(before, Environment):
        renews = longer and _same_environment(ours, before)
    elif isinstance(ours, DeploymentBinding) and isinstance(before, DeploymentBinding):
        same = (ours.model, new.subject.digest, ours.declarations) == (
            before.model,
            old.subject.digest,
            before.declarations,
        )
        renews = longer and same
    else:
        raise TypeError(f"{type(ours).__name__} and {type(before).__name__} share no matter")
    return Relation.RENEWS if renews else Relation.NARROWS


def _scores_as_high(new: Result, old: Result) -> bool:
    """Return whether no suite scores lower than before: policies may ask for more than PASSED."""
    scores: dict[str, float] = {}
    for item in new.configuration:
        score, digest = item.annotations.score, item.digest.sha256
        scores[digest] = min(score, scores.get(digest, score))
    return all(scores[item.digest.sha256] >= item.annotations.score for item in old.configuration)


def _approvals(new: Approval, old: Approval) -> Relation:
    if any(
        not _overlap(ours, before)
        for ours, before in (
            (new.jurisdictions, old.jurisdictions),
            (new.environments, old.environments),
            (new.operations, old.operations),
        )
    ):
        return Relation.BESIDE
    renews = (
        new.window.not_after >= old.window.not_after
        and _covers(new.jurisdictions, old.jurisdictions)
        and _covers(new.environments, old.environments)
        and _covers(new.operations, old.operations)
        and set(new.conditions) <= set(old.conditions)
        and old.declarations.items() <= new.declarations.items()
    )
    return Relation.RENEWS if renews else Relation.NARROWS


def _same_environment(new: Environment, old: Environment) -> bool:
    """Return whether the newer declaration has the same facts and permits every older model."""
    return (
        set(new.jurisdictions) == set(old.jurisdictions)
        and (new.sector, new.purpose, new.risk_class, new.owner)
        == (old.sector, old.purpose, old.risk_class, old.owner)
        and old.declarations.items() <= new.declarations.items()
        and _covers(new.base_models, old.base_models)
        and _covers(new.tuning_models, old.tuning_models)
    )


def _covers(outer: tuple[str, ...], inner: tuple[str, ...]) -> bool:
    return all(any_covers(outer, pattern) for pattern in inner)


def _overlap(ours: tuple[str, ...], before: tuple[str, ...]) -> bool:
    return any(patterns_meet(one, other) for one in ours for other in before)


def patterns_meet(one: str, other: str) -> bool:
    """Return whether both patterns cover some name (``*`` within a segment, ``**`` across)."""
    left, right = _tokens(one), _tokens(other)
    # Depth-first over positions in both patterns; a set, since patterns may have 512 characters.
    seen: set[tuple[int, int]] = set()
    ahead = [(0, 0)]
    while ahead:
        at = ahead.pop()
        if at == (len(left), len(right)):
            return True
        if at not in seen:
            seen.add(at)
            ahead.extend(_steps(left, right, *at))
    return False


def _steps(
    left: tuple[str, ...], right: tuple[str, ...], i: int, j: int
) -> Iterator[tuple[int, int]]:
    """Yield the positions after a wildcard ends, or after both patterns take one character."""
    if i < len(left) and left[i] in _WILD:
        yield i + 1, j
    if j < len(right) and right[j] in _WILD:
        yield i, j + 1
    if i < len(left) and j < len(right) and _share(left[i], right[j]):
        # Where both are wildcards this is the same position, which ``seen`` drops.
        yield (i if left[i] in _WILD else i + 1), (j if right[j] in _WILD else j + 1)


_WILD = frozenset({"*", "**"})


def _share(one: str, other: str) -> bool:
    """Return whether two tokens have a character in common; only ``**`` covers a slash."""
    if one in _WILD and other in _WILD:
        return True
    if one in _WILD or other in _WILD:
        wild, literal = (one, other) if one in _WILD else (other, one)
        return wild == "**" or literal != "/"
    return one == other


def _tokens(pattern: str) -> tuple[str, ...]:
    found: list[str] = []
    while pattern:
        token = "**" if pattern.startswith("**") else pattern[0]
        found.append(token)
        pattern = pattern[len(token) :]
    return tuple(found)
