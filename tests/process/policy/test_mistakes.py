"""What an author does wrong, and what the tools say then: in one line, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.process.policies.facts import facts_in
from tests.process.policies.opa import POLICIES, change_data, copy_policies
from tests.process.policy.admit import admit, told
from tests.process.policy.keys import write_pair
from tests.process.policy.toy import write_toy


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("test",),
        ("test", "--run", "x"),
        ("list",),
        ("list", "--json"),
        ("docs",),
        ("new", "xx"),
    ],
)
def test_a_folder_without_policies_is_reported_before_any_program_looks_into_it(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "stray.rego").write_text("package stray\n")
    wrong = tmp_path / "elsewhere"
    for folder in (tmp_path, wrong):
        done = admit("policy", *words, "--policies", folder, code=2)
        assert (done.stdout, done.stderr) == (
            "",
            f"admit: {folder}: no policies with a capabilities.json in there"
            "; name their folder with --policies, or make one with `admit policy copy`\n",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["stray.rego"]


def test_what_could_not_be_checked_is_not_shown_as_good(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    broken = tree / "jurisdiction" / "uk" / "uk.rego"
    broken.write_text(broken.read_text().replace("if facts.free_of(i", "if facts.free_of((i"))
    done = admit("policy", "check", "--policies", tree, code=1)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [(line.split()[:2], "not done" in line) for line in lines] == [
        (["·", "format"], True),
        (["✗", "types"], False),
        (["✓", "data"], False),
        (["·", "lint"], True),
        (["·", "evidence"], True),
    ]
    (problem,) = told("policy", "check", "--policies", tree, code=1)["problems"]
    assert (problem["check"], problem["file"]) == ("types", "jurisdiction/uk/uk.rego")


def test_a_log_of_facts_that_is_not_there_or_empty_is_no_comparison(tmp_path: Path) -> None:
    before = write_toy(tmp_path / "p")
    log = tmp_path / "facts.jsonl"
    asked = ("policy", "diff", "--facts", log, "--before", before, "--after", before)
    assert admit(*asked, code=2).stderr == (
        f"admit: {log}: there is no such file; a gate writes one with facts_log set\n"
    )
    log.write_text("")
    empty = f"admit: {log}: no question is recorded in there, so nothing was compared\n"
    for more in ((), ("--json",)):
        done = admit(*asked, *more, code=2)
        assert (done.stdout, done.stderr) == ("", empty)
    log.write_text("no record\n")
    assert admit(*asked, code=2).stderr == (
        f"admit: {log}:1: expected a record as a gate writes it (id, time, allowed, facts)\n"
    )


def test_policies_that_fail_the_types_check_are_not_compared(tmp_path: Path) -> None:
    """OPA serves a rule that misspells a fact; it denies nothing, so no decision would differ."""
    changed, log = copy_policies(tmp_path), tmp_path / "facts.jsonl"
    record = {"id": "d", "time": "2026-09-01T12:00:00Z", "allowed": True, "facts": facts_in("us")}
    log.write_text(json.dumps(record) + "\n")
    rules = changed / "jurisdiction" / "us" / "us.rego"
    text = rules.read_text()
    rules.write_text(text + "\nstrict if input.enviroment.sector == data.lib.nothing\n")
    row = text.count("\n") + 2
    asked = ("policy", "diff", "--facts", log, "--before", POLICIES, "--after", changed)
    assert admit(*asked, code=2).stderr == (
        f"admit: {rules}:{row}: undefined ref: input.enviroment.sector; expected one of"
        " adaptations, deployments, environment, nonce, now, request, waivers;"
        " `admit policy check` shows them all\n"
    )


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        ("x := \n", "admit: OPA refuses the policies: "),
        ("x if input.enviroment == 1\n", "admit: {path}:{row}: undefined ref: input.enviroment; "),
    ],
    ids=["that do not parse", "that misspell a fact"],
)
def test_policies_that_cannot_be_meant_are_not_signed_and_the_bundle_that_is_there_stays(
    tmp_path: Path, rules: str, refusal: str
) -> None:
    tree, out = copy_policies(tmp_path), tmp_path / "bundle.tar.gz"
    key, _ = write_pair(tmp_path, "policy")
    admit("policy", "build", "--policies", POLICIES, "--key", key, "--out", out)
    good, path = out.read_bytes(), tree / "lib" / "dates" / "dates.rego"
    path.write_text(path.read_text() + rules)
    refused = admit("policy", "build", "--policies", tree, "--key", key, "--out", out, code=2)
    assert refused.stderr.startswith(refusal.format(path=path, row=path.read_text().count("\n")))
    assert refused.stderr.count("\n") == 1
    assert out.read_bytes() == good
    assert [each.name for each in tmp_path.glob(".*")] == []


def test_pages_of_policies_that_cannot_be_read_are_left_as_they_are(tmp_path: Path) -> None:
    tree, out = copy_policies(tmp_path), tmp_path / "docs"
    admit("policy", "docs", "--policies", tree, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (tree / "jurisdiction" / "uk" / "uk.rego").write_text("package jurisdiction.uk\n\nx := \n")
    admit("policy", "docs", "--policies", tree, "--out", out, code=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_without_opa_each_command_says_how_to_get_it(tmp_path: Path) -> None:
    missing = tmp_path / "no-opa"
    for words in (("check",), ("test",), ("list",)):
        done = admit("policy", *words, "--policies", POLICIES, code=2, ADMIT_OPA=str(missing))
        assert done.stdout == ""
        assert str(missing) in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_a_gate_of_another_release_recorded_is_named_and_not_compared(
    tmp_path: Path,
) -> None:
    stricter, log = copy_policies(tmp_path), tmp_path / "facts.jsonl"
    change_data(stricter, "us", adversarial_floor=0.99)
    ours, theirs = facts_in("us"), facts_in("us")
    del theirs["request"]["run"]
    asked = ("policy", "diff", "--facts", log, "--before", POLICIES, "--after", stricter)

    def recorded(*questions: object) -> None:
        records = [
            {"id": f"d-{number}", "time": "2026-09-01T12:00:00Z", "allowed": True, "facts": facts}
            for number, facts in enumerate(questions)
        ]
        log.write_text("".join(json.dumps(one) + "\n" for one in records))

    recorded(ours, theirs)
    said = told(*asked, code=1)
    counts = ("records", "changed", "unlike_recorded", "malformed")
    assert tuple(said[name] for name in counts) == (2, 1, 0, 1)
    assert "! 1 were not compared: " in admit(*asked, code=1).stdout
    recorded(theirs, theirs)
    assert admit(*asked, code=2).stderr == (
        f"admit: {log}: a gate of another release recorded all of that, so nothing was compared\n"
    )
