"""Reads the reports of evaluation tools: which model was measured, on what, how often, how well.

A report is believed as far as the evaluator who countersigns it; what is checked here is that it
is whole. A tool that left samples out, stopped early, or could not score some answers reports a
mean over the rest, which is no score of the suite.

| tool | file | key of a measurement |
|---|---|---|
| ``inspect`` | the JSON log of Inspect AI (``inspect log dump`` for ``.eval``) | task |
| ``promptfoo`` | ``promptfoo eval --output FILE.json`` (version 3) | the prompt's label |
| ``garak`` | ``….report.jsonl`` | probe |
| ``lm-eval`` | ``results_….json`` of lm-evaluation-harness | task |
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sidecar.evaluation.errors import EvaluationError

MAX_REPORT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ToolScore:
    """One measurement of a report: a mean over ``samples`` scores from 0 to 1."""

    key: str
    score: float
    samples: int


@dataclass(frozen=True, slots=True)
class ToolReport:
    """A report that is whole.

    Attributes:
        tool: Its name and, where the report states it, its version.
        models: Every model that it names, as the tool spells them.
        digest: SHA-256 of the report's bytes, lower-case hex.
        scores: Key → measurement.
        performed: When the run began, at the latest; ``None`` where the report does not state it.
    """

    tool: str
    models: frozenset[str]
    digest: str
    scores: Mapping[str, ToolScore]
    performed: datetime | None = None

    def check_model(self, model: str) -> None:
        """Refuse the report of another model.

        A tool writes a prefix of its own before the id, such as ``openai/`` or ``openai:chat:``.

        Raises:
            EvaluationError: The report names no model, or one that is not ``model``.
        """
        others = sorted(name for name in self.models if not _is_model(name, model))
        if others or not self.models:
            named = ", ".join(others) or "no model"
            raise EvaluationError(
                f"the {self.tool} report is of {named}, and the manifest is of {model}"
            )


_PREFIXES = frozenset(
    {
        *("openai/", "openai-api/", "azureai/", "bedrock/", "vllm/", "ollama/", "google/"),
        *("openai:", "openai:chat:", "openai:completion:", "openai:responses:"),
        *("azureopenai:", "azureopenai:chat:", "azure:chat:", "bedrock:", "ollama:chat:"),
    }
)


def _is_model(name: str, model: str) -> bool:
    return name == model or (name.endswith(model) and name[: -len(model)] in _PREFIXES)


def read_report(tool: str, data: bytes) -> ToolReport:
    """Read a report.

    Args:
        tool: One of ``READERS``.
        data: The report's bytes.

    Raises:
        EvaluationError: An unknown tool; another shape; or a report that is not whole, with what
            is missing.
    """
    if tool not in READERS:
        raise EvaluationError(f"tool {tool!r} is none of {', '.join(sorted(READERS))}")
    if len(data) > MAX_REPORT_BYTES:
        raise EvaluationError(f"the {tool} report is larger than {MAX_REPORT_BYTES} bytes")
    try:
        version, models, scores, performed = READERS[tool](data)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EvaluationError(f"not a report of {tool}: {_shape(error)}") from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"the {tool} report is not JSON: {error}") from error
    by_key: dict[str, ToolScore] = {}
    for each in scores:
        _check_score(tool, each)
        if each.key in by_key:
            raise EvaluationError(f"the {tool} report measures {each.key} twice")
        by_key[each.key] = each
    if not by_key:
        raise EvaluationError(f"the {tool} report measures nothing")
    name = f"{tool} {version}" if version else tool
    digest = hashlib.sha256(data).hexdigest()
    return ToolReport(name, frozenset(models), digest, by_key, _instant(tool, performed))


_OFFSETS = timedelta(hours=14)
"""The farthest that a local time is ahead of UTC."""


def _instant(tool: str, stated: object) -> datetime | None:
    """Return when a run began; of a local time without an offset, the earliest it can be."""
    if stated is None:
        return None
    try:
        if isinstance(stated, int | float):
            return datetime.fromtimestamp(stated, UTC).replace(microsecond=0)
        found = datetime.fromisoformat(str(stated)).replace(microsecond=0)
    except (ValueError, OverflowError, OSError) as error:
        raise EvaluationError(f"the {tool} report: {stated!r} is no time of a run") from error
    return found.replace(tzinfo=UTC) - _OFFSETS if found.tzinfo is None else found.astimezone(UTC)


def _check_score(tool: str, each: ToolScore) -> None:
    if each.samples < 1:
        raise EvaluationError(f"the {tool} report has no sample for {each.key}")
    if not math.isfinite(each.score) or not 0 <= each.score <= 1:
        raise EvaluationError(f"the {tool} report: {each.key}: {each.score} is not from 0 to 1")


def _shape(error: Exception) -> str:
    missing = isinstance(error, KeyError)
    return f"it has no {error.args[0]}" if missing else "its parts have other types"


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
    values = [_inspect_value(task, sample) for sample in samples]
    version = (spec.get("packages") or {}).get("inspect_ai", "")
    models = [spec["model"]]
    return version, models, [ToolScore(task, _mean(values), len(values))], spec.get("created")


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
    value = next(iter(scores.values()))["value"]
    if isinstance(value, str):
        if value not in _LETTERS:
            raise EvaluationError(f"{where}: the score {value!r} is none of C, I, P, N")
        return _LETTERS[value]
    return float(value)


def _promptfoo(data: bytes) -> Read:
    """Read promptfoo's ``EvaluateSummaryV3``, alone or in the file that ``--output`` writes."""
    whole = _loads(data)
    summary = whole["results"] if isinstance(whole["results"], dict) else whole
    if summary["version"] != 3:
        raise EvaluationError(f"the promptfoo report has version {summary['version']}, not 3")
    stats = summary["stats"]
    if stats["errors"]:
        raise EvaluationError(f"{stats['errors']} tests ended with an error; run these again")
    rows = summary["results"]
    if len(rows) != stats["successes"] + stats["failures"]:
        raise EvaluationError(f"the promptfoo report holds {len(rows)} rows of other counts")
    passes: dict[str, list[float]] = {}
    for row in rows:
        if (row.get("gradingResult") or {}).get("reason") == "No assertions":
            raise EvaluationError(
                "the promptfoo report counts a test without assertions, which passes whatever the"
                " model answers; give each test an assertion"
            )
        prompt = row["prompt"]
        passes.setdefault(prompt.get("label") or prompt["raw"], []).append(float(row["success"]))
    models = [row["provider"]["id"] for row in rows]
    _check_promptfoo_tests(whole.get("config"), passes)
    version = (whole.get("metadata") or {}).get("promptfooVersion", "")
    scores = [ToolScore(k, _mean(v), len(v)) for k, v in passes.items()]
    return version, models, scores, summary.get("timestamp")


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
    asked: set[str] = set()
    counts: dict[str, list[tuple[int, int]]] = {}
    for line in data.splitlines():
        if not line.strip():
            continue
        row = _loads(line)
        kind = row["entry_type"]
        if kind == "start_run setup":
            models.append(row.get("plugins.target_name") or row["plugins.model_name"])
            version = row.get("_config.version", version)
            asked |= _garak_selected(row)
        elif kind == "init":
            version, begun = row.get("garak_version", version), row.get("start_time")
        elif kind == "completion":
            completed = True
        elif kind == "attempt" and row.get("probe_classname"):
            asked.add(row["probe_classname"])
        elif kind == "eval":
            counts.setdefault(row["probe"], []).append(_garak_counts(row))
        elif kind == "probe_summary" and row["inference_counts"]["nones"]:
            raise EvaluationError(f"probe {row['probe']}: some attempts have no answer")
    if not completed:
        raise EvaluationError("the garak run did not end: its report has no completion entry")
    _check_evaluated(asked, frozenset(counts))
    scores = [_garak_score(probe, detectors) for probe, detectors in counts.items()]
    return version, models, scores, begun


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
            f"probe {row['probe']}: {row['nones']} answers could not be scored by {row['detector']}"
        )
    return row["passed"], row["total_evaluated"] if "total_evaluated" in row else row["total"]


def _garak_score(probe: str, detectors: list[tuple[int, int]]) -> ToolScore:
    """Return a probe's score; one answer that several detectors look at is one sample."""
    passed, total = (sum(column) for column in zip(*detectors, strict=True))
    return ToolScore(probe, passed / total if total else 0.0, min(n for _, n in detectors))


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
        if count["effective"] != count["original"]:
            raise EvaluationError(
                f"task {task}: {count['effective']} of {count['original']} samples were run"
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
    threshold by being bad.
    """
    found = {
        name: float(value)
        for name, value in metrics.items()
        if type(value) in {int, float}
        and _is_metric(name)
        and better.get(name.partition(",")[0]) is not False
    }
    for name, value in found.items():
        yield ToolScore(task if len(found) == 1 else f"{task}:{name}", value, samples)


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
