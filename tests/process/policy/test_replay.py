"""Recorded questions put to two trees by real OPA servers: what changes, and by which rule."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.opa import revision, tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.location import opa_path
from sidecar.opa.server import Server, tree_server
from sidecar.policy import replay
from sidecar.policy.as_if import AsIf, chosen, parse
from sidecar.policy.ask_in_turn import ask_in_turn
from sidecar.policy.replay import Answer, Difference, Group, Record, RuleHit, Tally
from tests.process.policy.toy import STRICTER, facts, write_toy

ENOUGH, MUCH = RuleHit("xx", "xx.enough", "model-1"), RuleHit("xx", "xx.much", "model-1")
KNOWN = RuleHit("xx", "xx.known", "stranger")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The toy as it is, and with a higher floor and one more rule."""
    folder = tmp_path_factory.mktemp("trees")
    old = tree.read(write_toy(folder / "old"))
    new = tree.read(write_toy(folder / "new", floor=7, more=STRICTER))
    with tree_server(opa_path(), old) as before, tree_server(opa_path(), new) as after:
        yield before, after


AT = "2026-09-01T12:00:00Z"


def record(number: int, allowed: bool, value: dict[str, Any]) -> Record:
    return Record(f"d-{number}", AT, allowed, value)


def group(kind: str, model: str, code: str) -> Group:
    """The group of the toy's decisions in which one rule denies now."""
    return Group(kind, "spiffe://acme.example/env/prod", (model,), (("xx", code),), ())


def test_every_decision_that_changes_is_reported_with_the_rules_that_change_it(
    servers: tuple[Server, Server],
) -> None:
    records = [
        record(0, True, facts(9)),  # allowed by both
        record(1, True, facts(7)),  # a warning more
        record(2, True, facts(6)),  # allowed, then too little
        record(3, False, facts(4)),  # too little for both
        record(4, True, facts(4)),  # the same, but recorded otherwise
        record(5, False, facts(4, "stranger")),  # denied for one more reason
    ]
    progress: list[int] = []
    found = replay.replay(records, *servers, progress.append)
    assert found == Difference(
        records=6,
        changes=found.changes,
        kinds=Counter({"denied": 1, "reasons": 1}),
        appears=Counter({("xx", "xx.enough"): 1, ("xx", "xx.known"): 1}),
        disappears=Counter(),
        groups={
            group("denied", "model-1", "xx.enough"): Tally(1, "d-2", AT, AT),
            group("reasons", "stranger", "xx.known"): Tally(1, "d-5", AT, AT),
        },
        warnings=1,
        unlike_recorded=1,
    )
    assert [(change.record.id, change.kind) for change in found.changes] == [
        ("d-2", "denied"),
        ("d-5", "reasons"),
    ]
    assert found.changes[0].before == Answer(True, frozenset(), frozenset())
    assert found.changes[0].after == Answer(False, frozenset({ENOUGH}), frozenset({MUCH}))
    assert KNOWN in found.changes[1].after.violations
    assert (found.changed, progress) == (2, [6])


def test_decisions_that_change_alike_are_one_group(servers: tuple[Server, Server]) -> None:
    later = Record("d-9", "2026-09-02T12:00:00Z", True, facts(5))
    found = replay.replay([record(0, True, facts(6)), record(1, True, facts(9)), later], *servers)
    assert found.groups == {
        group("denied", "model-1", "xx.enough"): Tally(2, "d-0", AT, later.time)
    }


class Recorder:
    """Denies by jurisdiction: each one that the facts name beyond ``eu`` is a violation."""

    def decide(self, facts: Any) -> dict[str, Any]:
        found = [
            {"jurisdiction": one, "code": f"{one}.x", "subject": "s"}
            for one in facts["environment"]["jurisdictions"]
            if one != "eu"
        ]
        return {"allow": not found, "violations": found, "warnings": []}


def test_only_the_policies_after_are_asked_as_if_an_environment_were_elsewhere() -> None:
    def of(name: str) -> dict[str, Any]:
        return {"environment": {"id": f"spiffe://x/{name}", "jurisdictions": ["eu"], "owner": "o"}}

    records = [record(n, True, of(name)) for n, name in enumerate(("a/prod", "b/prod", "a/dev"))]
    changes = (AsIf("spiffe://x/**", ("eu", "uk")), AsIf("spiffe://x/a/*", ("eu",)))
    found = replay.replay(records, Recorder(), Recorder(), changes=changes)
    assert [(one.record.id, one.record.facts) for one in found.changes] == [("d-1", of("b/prod"))]
    assert found.appears == {("uk", "uk.x"): 1}
    assert found.restated == {"spiffe://x/**": 1, "spiffe://x/a/*": 2}


def test_of_several_choices_of_evidence_the_first_that_is_allowed_decides() -> None:
    def of(*jurisdictions: str) -> dict[str, Any]:
        return {"environment": {"id": "spiffe://x/a", "jurisdictions": list(jurisdictions)}}

    several = replace(record(0, True, of("uk")), others=(of("us"), of("eu")))
    denied = replace(record(1, False, of("uk")), others=(of("us"),))
    found = replay.replay([several, denied], Recorder(), Recorder())
    assert found == Difference(records=2)
    elsewhere = (AsIf("**", ("us",)),)
    changed = replay.replay([several, denied], Recorder(), Recorder(), changes=elsewhere).changes
    rows = [
        (one.record.id, one.kind, sorted(v.code for v in one.after.violations)) for one in changed
    ]
    assert rows == [("d-0", "denied", ["us.x"]), ("d-1", "reasons", ["us.x"])]


def test_with_nothing_to_ask_about_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match=r"^nothing to ask the policies about$"):
        ask_in_turn([], lambda question: question, bool)


def test_facts_without_an_environment_are_not_restated() -> None:
    changes = (AsIf("**", ("uk",)),)
    assert chosen(changes, {}) is None
    assert chosen(changes, {"environment": 1}) is None
    assert chosen(changes, {"environment": {}}) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("spiffe://x/a", "expected ENVIRONMENT=JURISDICTION,…"),
        ("=uk", "expected ENVIRONMENT=JURISDICTION,…"),
        ("spiffe://x/a=", "expected ENVIRONMENT=JURISDICTION,…"),
        ("spiffe://x/a=uk,,eu", "expected ENVIRONMENT=JURISDICTION,…"),
        ("spiffe://x/a=ukk", "no policy for jurisdiction 'ukk'; there are eu, uk"),
    ],
)
def test_an_as_if_of_another_form_is_refused_with_what_is_expected(text: str, why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        parse(text, ("uk", "eu"))


def test_an_as_if_is_read_up_to_its_last_sign() -> None:
    assert parse("spiffe://x/a=b/*=uk, eu,uk", ("uk", "eu")) == AsIf(
        "spiffe://x/a=b/*", ("uk", "eu")
    )


def test_groups_beyond_the_bound_are_counted() -> None:
    def of(number: int) -> dict[str, Any]:
        return {"environment": {"id": f"spiffe://x/{number}", "jurisdictions": ["eu"]}}

    records = [record(n, True, of(n)) for n in range(replay.MAX_GROUPS + 3)]
    found = replay.replay(records, Recorder(), Recorder(), changes=(AsIf("**", ("uk",)),))
    assert (len(found.groups), found.ungrouped) == (replay.MAX_GROUPS, 3)


def test_what_is_allowed_now_is_reported_as_such(servers: tuple[Server, Server]) -> None:
    before, after = servers
    found = replay.replay([record(0, False, facts(6))], after, before)
    assert (found.kinds, found.disappears) == ({"allowed": 1}, {("xx", "xx.enough"): 1})


def test_a_tree_changes_nothing_against_itself_over_many_batches(
    servers: tuple[Server, Server],
) -> None:
    before, _ = servers
    records = [record(n, n % 9 >= 5, facts(n % 9)) for n in range(600)]
    progress: list[int] = []
    found = replay.replay(records, before, before, progress.append)
    assert found == Difference(records=600)
    assert progress == [256, 256, 88]


def test_only_the_first_changes_are_kept_and_all_are_counted() -> None:
    class Says:
        def __init__(self, allow: bool) -> None:
            self.allow = allow

        def decide(self, facts: Any) -> dict[str, Any]:
            return {"allow": self.allow, "violations": [], "warnings": []}

    records = [record(n, True, {}) for n in range(replay.MAX_CHANGES + 5)]
    found = replay.replay(records, Says(True), Says(False))
    assert (found.changed, len(found.changes)) == (replay.MAX_CHANGES + 5, replay.MAX_CHANGES)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"allow": "true", "violations": [], "warnings": []},
        {"allow": True, "violations": [{"code": "x"}], "warnings": []},
        {"allow": True, "violations": None, "warnings": []},
    ],
)
def test_an_answer_of_another_shape_is_an_error(value: dict[str, Any]) -> None:
    with pytest.raises(
        PolicyError,
        match=r"^the policies' answer lacks allow, violations or warnings",
    ):
        replay.answer(value)


# ---- the file ------------------------------------------------------------------------------------


def line(**changes: Any) -> str:
    value = {"id": "d-1", "time": "t", "allowed": True, "facts": {"now": "n"}, **changes}
    return json.dumps(value) + "\n"


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(line() + line(id="d-2", allowed=False))
    assert list(replay.read(path)) == [
        Record("d-1", "t", True, {"now": "n"}),
        Record("d-2", "t", False, {"now": "n"}),
    ]
    assert replay.count(path) == 2


@pytest.mark.parametrize("bad", ["{", "[]\n", line(facts=None), line(allowed=1), '{"id": "d"}\n'])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(line() + bad)
    with pytest.raises(PolicyError) as caught:
        list(replay.read(path))
    assert (
        str(caught.value)
        == f"{path}:2: expected a record as a gate writes it (id, time, allowed, facts)"
    )


def test_replaying_a_file_that_is_not_there_names_the_setting_that_writes_one(
    tmp_path: Path,
) -> None:
    for read in (lambda path: list(replay.read(path)), replay.count):
        with pytest.raises(PolicyError) as caught:
            read(tmp_path / "none")
        assert (
            str(caught.value)
            == f"{tmp_path / 'none'}: there is no such file; a gate writes one with facts_log set"
        )


# ---- the server ----------------------------------------------------------------------------------


def test_the_server_answers_under_the_revision_of_its_tree(tmp_path: Path) -> None:
    policies = tree.read(write_toy(tmp_path))
    with tree_server(opa_path(), policies) as server:
        answer = server.decide(facts(4))
    assert answer["revision"] == policies.revision
    assert [one["code"] for one in answer["violations"]] == ["xx.enough"]
    with pytest.raises(PolicyError, match=r"^OPA gave no answer \("):
        server.decide(facts(4))


def test_a_tree_that_does_not_compile_is_no_server(tmp_path: Path) -> None:
    policies = tree.read(write_toy(tmp_path, more="\nx := "))
    with (
        pytest.raises(PolicyError, match=r"^OPA refuses the policies: "),
        tree_server(opa_path(), policies),
    ):
        raise AssertionError("it must not come up")


def test_a_question_without_an_answer_is_an_error(tmp_path: Path) -> None:
    policies = tree.read(write_toy(tmp_path))
    with tree_server(opa_path(), policies) as server:
        with pytest.raises(PolicyError, match=r"^OPA gave no decision \(status 200\)$"):
            server.decide({"score": 0})  # without a subject the decision is undefined
        assert server.decide(facts(9))["allow"] is True


# ---- a tree by name ------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=acme", "-c", "user.email=policies@acme.example")
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True)


def test_a_tree_is_a_folder_or_a_commit_of_one(tmp_path: Path) -> None:
    place = write_toy(tmp_path / "repository" / "policies")
    (place / "admission" / "decision_test.rego").write_text("package admission_test\n")
    git(tmp_path / "repository", "init", "-q")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-qm", "first")
    first = tree.read(place)
    write_toy(place, floor=9)
    (place / "link.rego").symlink_to("/etc/passwd")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-qm", "second")
    (place / "params/xx/data.json").write_text('{"floor": 11}')
    assert revision.resolve("HEAD~1", place) == first
    assert revision.resolve("HEAD", place) == tree.read(write_toy(tmp_path / "copy", floor=9))
    assert revision.resolve(str(place), place) == tree.read(place)
    for name in ("nowhere", "--output=x"):
        with pytest.raises(PolicyError, match=f"^{name}: neither a folder nor a commit: "):
            revision.resolve(name, place)
    with pytest.raises(PolicyError, match="neither a folder nor a commit"):
        revision.resolve("HEAD", tmp_path / "copy")
