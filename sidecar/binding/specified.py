"""Checks a job against the specification its model is bound under, extensions included.

The gate checks the same from the evidence (step 3, ``core.specifications``); here it is checked
before anything is signed. What it extends is given by file, since a producer keeps no record of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.binding.errors import BindingError
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import EnvironmentSpec, EvaluationEnvelope, Specification
from sidecar.core.specifications import taken_away


@dataclass(frozen=True, slots=True)
class KnownSpecification:
    """A specification: its digest (SHA-256 of its payload) and its content.

    ``others`` are further ones at hand, among them every one that it extends; in any order.
    """

    digest: str
    specification: Specification
    others: tuple[KnownSpecification, ...] = ()


def chain(known: KnownSpecification) -> tuple[KnownSpecification, ...]:
    """Return a specification and those that it extends, nearest first.

    Raises:
        BindingError: One of them is not given, or loses something by what extends it; or one is
            given that none of the others extends.
    """
    given = {other.digest: other for other in known.others}
    found = [known]
    while (extends := found[-1].specification.extends) is not None:
        older = given.pop(extends.sha256, None)
        if older is None:
            raise BindingError(f"{found[-1].digest} extends {extends.sha256}: give it, --extended")
        lost = "; ".join(taken_away(older.specification, found[-1].specification))
        if lost:
            raise BindingError(f"{found[-1].digest} takes away from {older.digest}: {lost}")
        found.append(older)
    if given:
        raise BindingError(f"{known.digest} does not extend {', '.join(sorted(given))}")
    return tuple(found)


def check_named(chained: tuple[KnownSpecification, ...], named: str | None) -> None:
    """Require that a job names the specification, or one that it extends, if it names any.

    Raises:
        BindingError: It names another.
    """
    if named is not None and named not in {each.digest for each in chained}:
        digests = " or ".join(each.digest for each in chained)
        raise BindingError(f"the job names the specification {named}, not {digests}")


def check_declared(
    known: KnownSpecification,
    environments: tuple[EnvironmentSpec, ...],
    envelope: EvaluationEnvelope,
) -> None:
    """Require that environments and envelope are those that were specified.

    Raises:
        BindingError: They are not.
    """
    if environments != known.specification.environments:
        raise BindingError("the environments are not those that the specification names")
    if envelope != known.specification.envelope:
        raise BindingError("the envelope is not the one that the specification declares")


def check_base(known: KnownSpecification, base: str) -> None:
    """Require that a base model, as ``provider/id``, may be tuned under the specification.

    Raises:
        BindingError: It may not.
    """
    if not any_matches(known.specification.models, base):
        raise BindingError(f"the specification does not cover tuning {base}")


def check_times(
    chained: tuple[KnownSpecification, ...], started: datetime, bound: datetime
) -> None:
    """Require that each specification held when it was relied on.

    Args:
        chained: The specification and those that it extends, nearest first.
        started: When the run began, under the last of them.
        bound: When the manifest's window begins, which relies on the extension.

    Raises:
        BindingError: One did not hold then.
    """
    if not chained[-1].specification.window.holds(started):
        raise BindingError(f"the specification did not hold when the job began, {started}")
    if len(chained) > 1 and not chained[0].specification.window.holds(bound):
        raise BindingError(f"the extension does not hold when the manifest begins, {bound}")
