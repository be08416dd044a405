"""A report of a tool is read if it is whole, and of the model it is said to be of."""

from __future__ import annotations

import hashlib
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.core.window import Window
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.report_formats import ToolScore
from sidecar.evaluation.reports import BoundName, read_report
from tests.unit.evaluation.report_samples import (
    EVAL,
    GARAK,
    INSPECT,
    LM_EVAL,
    MODEL,
    PROMPTFOO,
    changed,
    sample,
    written,
)

BEGUN = datetime(2026, 5, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
REPORTS = {
    "inspect": (INSPECT, "inspect 0.3.150", ToolScore("probes", 0.625, 4, 4)),
    "promptfoo": (PROMPTFOO, "promptfoo 0.120.0", ToolScore("probes", 2 / 3, 3, 3)),
    "garak": (GARAK, "garak 0.13.1", ToolScore("dan.Dan_11_0", 0.85, 10, 5)),
    "promptfoo, with its tests": (
        PROMPTFOO | {"config": {"tests": [{"vars": {"q": ["a", "b"]}}, {"vars": {}}]}},
        "promptfoo 0.120.0",
        ToolScore("probes", 2 / 3, 3, 3),
    ),
    "garak, by module": (
        [GARAK[0] | {"plugins.probe_spec": "dan"}, *GARAK[1:]],
        "garak 0.13.1",
        ToolScore("dan.Dan_11_0", 0.85, 10, 5),
    ),
    "garak, with all entries of 0.17.1": (
        [
            GARAK[0]
            | {
                "_config.version": "0.17.1",
                "transient.active_probes": ["probes.dan.Dan_11_0"],
                "run.spec": {"include": ["probes.dan.Dan_11_0"], "exclude": []},
            },
            GARAK[1] | {"garak_version": "0.17.1"},
            {"entry_type": "plugin_cache", "run": "1", "plugin_cache": {"probes": {}}},
            *GARAK[2:-1],
            {
                "entry_type": "probe_summary",
                "probe": "dan.Dan_11_0",
                "inference_counts": {"total_evaluated": 10, "nones": 0},
                "detection_counts": {"detectors": ["dan.DAN"], "passed": 17, "fails": 3},
            },
            GARAK[-1],
            {"entry_type": "digest", "meta": {"garak_version": "0.17.1"}, "eval": {}},
        ],
        "garak 0.17.1",
        ToolScore("dan.Dan_11_0", 0.85, 10, 5),
    ),
    "lm-eval": (LM_EVAL, "lm-eval 0.4.13", ToolScore("facts", 0.75, 8, 8)),
}


@pytest.mark.parametrize("tool", REPORTS)
def test_a_whole_report_is_read_and_digested(tool: str) -> None:
    report, name, expected = REPORTS[tool]
    data = written(report)
    read = read_report(tool.partition(",")[0], data)
    read.check_model(MODEL)
    assert (read.tool, read.digest) == (name, hashlib.sha256(data).hexdigest())
    assert [replace(each, asked=frozenset()) for each in read.scores.values()] == [expected]
    assert read.scores.keys() == {expected.key}
    # A time without an offset is a local one: of those that it can be, the earliest.
    assert read.performed == BEGUN


PARTIAL = {
    "promptfoo: filtered": (
        "promptfoo",
        PROMPTFOO | {"config": {"tests": [{"vars": {"q": str(n)}} for n in range(4)]}},
        "3 of 4 tests of probes: it was filtered",
    ),
    "inspect: error": ("inspect", changed(INSPECT, "status", to="error"), "ended as error"),
    "inspect: limit": ("inspect", changed(INSPECT, "eval", "config", "limit", to=2), "limit: 2"),
    "inspect: lost": ("inspect", changed(INSPECT, "eval", "dataset", "samples", to=5), "4 of 5"),
    "inspect: epochs": ("inspect", changed(INSPECT, "eval", "config", "epochs", to=2), "4 of 8"),
    "inspect: filter": (
        "inspect",
        changed(INSPECT, "samples", 0, to=sample(1, "C", "content_filter")),
        "sample 1 of probes was not ended by the model: content_filter",
    ),
    "inspect: unscored": ("inspect", changed(INSPECT, "samples", 0, "scores", to={}), "0 scores"),
    "inspect: failed": ("inspect", changed(INSPECT, "samples", 0, "error", to={}), None),
    "inspect: failed sample": (
        "inspect",
        changed(INSPECT, "samples", 0, "error", to={"message": "x"}),
        "sample 1 of probes ended with an error",
    ),
    "inspect: headers only": ("inspect", changed(INSPECT, "samples", to=None), "0 of 4"),
    "promptfoo: error": (
        "promptfoo",
        changed(PROMPTFOO, "results", "stats", "errors", to=1),
        "1 test ended with an error",
    ),
    **{
        f"promptfoo: {reason}": (
            "promptfoo",
            changed(PROMPTFOO, "results", "results", 0, "response", "finishReason", to=reason),
            f"ended by {reason or 'no stated reason'}",
        )
        for reason in ("content_filter", "length", None)  # None: OpenAI's invalid_prompt
    },
    "promptfoo: version": (
        "promptfoo",
        changed(PROMPTFOO, "results", "version", to=2),
        "version 2, not 3",
    ),
    "promptfoo: rows": (
        "promptfoo",
        changed(PROMPTFOO, "results", "stats", "successes", to=3),
        "3 rows of other counts",
    ),
    "garak: cut": ("garak", GARAK[:-1], "did not end"),
    "garak: unscored": (
        "garak",
        changed(GARAK, EVAL, "nones", to=2),
        "2 answers could not be scored",
    ),
    "garak: empty": (
        "garak",
        [*GARAK[:EVAL], GARAK[EVAL] | {"passed": 0, "total_evaluated": 0}, GARAK[-1]],
        "no sample for dan.Dan_11_0",
    ),
    "promptfoo: no assertion": (
        "promptfoo",
        changed(
            PROMPTFOO, "results", "results", 0, "gradingResult", to={"reason": "No assertions"}
        ),
        "a test without assertions",
    ),
    "garak: probe named": (
        "garak",
        [GARAK[0] | {"plugins.probe_spec": "dan.Dan_11_0,encoding.A"}, *GARAK[1:]],
        "no evaluation of encoding.A",
    ),
    "garak: probe resolved": (
        "garak",
        [
            GARAK[0] | {"transient.active_probes": ["probes.dan.Dan_11_0", "probes.lmrc.B"]},
            *GARAK[1:],
        ],
        "no evaluation of lmrc.B",
    ),
    "garak: module": (
        "garak",
        [GARAK[0] | {"plugins.probe_spec": "dan,encoding"}, *GARAK[1:]],
        "no evaluation of encoding",
    ),
    "garak: attempted": (
        "garak",
        changed(GARAK, 2, "probe_classname", to="encoding.A"),
        "no evaluation of encoding.A",
    ),
    "garak: unanswered": (
        "garak",
        [
            *GARAK[:-1],
            {
                "entry_type": "probe_summary",
                "probe": "dan.Dan_11_0",
                "inference_counts": {"total_evaluated": 10, "nones": 3},
            },
            GARAK[-1],
        ],
        "dan.Dan_11_0: some attempts have no answer",
    ),
    "lm-eval: less is better": (
        "lm-eval",
        LM_EVAL | {"higher_is_better": {"facts": {"acc": False}}},
        "measures nothing",
    ),
    "lm-eval: not stated what is better": (
        "lm-eval",
        LM_EVAL | {"higher_is_better": {}},
        "measures nothing",
    ),
    "lm-eval: limit": ("lm-eval", changed(LM_EVAL, "config", "limit", to=2.0), "limited to 2.0"),
    "lm-eval: some": (
        "lm-eval",
        changed(LM_EVAL, "n-samples", "facts", "effective", to=2),
        "of 8 samples were run",
    ),
    "lm-eval: before 0.4.12, with --samples": (
        "lm-eval",
        LM_EVAL | {"results": {"facts": {"acc,none": 1.0}}},
        "does not count what was scored",
    ),
    "lm-eval: some scored": (
        "lm-eval",
        changed(LM_EVAL, "results", "facts", "sample_len", to=2),
        "2 of 8 samples",
    ),
    "inspect: one asked instead of another": (
        "inspect",
        changed(INSPECT, "samples", 0, to=sample(2, "C")),
        "does not hold each sample 1 times",
    ),
    "lm-eval: scale": (
        "lm-eval",
        changed(LM_EVAL, "results", "facts", "acc,none", to=75.0),
        "75.0 is not from 0 to 1",
    ),
    "lm-eval: no time": ("lm-eval", LM_EVAL | {"date": "May"}, "'May' is not a time of a run"),
    "another tool's": ("garak", INSPECT, "not a report of garak: it has no entry_type"),
    "no JSON": ("inspect", [], "not JSON"),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_a_report_that_is_not_whole_is_no_score(name: str) -> None:
    tool, report, message = PARTIAL[name]
    if message is None:
        read_report(tool, written(report))  # an empty error object is none
        return
    with pytest.raises(EvaluationError, match=message):
        read_report(tool, written(report))


def test_the_metrics_of_a_task_with_several_are_distinguished() -> None:
    several = changed(LM_EVAL, "results", "facts", "acc_norm,none", to=0.5)
    assert set(read_report("lm-eval", written(several)).scores) == {
        "facts:acc,none",
        "facts:acc_norm,none",
    }


def test_a_server_behind_inspects_compatible_api_has_a_name_of_its_own() -> None:
    named = changed(INSPECT, "eval", "model", to=f"openai-api/my-gateway/{MODEL}")
    read_report("inspect", written(named)).check_model(MODEL)


OTHERS = [MODEL + "x", "x" + MODEL, f"evil/{MODEL}", "gpt-4o-2024-08-06", f"openai-api/a/b/{MODEL}"]


@pytest.mark.parametrize("other", OTHERS)
def test_a_report_of_another_model_is_refused(other: str) -> None:
    report = read_report("garak", written(changed(GARAK, 0, "plugins.target_name", to=other)))
    with pytest.raises(EvaluationError, match="and the manifest is of"):
        report.check_model(MODEL)


@pytest.mark.parametrize(
    ("begins", "named", "message"),
    [
        (BEGUN - HOUR, "azure:chat:support-prod", None),
        (BEGUN, "azure:chat:support-prod", None),
        (BEGUN + HOUR, "azure:chat:support-prod", "give the binding that was in force then"),
        (BEGUN - 2 * HOUR, "azure:chat:support-prod", "was bound from 2026-05-01T06:00:00Z until"),
        (BEGUN, "azure:chat:support-test", "of azure:chat:support-test, and the manifest is of"),
    ],
)
def test_a_deployment_is_the_model_that_it_was_bound_to_when_the_run_began(
    begins: datetime, named: str, message: str | None
) -> None:
    found = deepcopy(PROMPTFOO)
    for row in found["results"]["results"]:
        row["provider"]["id"] = named
    report = read_report("promptfoo", written(found))
    bound = BoundName("support-prod", Window(begins, begins + 2 * HOUR))
    if message is None:
        report.check_model(MODEL, [bound])
        return
    with pytest.raises(EvaluationError, match=message):
        report.check_model(MODEL, [bound])


def test_a_report_without_a_time_proves_nothing_of_a_deployment() -> None:
    found = changed(LM_EVAL, "config", "model_args", to="model=support-prod")
    report = read_report("lm-eval", written({k: v for k, v in found.items() if k != "date"}))
    bound = BoundName("support-prod", Window(BEGUN, BEGUN + HOUR))
    with pytest.raises(EvaluationError, match="does not state when it was made"):
        report.check_model(MODEL, [bound])


SILENT = {
    "inspect": changed(
        INSPECT, "samples", 0, "output", "choices", 0, "message", to={"content": [{"text": " "}]}
    ),
    "promptfoo": changed(PROMPTFOO, "results", "results", 0, "response", "output", to="\u200b"),
    "garak": changed(GARAK, EVAL - 1, "outputs", to=[{"text": "\n\u2060"}, {"text": None}]),
}


@pytest.mark.parametrize(
    ("tool", "score"), [("inspect", 0.375), ("promptfoo", 1 / 3), ("garak", 0.65)]
)
def test_silence_scores_nothing_whatever_the_tool_made_of_it(tool: str, score: float) -> None:
    (found,) = read_report(tool, written(SILENT[tool])).scores.values()
    assert found.score == pytest.approx(score)
