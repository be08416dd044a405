"""What people and CI see of an evaluation; what models answered is hostile to both."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sidecar.core.predicates import EvaluationEnvelope, Manifest, Suite
from sidecar.core.wire import DigestSet, read_value
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.report.junit import junit_xml
from sidecar.evaluation.report.page import MAX_CASES, html_page
from sidecar.evaluation.report.record import Report, Signature, SuiteKey, read_record, report
from tests.support.simulator.predicates import manifest_predicate

AT = datetime(2026, 11, 29, tzinfo=UTC)
MANIFEST, PARENT = "ab" * 32, "cd" * 32
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=y> \u202egnp.exe \x1b[2J\x00 ]]> & \"'"
SUITES = (
    Suite("adversarial", "probes", DigestSet("11" * 32), 0.5),
    Suite("compliance", "checks", DigestSet("22" * 32), 1.0, "eu"),
)


def case(name: str, score: float, output: str = "fine") -> dict[str, Any]:
    return {"id": name, "score": score, "input": f"ask {name}", "output": output, "judged": {}}


def record(suite: Suite = SUITES[0], manifest: str = MANIFEST, **changes: Any) -> dict[str, Any]:
    cases = changes.pop("cases", [case("one", 1.0), case("two", 0.0, HOSTILE)])
    score = sum(each["score"] for each in cases) / len(cases)
    return {
        "name": suite.name,
        "kind": suite.kind,
        "jurisdiction": suite.jurisdiction,
        "digest": suite.digest.sha256,
        "score": score,
        "samples": len(cases),
        "low": 0.1,
        "high": 0.9,
        "tool": "inspect_ai 0.3.285, admit suite grade",
        "report": "ee" * 32,
        "threshold": suite.threshold,
        "passed": score >= suite.threshold,
        "manifest": manifest,
        "model": "ft:m",
        "cases": cases,
        **changes,
    }


def used(judge: str = "", seconds: float = 2.0, cost: float | None = 0.25) -> dict[str, Any]:
    tokens = {"input_tokens": 1200, "output_tokens": 30, "seconds": seconds, "cost": cost}
    return {"model": judge or "ft:m", "judge": bool(judge), **tokens}


def made(
    *records: dict[str, Any],
    signatures: tuple[Signature, ...] = (),
    earlier: tuple[dict[str, Any], ...] = (),
) -> Report:
    manifest = read_value(Manifest, manifest_predicate(), what="manifest")
    manifest = replace(manifest, envelope=EvaluationEnvelope(SUITES))
    read = [read_record(json.dumps(each).encode(), "graded.json") for each in records]
    before = [read_record(json.dumps(each).encode(), "graded.json") for each in earlier]
    return report(manifest, MANIFEST, read, signatures, before, AT)


class Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_a_page_shows_what_a_model_answered_and_runs_none_of_it() -> None:
    names = [case(HOSTILE, 0.0, HOSTILE)]
    hostile = record(cases=names, tool=HOSTILE)
    page = html_page(made(hostile, earlier=(record(cases=names, manifest=PARENT),)))
    read = Page(page)
    assert not {"script", "img", "link", "iframe", "base", "form", "a", "object"} & read.tags
    assert not {
        name for name in read.attributes if name.startswith("on") or name in {"src", "href"}
    }
    assert "default-src 'none'" in page
    assert re.findall(r"(?:https?:)?//[a-z]", page) == []
    assert (
        r"<script>alert(1)</script><img src=x onerror=y> \u{202e}gnp.exe \u{1b}[2J\u{0}"
        in read.text
    )
    assert not any(character in page for character in "\u202e\x1b\x00")


def test_a_page_states_verdict_thresholds_signatures_and_what_was_not_run() -> None:
    key = ("adversarial", "probes", None, SUITES[0].digest.sha256)
    signed = Signature("99" * 32, "PASSED", "sha256:77", {key: 0.5}, AT)
    text = Page(html_page(made(record(), signatures=(signed,)))).text
    assert "Not run: checks (eu)." in text
    assert "passed 0.5000 threshold 0.5, interval 0.100 to 0.900; it reaches below" in text
    assert f"PASSED probes sha256:77 2026-11-29 {'99' * 32}" in text
    assert "Not signed" not in text
    whole = made(record(low=0.5), record(SUITES[1], cases=[case("c", 1.0)], low=1.0))
    text = Page(html_page(whole)).text
    assert "All 2 suites of the envelope passed. Not countersigned." in text
    assert "Not signed: probes, checks (eu)." in text
    assert "reaches below" not in text


def test_a_page_shows_one_result_once_and_states_which_digests_a_reader_compares() -> None:
    both = (record(), record(SUITES[1], cases=[case("c", 1.0)], called="deployment"))
    keys: dict[SuiteKey, float] = {("adversarial", "probes", None, "11" * 32): 0.5}
    keys |= {("compliance", "checks", "eu", "22" * 32): 1.0}
    failed = Signature("99" * 32, "FAILED", "sha256:77", keys, AT)
    older = Signature("98" * 32, "PASSED", "sha256:77", dict.fromkeys(keys, 0.75), AT)
    found = made(*both, signatures=(failed, older))
    text = Page(html_page(replace(found, logs=frozenset({"ee" * 32})))).text
    assert f"FAILED all suites sha256:77 2026-11-29 {'99' * 32}" in text
    assert f"PASSED none of these scores sha256:77 2026-11-29 {'98' * 32}" in text
    assert "Not passed" not in text
    assert "passed. A result that is given here is FAILED: it stands until its evaluator" in text
    assert text.count("FAILED") == 2
    assert f"checks (eu) {'22' * 32} inspect_ai 0.3.285, admit suite grade called as dep" in text
    assert "the log is not in" not in text
    assert Page(html_page(found)).text.count("the log is not in the run's folder, or was") == 2


def test_a_signature_counts_for_exactly_the_score_that_it_states() -> None:
    key = ("adversarial", "probes", None, SUITES[0].digest.sha256)
    other = Signature("99" * 32, "PASSED", "sha256:77", {key: 0.75}, AT)
    unchecked = Signature("98" * 32, "PASSED", "", {key: 0.5}, AT)
    found = made(record(), signatures=(other,))
    assert found.signed(found.records[0]) is None
    found = made(record(), signatures=(other, unchecked))
    assert found.signed(found.records[0]) == unchecked
    assert "signature not checked" in Page(html_page(found)).text


def test_a_page_states_what_model_and_judges_cost_and_no_sum_where_a_price_is_unknown() -> None:
    known = made(record(used=[used(), used("gpt-4.1")]))
    text = Page(html_page(known)).text
    assert "probes model ft:m 1,200 30 2.0 s 0.2500 probes judge gpt-4.1" in text
    assert "all suites of that judges 0.2500 0.5000" in text
    assert known.cost() == {"model": 0.25, "judges": 0.25}
    unknown = made(record(used=[used(), used("gpt-4.1", cost=None)]))
    text = Page(html_page(unknown)).text
    assert "judge gpt-4.1 1,200 30 2.0 s not known" in text
    assert ("all suites" in text, unknown.cost()) == (False, None)
    assert "Tokens, time and cost" not in Page(html_page(made(record()))).text


def test_a_comparison_names_the_cases_that_became_worse() -> None:
    before = record(manifest=PARENT, digest="33" * 32, cases=[case("one", 0.0), case("two", 1.0)])
    text = Page(html_page(made(record(), earlier=(before,)))).text
    assert (
        "probes 0.5000 0.5000 +0.0000 worse: two better: one another edition of the suite" in text
    )


def test_a_page_states_what_the_compared_manifest_is_to_this_one() -> None:
    found = made(record(), earlier=(record(manifest=PARENT),))
    for related, expected in (
        (replace(found, parent=PARENT), "the parent's manifest"),
        (replace(found, supersedes=PARENT), "the superseded manifest"),
        (found, "neither parent nor superseded:"),
    ):
        assert f"{expected} {PARENT}" in Page(html_page(related)).text


def test_a_conversation_and_the_calls_of_an_answer_are_shown_as_lines() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Show\nit."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "nothing"},
    ]
    made_calls = [{"name": "drop", "arguments": '{"n":1}'}]
    shown = case("one", 0.0, "") | {"input": turns, "calls": made_calls, "reference": {"f": "x"}}
    found = made(record(cases=[shown]))
    text = Page(html_page(found)).text
    assert "one 0 Show it. asked user: Show it. assistant: → get({}) tool: nothing" in text
    assert 'expected { "f": "x" } answered → drop({"n":1})' in text
    assert '→ drop({"n":1})' in [each.text for each in ET.fromstring(junit_xml(found)).iter()]


def test_a_page_of_many_failing_cases_says_how_many_it_leaves_out() -> None:
    many = [case(f"c{number}", 0.0) for number in range(MAX_CASES + 7)]
    text = Page(html_page(made(record(cases=many)))).text
    assert f"probes: {MAX_CASES + 7} of {MAX_CASES + 7} below 1" in text
    assert "and 7 more" in text


def test_junit_fails_with_the_suite_and_holds_only_what_xml_can() -> None:
    root = ET.fromstring(junit_xml(made(record(used=[used(), used("gpt-4.1", 1.5)]))))
    (passed, missing) = root
    assert passed.attrib == {
        "name": "probes",
        "tests": "3",
        "failures": "0",
        "errors": "0",
        "skipped": "1",
        "time": "3.500",
    }
    (skipped,) = passed.iter("skipped")
    assert "\ufffd[2J\ufffd ]]> &" in str(skipped.text)
    assert missing.find("testcase/error") is not None
    failed = ET.fromstring(junit_xml(made(record(threshold=0.9, passed=False))))
    assert [each.attrib["message"] for each in failed.iter("failure")] == [
        "score 0.5000, threshold 0.9",
        "score 0",
    ]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record(manifest=PARENT)], f"is of the manifest {PARENT}"),
        ([record(digest="33" * 32)], "does not declare this edition of probes"),
        ([record(), record()], "two records of probes"),
        ([record(samples=3)], "holds 2 cases and states 3"),
        ([record(score=1.5)], "not 0 … 1"),
        ([record(score=0.75)], "the score 0.75 is not the mean of its cases"),
        ([record(threshold=0.9, passed=True)], "passed is True, which contradicts score"),
        ([record(extra=1)], "extra"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(records: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        made(*records)
