"""Run one suite and grade it: first the answers, then the judges' grades of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.core.predicates import Manifest
from sidecar.core.window import rfc3339
from sidecar.durable.files import write_atomically
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import (
    LabelModel,
    ScoreModel,
    judge_messages,
    judges,
)
from sidecar.evaluation.grading import COMPLETE, GradedSuite, grade
from sidecar.evaluation.runner import process
from sidecar.evaluation.runner.inspect_log import AnswerLog, ModelAnswer
from sidecar.evaluation.runner.plan import Bounds, Plan, Route, suite_plan
from sidecar.evaluation.runner.process import Usage
from sidecar.evaluation.suite import SuiteFolder
from sidecar.evaluation.templates import PAIR, Answer

RECORD = "graded.json"
OnProgress = Callable[[str, Usage], None]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What all suites of one evaluation have in common.

    Attributes:
        python: Interpreter of the environment that holds Inspect.
        manifest: Digest of the manifest that is evaluated.
        model: As the sandbox route names it.
        runs: Folder of all runs.
        now: The reference time.
        sandbox: The route to the model.
        production: The route to the judges; ``None`` where there is none.
        bounds: How hard it is tried.
        restart: Forget the answers of earlier runs.
        on_progress: Called with what is asked, and how far it is.
    """

    python: Path
    manifest: str
    model: str
    runs: Path
    now: datetime
    sandbox: Route
    production: Route | None = None
    bounds: Bounds = field(default_factory=Bounds)
    restart: bool = False
    on_progress: OnProgress = lambda _, __: None

    def evaluate(self, suite: SuiteFolder) -> Evaluated:
        """Run a suite, ask its judges, grade the answers, and write the record.

        Raises:
            EvaluationError: A case has no answer that the model ended itself; a judge's answer is
                missing or out of range; there is no route to a judge.
        """
        asked = tuple(judges(suite.grader))
        if asked and self.production is None:
            models = ", ".join(sorted({each.model for each in asked}))
            raise EvaluationError(
                f"suite {suite.name} has judges ({models}), which are called over the production"
                " route; name it"
            )
        plan = suite_plan(suite, self.manifest, self.model)
        log, usage = self._run(plan, self.sandbox, suite.name)
        _check_ended(suite.name, log)
        judged: dict[str, dict[str, str | float]] = {name: {} for name in log.answers}
        used = []
        for judge in asked:
            verdicts, by_judge = self._judged(suite, plan.task, judge, log)
            used.append((judge.model, by_judge))
            for name, verdict in verdicts.items():
                judged[name][judge.name] = verdict
        graded = grade(suite, _lines(log.answers, judged))
        found = Evaluated(graded, log, judged, usage, tuple(used), plan.folder(self.runs))
        write_atomically(found.folder / RECORD, found.record(self.manifest, self.model), mode=0o600)
        return found

    def _run(self, plan: Plan, route: Route, what: str) -> tuple[AnswerLog, Usage]:
        return process.run(
            self.python,
            plan,
            self.runs,
            route,
            self.bounds,
            lambda usage: self.on_progress(what, usage),
            now=self.now,
            restart=self.restart,
        )

    def _judged(
        self, suite: SuiteFolder, task: str, judge: LabelModel | ScoreModel, log: AnswerLog
    ) -> tuple[dict[str, str | float], Usage]:
        """Ask one judge about every answer, in a run of its own."""
        assert self.production is not None
        fields = {case.id: case.fields for case in suite.cases}
        samples = {
            name: tuple(judge_messages(judge, _unjudged(fields[name], answer, log)))
            for name, answer in log.answers.items()
        }
        sampling = judge.sampling if isinstance(judge, ScoreModel) else {}
        plan = Plan(
            f"{task} judge {judge.name}",
            self.manifest,
            suite.digest,
            judge.model,
            samples,
            sampling,
        )
        verdicts, usage = self._run(plan, self.production, f"{suite.name}, judge {judge.model}")
        _check_ended(plan.task, verdicts)
        parsed = {name: judge.parse(each.output_text) for name, each in verdicts.answers.items()}
        return parsed, usage


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One suite that was run and graded.

    Attributes:
        graded: Score, interval and the score of each case.
        log: The answers.
        judged: Case id → grader → what its judge answered.
        usage: Of this run; what an earlier one had asked already is not in it.
        judges: What each judge model used, likewise.
        folder: The run's folder.
    """

    graded: GradedSuite
    log: AnswerLog
    judged: Mapping[str, Mapping[str, str | float]]
    usage: Usage
    judges: tuple[tuple[str, Usage], ...]
    folder: Path

    def row(self) -> dict[str, Any]:
        """Return the suite as an entry of a results file."""
        performed = {"performed": rfc3339(self.usage.begun)}
        return self.graded.row(self.log.runner, self.log.digest) | performed

    def record(self, manifest: str, model: str) -> bytes:
        """Return what a report shows of it, as JSON."""
        suite = self.graded.suite
        fields = {case.id: case.fields for case in suite.cases}
        value = self.row() | {
            "threshold": suite.threshold,
            "passed": self.graded.passed,
            "manifest": manifest,
            "model": model,
            "cases": [
                {
                    "id": name,
                    "score": score,
                    "input": fields[name]["input"],
                    "reference": _expected(fields[name]),
                    "output": self.log.answers[name].output_text,
                    "judged": dict(self.judged[name]),
                    "calls": [
                        {"name": call.name, "arguments": call.arguments}
                        for call in self.log.answers[name].output_tools
                    ],
                }
                for name, score in self.graded.cases
            ],
        }
        return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def _expected(fields: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a field is any JSON value
    """Return what a report shows beside the answer: the reference, or whatever a case has else."""
    others = {key: value for key, value in fields.items() if key not in {"id", "input"}}
    return others.get("reference", others or None)


def declared(manifest: Manifest, suite: SuiteFolder) -> None:
    """Require that a manifest declared exactly this suite, before it is run.

    Raises:
        EvaluationError: It declares none of that name and kind, or another edition of it.
    """
    named = [s for s in manifest.envelope.suites if (s.name, s.kind) == (suite.name, suite.kind)]
    for each in named:
        if (each.digest.sha256, each.jurisdiction) == (suite.digest, suite.jurisdiction):
            return
    if not named:
        known = ", ".join(each.name for each in manifest.envelope.suites)
        raise EvaluationError(
            f"the manifest declares no {suite.kind} suite {suite.name}; it declares {known}"
        )
    editions = ", ".join(each.digest.sha256 for each in named)
    raise EvaluationError(
        f"suite {suite.name} was changed since the manifest declared it: its digest is"
        f" {suite.digest}, the declared one {editions}"
    )


def _check_ended(what: str, log: AnswerLog) -> None:
    cut = [
        f"{name} ({answer.finish_reason})"
        for name, answer in log.answers.items()
        if answer.finish_reason not in COMPLETE
    ]
    if cut:
        raise EvaluationError(
            f"{what}: {len(cut)} answers were not ended by the model: {', '.join(cut[:5])}; an"
            " answer that was cut off or filtered is no answer, and is asked for again only with"
            " --restart"
        )


def _unjudged(fields: Mapping[str, Any], answer: ModelAnswer, log: AnswerLog) -> Answer:
    pair = log.answers.get(str(fields.get(PAIR)))
    text = None if pair is None else pair.output_text
    return Answer(fields, answer.output_text, {}, answer.output_tools, text)


def _lines(
    answers: Mapping[str, ModelAnswer], judged: Mapping[str, Mapping[str, str | float]]
) -> bytes:
    return b"\n".join(
        json.dumps(
            {
                "id": name,
                "output_text": each.output_text,
                "finish_reason": each.finish_reason,
                "judged": dict(judged[name]),
                "output_tools": [call.wire() for call in each.output_tools],
            }
        ).encode()
        for name, each in answers.items()
    )
