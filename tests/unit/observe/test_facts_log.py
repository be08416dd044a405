"""The recorder: what the policies saw, bounded, private, and never in anybody's way."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.decide import Decision
from sidecar.core.facts import Facts, to_input
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from sidecar.observe.facts_log import FactsLog, record
from sidecar.observe.outcome import Outcome, PolicyQuery
from tests.support.simulator.constants import NOW
from tests.support.simulator.world import admitted_world
from tests.unit.observe import samples


def facts() -> Facts:
    found = samples.progress(admitted_world())
    assert found.call is not None
    assert found.credential is not None
    assert found.assessment is not None
    return prove(found.call, found.credential, found.assessment, rfc3339(NOW), "n-1")


def asked(decision: Decision | None = None) -> Outcome:
    return about(facts(), decision=decision or samples.violating().decision)


def about(*found: Facts, decision: Decision) -> Outcome:
    """One call, in one request."""
    return samples.outcome(decision, asked=(PolicyQuery(found, decision),))


def only(outcome: Outcome) -> dict[str, Any]:
    """The line of the one call."""
    (each,) = outcome.asked
    return dict(json.loads(json.dumps(record(outcome, each))))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_the_question_without_its_nonce_and_the_answer_by_code() -> None:
    question = json.loads(json.dumps(to_input(facts())))
    assert only(asked()) == {
        "time": rfc3339(NOW),
        "id": "d-1",
        "revision": "r-1",
        "allowed": False,
        "reason": "jurisdiction_denied",
        "violations": ["eu.art10"],
        "facts": {**question, "nonce": ""},
    }
    assert question["nonce"] == "n-1"


def test_other_evidence_that_was_asked_about_is_beside_the_first() -> None:
    other = dataclasses.replace(facts(), deployments=())
    several = about(facts(), other, other, decision=samples.violating().decision)
    question = json.loads(json.dumps(to_input(dataclasses.replace(other, nonce=""))))
    assert only(several) == {**only(asked()), "others": [question, question]}


def test_each_call_of_a_request_has_a_line_with_its_own_outcome(tmp_path: Path) -> None:
    """A batch file of three calls: the second is denied, and OPA ends before the third answer."""
    admitted, denied = samples.admitted().decision, samples.violating().decision
    of_all = dataclasses.replace(denied, id="d-9", reason=Reason.POLICY_UNAVAILABLE, violations=())
    questions = [dataclasses.replace(facts(), nonce=f"n-{number}") for number in range(3)]
    answers = (admitted, denied, None)
    log = FactsLog(tmp_path / "facts.jsonl", lambda _: None)
    log.put(
        samples.outcome(of_all, asked=tuple(map(PolicyQuery, ((q,) for q in questions), answers)))
    )
    log.close()
    found = [(one["id"], one["allowed"], one["reason"], one["violations"])
             for one in lines(tmp_path / "facts.jsonl")]  # fmt: skip
    assert found == [
        ("d-9", True, "admitted", []),
        ("d-9", False, "jurisdiction_denied", ["eu.art10"]),
        ("d-9", False, "policy_unavailable", []),
    ]


def test_a_request_whose_policies_were_not_asked_has_no_line(tmp_path: Path) -> None:
    log = FactsLog(tmp_path / "facts.jsonl", lambda _: None)
    log.put(samples.withdrawn())
    log.close()
    assert lines(tmp_path / "facts.jsonl") == []


def test_the_file_is_its_owners_alone_even_where_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.touch(mode=0o644)
    FactsLog(path, lambda _: None).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_accepted_is_written_before_the_end_and_appended_the_next_time(
    tmp_path: Path,
) -> None:
    path = tmp_path / "facts.jsonl"
    for _ in range(2):
        log = FactsLog(path, lambda _: None)
        for _ in range(3):
            log.put(asked())
        log.close()
    assert lines(path) == [only(asked())] * 6


def test_the_file_has_a_size_and_one_before_it(tmp_path: Path) -> None:
    path, size = tmp_path / "facts.jsonl", len(json.dumps(only(asked()))) + 1
    log = FactsLog(path, lambda _: None, max_bytes=2 * size)
    for _ in range(9):
        log.put(asked())
    log.close()
    kept = {file.name: len(lines(file)) for file in tmp_path.iterdir()}
    assert kept == {"facts.jsonl": 1, "facts.jsonl.1": 2}
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in tmp_path.iterdir())
    assert all(file.stat().st_size <= 2 * size for file in tmp_path.iterdir())


def test_what_cannot_be_written_is_counted_and_nothing_waits(tmp_path: Path) -> None:
    folder, lost = tmp_path / "log", list[int]()
    folder.mkdir()
    log = FactsLog(folder / "facts.jsonl", lost.append, max_bytes=1)
    log.put(asked())  # a first line is always whole
    folder.rename(tmp_path / "away")  # no second file can be begun
    for _ in range(3):
        log.put(asked())
    log.close()
    assert lost == [1, 1, 1]
    assert len(lines(tmp_path / "away" / "facts.jsonl")) == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "facts.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"facts\.jsonl"):
        FactsLog(tmp_path / "facts.jsonl", lambda _: None)
