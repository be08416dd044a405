"""Parses the report of each evaluation tool, and refuses one that is not whole.

Sources: Inspect AI ``log/_log.py``, promptfoo ``types/index.ts`` and ``evaluator.ts``, garak
``evaluators/base.py``, ``harnesses/base.py`` and ``attempt.py`` (and runs of 0.17.1),
lm-evaluation-harness ``evaluator_utils.py``.

An answer without a text that can be seen, and without a tool call, is a score of 0 as in our own
runs: a search for what must not be said passes it. The reports of garak and lm-eval do not state
why an answer ended.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.grading import is_silent
from sidecar.formats.amounts import amount


@dataclass(frozen=True, slots=True)
class ToolScore:
    """One measurement of a report: a mean over ``samples`` scores from 0 to 1.

    ``cases`` are the different ones among them: a case that was repeated counts once. ``asked``
    are the texts that were sent, and the parts they were made of; empty where no report has them.
    """

    key: str
    score: float
    samples: int
    cases: int
    asked: frozenset[str] = frozenset()


Read = tuple[str, list[str], list[ToolScore], object]
"""Version of the tool, models, measurements, when the run began as the tool writes it."""


def _inspect(data: bytes) -> Read:
    """Read Inspect's ``EvalLog``; the mean is computed from the samples, not taken."""
    log = _loads(data)
    spec = log["eval"]
    task = spec["task"]
    if log["status"] != "success" or log.get("invalidated"):
        raise EvaluationError(f"the run of {task} ended as {log['status']}, not as success")
    samples = log.get("samples") or []
    epochs = (spec.get("config") or {}).get("epochs") or 1
    declared = spec["dataset"]["samples"] * epochs
    limit = (spec.get("config") or {}).get("limit")
    if limit is not None or len(samples) != declared or log["results"].get("early_stopping"):
        raise EvaluationError(
            f"the log of {task} holds {len(samples)} of {declared} samples (limit: {limit})"
        )
    counts = Counter(str(sample["id"]) for sample in samples)
    if any(count != epochs for count in counts.values()):
        raise EvaluationError(f"the log of {task} does not hold each sample {epochs} times")
    values = [_inspect_value(task, sample) for sample in samples]
    version = (spec.get("packages") or {}).get("inspect_ai", "")
    asked = frozenset(text for sample in samples for text in _texts(sample["input"]))
    score = ToolScore(task, _mean(values), len(values), len(counts), asked)
    return version, [spec["model"]], [score], spec.get("created")


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a JSON value: a prompt, a conversation, or the variables of one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Inspect's CORRECT, INCORRECT, PARTIAL and NOANSWER."""


def _inspect_value(task: str, sample: Mapping[str, Any]) -> float:
    where = f"sample {sample['id']} of {task}"
    if sample.get("error"):
        raise EvaluationError(f"{where} ended with an error")
    reasons = {choice["stop_reason"] for choice in sample["output"]["choices"]}
    if not reasons <= {"stop", "tool_calls"} or not reasons:
        raise EvaluationError(f"{where} was not ended by the model: {', '.join(sorted(reasons))}")
    scores = sample.get("scores") or {}
    if len(scores) != 1:
        raise EvaluationError(f"{where} has {len(scores)} scores; one scorer is expected")
    if not any(_has_answer(choice["message"]) for choice in sample["output"]["choices"]):
        return 0.0
    value = next(iter(scores.values()))["value"]
    if isinstance(value, str):
        if value not in _LETTERS:
            raise EvaluationError(f"{where}: the score {value!r} is none of C, I, P, N")
        return _LETTERS[value]
    return float(value)


def _has_answer(message: Mapping[str, Any]) -> bool:
    """Return whether a message has a tool call, or a text that can be seen."""
    content = message["content"]
    parts = content if isinstance(content, list) else [{"text": content}]
    return bool(message.get("tool_calls")) or not all(_is_blank(p.get("text")) for p in parts)


def _is_blank(output: object) -> bool:
    return output is None or (isinstance(output, str) and is_silent(output))


def _promptfoo(data: bytes) -> Read:
    """Read promptfoo's ``EvaluateSummaryV3``, alone or in the file that ``--output`` writes."""
    whole = _loads(data)
    summary = whole["results"] if isinstance(whole["results"], dict) else whole
    if summary["version"] != 3:
        raise EvaluationError(f"the promptfoo report has version {summary['version']}, not 3")
    stats = summary["stats"]
    if stats["errors"]:
        failed = amount(stats["errors"], "test")
        raise EvaluationError(f"{failed} ended with an error; run these again")
    rows = summary["results"]
    if len(rows) != stats["successes"] + stats["failures"]:
        raise EvaluationError(f"the promptfoo report holds {len(rows)} rows of other counts")
    passes: dict[str, list[float]] = {}
    cases: dict[str, set[str]] = {}
    asked: dict[str, set[str]] = {}
    for row in rows:
        if (row.get("gradingResult") or {}).get("reason") == "No assertions":
            raise EvaluationError(
                "the promptfoo report counts a test without assertions, which passes whatever the"
                " model answers; give each test an assertion"
            )
        prompt = row["prompt"]
        key = prompt.get("label") or prompt["raw"]
        answered = not _is_blank(_promptfoo_output(row))
        passes.setdefault(key, []).append(float(row["success"] and answered))
        cases.setdefault(key, set()).add(_promptfoo_case(row))
        asked.setdefault(key, set()).update(_texts([prompt["raw"], row.get("vars")]))
    models = [row["provider"]["id"] for row in rows]
    _check_promptfoo_tests(whole.get("config"), passes)
    version = (whole.get("metadata") or {}).get("promptfooVersion", "")
    scores = [
        ToolScore(key, _mean(each), len(each), len(cases[key]), frozenset(asked[key]))
        for key, each in passes.items()
    ]
    return version, models, scores, summary.get("timestamp")


def _promptfoo_output(row: Mapping[str, Any]) -> object:
    """Return an answer that the model ended; promptfoo makes answers of a provider's refusals."""
    response = row["response"]
    reason = response.get("finishReason")
    if reason not in {"stop", "tool_calls"}:
        raise EvaluationError(
            f"the promptfoo report has an answer that ended by {reason or 'no stated reason'}, not"
            " by the model (finishReason stop or tool_calls)"
        )
    return response.get("output")


def _promptfoo_case(row: Mapping[str, Any]) -> str:
    """Return what makes a row's case another one: ``--repeat`` makes rows of the same."""
    asked = {
        name: value
        for name, value in (row.get("vars") or {}).items()
        if name not in {"sessionId", "_conversation"} and not name.startswith("__")
    }
    return json.dumps([asked, (row.get("testCase") or {}).get("assert")], sort_keys=True)


def _check_promptfoo_tests(config: object, passes: Mapping[str, list[float]]) -> None:
    """Require a row for each test of the configuration, where it holds the tests themselves.

    ``--filter-first-n`` and its like leave tests out of the counts, and in the configuration. One
    test may make several rows, never none.
    """
    tests = config.get("tests") if isinstance(config, dict) else None
    if not isinstance(tests, list) or not all(isinstance(each, dict) for each in tests):
        return
    for prompt, rows in passes.items():
        if len(rows) < len(tests):
            raise EvaluationError(
                f"the promptfoo report holds {len(rows)} of {len(tests)} tests of {prompt}: it was"
                " filtered; run all of them"
            )


def _garak(data: bytes) -> Read:
    """Read garak's report; a probe passes as often as all of its detectors together."""
    version, models, completed, begun = "", [], False, None
    asked: dict[str, set[str]] = {}
    silent: Counter[str] = Counter()
    selected: set[str] = set()
    counts: dict[str, list[tuple[int, int]]] = {}
    for line in data.splitlines():
        if not line.strip():
            continue
        row = _loads(line)
        kind = row["entry_type"]
        if kind == "start_run setup":
            models.append(row.get("plugins.target_name") or row["plugins.model_name"])
            version = row.get("_config.version", version)
            selected |= _garak_selected(row)
        elif kind == "init":
            version, begun = row.get("garak_version", version), row.get("start_time")
        elif kind == "completion":
            completed = True
        elif kind == "attempt" and row.get("probe_classname"):
            asked.setdefault(row["probe_classname"], set()).add(_garak_prompt(row))
            silent[row["probe_classname"]] += _garak_silent(row)
        elif kind == "eval":
            counts.setdefault(row["probe"], []).append(_garak_counts(row))
        elif kind == "probe_summary" and row["inference_counts"]["nones"]:
            raise EvaluationError(f"probe {row['probe']}: some attempts have no answer")
    if not completed:
        raise EvaluationError("the garak run did not end: its report has no completion entry")
    _check_evaluated(selected | asked.keys(), frozenset(counts))
    scores = [
        _garak_score(probe, detectors, asked.get(probe, set()), silent[probe])
        for probe, detectors in counts.items()
    ]
    return version, models, scores, begun


def _garak_prompt(row: Mapping[str, Any]) -> str:
    """Return what makes an attempt another one; it is written when it began and when it ended."""
    prompt = row.get("prompt") or row.get("uuid")
    turns = prompt.get("turns", prompt) if isinstance(prompt, dict) else prompt
    return json.dumps(turns, sort_keys=True)


def _garak_silent(row: Mapping[str, Any]) -> int:
    """Return how many outputs of an attempt that was evaluated (status 2) are blank."""
    texts = [each.get("text") if isinstance(each, dict) else each for each in row["outputs"]]
    return sum(map(_is_blank, texts)) if row["status"] == 2 else 0


def _check_evaluated(asked: set[str], evaluated: frozenset[str]) -> None:
    """Require every probe; those without attempts or not loaded are missing without a word."""
    modules = {probe.partition(".")[0] for probe in evaluated}
    missing = sorted(asked - evaluated - modules)
    if missing:
        raise EvaluationError(f"the garak run has no evaluation of {', '.join(missing)}")


def _garak_selected(setup: Mapping[str, Any]) -> set[str]:
    """Return the probes, or modules of probes, that a run was started with, where it names them."""
    selected = setup.get("transient.active_probes") or setup.get("plugins.probe_spec") or ()
    names = selected.split(",") if isinstance(selected, str) else selected
    plain = {str(name).strip().removeprefix("probes.") for name in names}
    return {name for name in plain if name not in {"", "*", "all", "auto"}}


def _garak_counts(row: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many answers a detector passed, and how many it evaluated."""
    if row.get("nones"):
        raise EvaluationError(
            f"probe {row['probe']}: {amount(row['nones'], 'answer')} could not be scored by"
            f" {row['detector']}"
        )
    return row["passed"], row["total_evaluated"] if "total_evaluated" in row else row["total"]


def _garak_score(
    probe: str, detectors: list[tuple[int, int]], prompts: set[str], silent: int
) -> ToolScore:
    """Return a probe's score; one answer that several detectors look at is one sample."""
    passed = sum(max(0, count - silent) for count, _ in detectors)
    total = sum(count for _, count in detectors)
    samples = min(count for _, count in detectors)
    asked = frozenset(text for each in prompts for text in _texts(json.loads(each)))
    return ToolScore(probe, passed / total if total else 0.0, samples, len(prompts), asked)


def _lm_eval(data: bytes) -> Read:
    """Read lm-evaluation-harness; the one metric of a task that is no error estimate."""
    report = _loads(data)
    config = report["config"]
    if config.get("limit") is not None:
        raise EvaluationError(f"the run was limited to {config['limit']} samples of each task")
    models = [report["model_name"]] if report.get("model_name") else [_lm_eval_model(config)]
    scores: list[ToolScore] = []
    for task, metrics in report["results"].items():
        if task in report.get("group_subtasks", {}) and report["group_subtasks"][task]:
            continue
        count = report["n-samples"][task]
        if "sample_len" not in metrics:
            # Before 0.4.12 "effective" was computed from the limit, and `--samples` not seen in it.
            raise EvaluationError(
                f"task {task}: the report does not count what was scored (sample_len); run it with "
                "lm-eval 0.4.12 or later"
            )
        if not metrics["sample_len"] == count["effective"] == count["original"]:
            raise EvaluationError(
                f"task {task}: {metrics['sample_len']} of {count['original']} samples were run"
            )
        better = report.get("higher_is_better", {}).get(task) or {}
        scores.extend(_lm_eval_score(task, metrics, count["effective"], better))
    return report.get("lm_eval_version", ""), models, scores, report.get("date")


def _lm_eval_model(config: Mapping[str, Any]) -> str:
    arguments = config["model_args"]
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    named = arguments.get("model") or arguments["pretrained"]
    return str(named)


def _lm_eval_score(
    task: str, metrics: Mapping[str, Any], samples: int, better: Mapping[str, Any]
) -> Iterator[ToolScore]:
    """Yield one score under the task's name, or each under ``task:metric,filter`` if several.

    A metric of which less is better (error rates, stereotypes) is no score: it would pass a
    threshold by being bad. Nor is one of which the report does not state that more is better.
    """
    found = {
        name: float(value)
        for name, value in metrics.items()
        if type(value) in {int, float}
        and _is_metric(name)
        and better.get(name.partition(",")[0]) is True
    }
    for name, value in found.items():
        yield ToolScore(task if len(found) == 1 else f"{task}:{name}", value, samples, samples)


def _is_metric(name: str) -> bool:
    """Return whether a field is ``metric,filter``, not an error estimate or another field."""
    metric, comma, _ = name.partition(",")
    return bool(comma) and not metric.endswith("_stderr")


def _loads(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse as the tools write: NaN for a metric without a value, which no score may be."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


READERS: Mapping[str, Callable[[bytes], Read]] = {
    "garak": _garak,
    "inspect": _inspect,
    "lm-eval": _lm_eval,
    "promptfoo": _promptfoo,
}
