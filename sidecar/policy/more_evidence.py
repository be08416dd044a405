"""Checks that a rule never denies because there is more evidence (law 2).

Theory of operation. A file of evidence may be lost, or never arrive. If a rule denied a call for
one result or one approval too many, losing that file would admit it. So each call that a package
admits in its own tests (``admissible``) is put to the package again with one result or one approval
more: a good one, a poor one, one of another authority. It must be admitted as before.

A newer declaration or binding of one author replaces its older one. One that permits the same or
more is a renewal, and withdraws nothing: if it is lost, the older one is back. So a call is also
put with a binding that ends later, and with a declaration more (``_renewed``).

Only the facts of the tests are tried, so a rule may still break the law for other facts.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.core.window import rfc3339
from sidecar.opa import executable
from sidecar.opa.errors import PolicyError

_SAMPLES = """{name: admissible |
    some name
    data.jurisdiction[name].id == name
    tests := object.get(data.jurisdiction, sprintf("%s_test", [name]), {})
    admissible := object.get(tests, "admissible", [])}"""

# What is read of ``input`` must have a name of its own before ``with`` replaces it.
_DENIED = """[[i, violation.code, violation.subject] |
    some i, asked in input
    id := asked.id
    facts := asked.facts
    some violation in data.jurisdiction[id].deny with input as facts]"""

Facts = dict[str, Any]
_OTHER = "another-authority"
_FURTHER = "declared-by-a-renewal"
_YEARS = timedelta(days=3650)


@dataclass(frozen=True, slots=True, order=True)
class Contradiction:
    """A rule that denies an admissible call for what is added to it.

    ``package`` is its jurisdiction, ``code`` the rule's, and ``added`` says what was added.
    """

    package: str
    code: str
    added: str


def admissible_calls(program: Path, tree: Path) -> dict[str, list[Facts]]:
    """Return the facts of the calls that each package admits in its tests; maybe of none.

    Raises:
        PolicyError: OPA has no answer.
    """
    found: dict[str, list[Facts]] = _evaluated(program, tree, {}, _SAMPLES)
    return found


def contradictions(
    program: Path, tree: Path, samples: Mapping[str, list[Facts]]
) -> list[Contradiction]:
    """Return every rule that denies one of its package's admissible calls for more evidence.

    Args:
        program: OPA.
        tree: The folder of the policies.
        samples: From ``admissible_calls``.

    Raises:
        PolicyError: OPA has no answer, or a sample is no facts.
    """
    asked = [
        (package, added, facts)
        for package, calls in samples.items()
        for call in calls
        for added, facts in (("", call), *_read(package, call))
    ]
    question = [{"id": package, "facts": facts} for package, _, facts in asked]
    denied: dict[int, set[tuple[str, str]]] = {}
    for row, code, subject in _evaluated(program, tree, question, _DENIED):
        denied.setdefault(row, set()).add((code, subject))
    found: set[Contradiction] = set()
    as_it_is: set[tuple[str, str]] = set()
    for row, (package, added, _) in enumerate(asked):
        if not added:
            as_it_is = denied.get(row, set())
        further = denied.get(row, set()) - as_it_is
        found |= {Contradiction(package, code, added) for code, _ in further}
    return sorted(found)


def _read(package: str, call: Facts) -> list[tuple[str, Facts]]:
    try:
        return list(_with_more(call))
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__} {error}"
        raise PolicyError(
            f"the tests of {package} call admissible what are not facts: {why};"
            " start from data.lib.fixtures_test.facts"
        ) from error


def _with_more(call: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield what is added in words, and the facts with it."""
    for i, adaptation in enumerate(call["adaptations"]):
        for j, suite in enumerate(adaptation["suites"]):
            for words, result in _results(call, adaptation, suite):
                results = {**suite, "results": [*suite["results"], result]}
                changed = {**adaptation, "suites": _replaced(adaptation["suites"], j, results)}
                facts = {**call, "adaptations": _replaced(call["adaptations"], i, changed)}
                yield f"a result of its {suite['kind']} suite {words}", facts
        for approval in adaptation["approvals"]:
            for words, other in _approvals(call, approval):
                changed = {**adaptation, "approvals": [*adaptation["approvals"], other]}
                facts = {**call, "adaptations": _replaced(call["adaptations"], i, changed)}
                yield f"an approval as {approval['role']} {words}", facts
    yield from _renewed(call)


def _renewed(call: Facts) -> Iterator[tuple[str, Facts]]:
    """Yield the facts with a renewal of each binding and of the environment's declaration."""
    for i, bound in enumerate(call["deployments"]):
        renewal = f"a renewed binding of {bound['name']} that"
        later = datetime.fromisoformat(bound["not_after"]) + _YEARS
        facts = copy.deepcopy(call)
        facts["deployments"][i]["not_after"] = rfc3339(later)
        yield f"{renewal} ends later", facts
        facts = copy.deepcopy(call)
        facts["deployments"][i]["declarations"][_FURTHER] = "none"
        yield f"{renewal} declares one thing more", facts
    facts = copy.deepcopy(call)
    facts["environment"]["declarations"][_FURTHER] = "none"
    yield "a renewed declaration of its environment that declares one thing more", facts


def _replaced(items: list[Facts], at: int, item: Facts) -> list[Facts]:
    return [*items[:at], item, *items[at + 1 :]]


def _results(
    call: Facts, adaptation: Facts, suite: Facts
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lowest, now = suite["threshold"], call["now"]
    yield "that just passes", {"performed": now, "score": lowest, "evaluator": _OTHER}
    yield "by its producer", {"performed": now, "score": 1, "evaluator": adaptation["producer"]}
    yield "of long ago", {"performed": "2000-01-01T00:00:00Z", "score": 1, "evaluator": _OTHER}


def _approvals(call: Facts, approval: Facts) -> Iterator[tuple[str, Mapping[str, Any]]]:
    soon = datetime.fromisoformat(call["now"]) + timedelta(seconds=1)
    declared = dict.fromkeys(approval["declarations"], "none")
    yield "that declares nothing", {**approval, "authority": _OTHER, "declarations": {}}
    yield "that declares none of each", {**approval, "authority": _OTHER, "declarations": declared}
    yield "with another condition", {**approval, "conditions": ["none is known"]}
    yield "for one jurisdiction", {**approval, "jurisdictions": approval["jurisdictions"][:1]}
    yield "that ends at once", {**approval, "not_after": rfc3339(soon)}
    yield "by or not by one of record", {**approval, "of_record": not approval["of_record"]}


def _evaluated(program: Path, tree: Path, question: object, query: str) -> Any:  # noqa: ANN401
    with tempfile.TemporaryDirectory(prefix="admit-policy-") as folder:
        asked = Path(folder) / "input.json"
        asked.write_text(json.dumps(question))
        answer = executable.run_json(
            program, "eval", "--bundle", tree, "--input", asked, "--format", "json", query
        )
    try:
        return answer["result"][0]["expressions"][0]["value"]
    except (KeyError, IndexError) as error:
        raise PolicyError("OPA has no answer about the calls that the tests admit") from error
