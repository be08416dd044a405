"""Runs suites and grades them: first the answers, then the judges' grades of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sidecar.core.predicates import Manifest
from sidecar.core.window import rfc3339
from sidecar.durable.files import write_atomically
from sidecar.evaluation.cost import Prices
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import (
    LabelModel,
    ScoreModel,
    judge_messages,
    judges,
)
from sidecar.evaluation.grading import GradedSuite, grade
from sidecar.evaluation.report.record import ModelUsage
from sidecar.evaluation.runner import process
from sidecar.evaluation.runner.inspect_log import AnswerLog, ModelAnswer
from sidecar.evaluation.runner.plan import Bounds, Plan, Route, suite_plan
from sidecar.evaluation.runner.process import Job, Usage
from sidecar.evaluation.suite import SuiteFolder
from sidecar.evaluation.templates import PAIR, Answer

RECORD = "graded.json"
OnProgress = Callable[[str, str | None, Usage], None]
"""Called with the suite, the judge whose grades are asked for (``None`` for the answers), and what
was used so far."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """What all suites of one evaluation have in common.

    Attributes:
        python: Interpreter of the environment that holds Inspect.
        manifest: Digest of the manifest that is evaluated.
        model: Id of the manifest's model.
        runs: Folder of all runs.
        now: The reference time.
        sandbox: The route to the model.
        production: The route to the judges; ``None`` where there is none.
        bounds: How hard it is tried.
        restart: Forget the answers of earlier runs.
        on_progress: Called with what is asked, and how far it is.
        prices: Of the model and of its judges, as far as they are known.
        called: The name to call, where it is a deployment's; else ``model``.
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
    on_progress: OnProgress = lambda _, __, ___: None
    prices: Prices = field(default_factory=Prices)
    called: str | None = None

    @property
    def name(self) -> str:
        """The name to call."""
        return self.model if self.called is None else self.called

    def evaluate(self, suites: Sequence[SuiteFolder]) -> list[EvaluatedSuite]:
        """Run suites, ask their judges, grade the answers, and write the records.

        Raises:
            EvaluationError: A case has no answer that the model ended itself; a judge's answer is
                missing or out of range; there is no route to a judge.
        """
        asked = [tuple(judges(suite.grader)) for suite in suites]
        for suite, each in zip(suites, asked, strict=True):
            self._check_judges(suite, {judge.model for judge in each})
        plans = [suite_plan(suite, self.manifest, self.name) for suite in suites]
        answered = self._run(
            Job(plan, self.sandbox, partial(self.on_progress, suite.name, None))
            for suite, plan in zip(suites, plans, strict=True)
        )
        judged = iter(
            self._run(
                self._judging(suite, plan.task, judge, log)
                for suite, plan, each, (log, _) in zip(suites, plans, asked, answered, strict=True)
                for judge in each
            )
        )
        return [
            self._graded(suite, plan, log, usage, [(judge, *next(judged)) for judge in each])
            for suite, plan, each, (log, usage) in zip(suites, plans, asked, answered, strict=True)
        ]

    def _graded(
        self,
        suite: SuiteFolder,
        plan: Plan,
        log: AnswerLog,
        usage: Usage,
        verdicts: list[tuple[LabelModel | ScoreModel, AnswerLog, Usage]],
    ) -> EvaluatedSuite:
        judged: dict[str, dict[str, str | float]] = {name: {} for name in log.answers}
        for judge, answers, _ in verdicts:
            for name, answer in answers.answers.items():
                judged[name][judge.name] = judge.parse(answer.output_text)
        graded = grade(suite, _lines(log.answers, judged))
        used = tuple((judge.model, each) for judge, _, each in verdicts)
        folder = plan.folder(self.runs)
        found = EvaluatedSuite(
            graded, log, judged, self.model, self.name, usage, used, folder, self.prices
        )
        write_atomically(found.folder / RECORD, found.record(self.manifest), mode=0o600)
        return found

    def _check_judges(self, suite: SuiteFolder, models: set[str]) -> None:
        if models and self.production is None:
            raise EvaluationError(
                f"suite {suite.name} has judges ({', '.join(sorted(models))}), which are called"
                " over the production route; name it"
            )
        if models & {self.model, self.name}:
            raise EvaluationError(
                f"suite {suite.name} has the evaluated model {self.name} as its own judge"
            )

    def _run(self, jobs: Iterable[Job]) -> list[tuple[AnswerLog, Usage]]:
        return process.run_all(
            self.python, tuple(jobs), self.runs, self.bounds, now=self.now, restart=self.restart
        )

    def _judging(
        self, suite: SuiteFolder, task: str, judge: LabelModel | ScoreModel, log: AnswerLog
    ) -> Job:
        """Return the job to ask one judge about every answer of a suite."""
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
        route = replace(self.production, sandbox=False)
        return Job(plan, route, partial(self.on_progress, suite.name, judge.model))


@dataclass(frozen=True, slots=True)
class EvaluatedSuite:
    """One suite that was run and graded.

    Attributes:
        graded: Score, interval and the score of each case.
        log: The answers.
        judged: Case id → grader → what its judge answered.
        model: Id of the manifest's model.
        called: The name by which it was called.
        usage: What its answers took.
        judges: What each judge model used.
        folder: The run's folder.
        prices: Of the model and of its judges, as far as they are known.
    """

    graded: GradedSuite
    log: AnswerLog
    judged: Mapping[str, Mapping[str, str | float]]
    model: str
    called: str
    usage: Usage
    judges: tuple[tuple[str, Usage], ...]
    folder: Path
    prices: Prices = field(default_factory=Prices)

    def row(self) -> dict[str, Any]:
        """Return the suite as an entry of a results file."""
        row = self.graded.row(self.model, self.log.runner, self.log.digest)
        return row | {"performed": rfc3339(self.usage.begun)}

    def used(self) -> tuple[ModelUsage, ...]:
        """Return what the model's answers took, and then what each judge's did."""
        all_ = (
            (self.called, None, self.usage),
            *((name, name, each) for name, each in self.judges),
        )
        return tuple(
            ModelUsage(
                model=model,
                judge=judge is not None,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                seconds=round(usage.seconds, 3),
                cost=None
                if (price := self.prices.of(judge)) is None
                else price.cost(usage.input_tokens, usage.output_tokens),
            )
            for model, judge, usage in all_
        )

    def record(self, manifest: str) -> bytes:
        """Return what a report shows of it, as JSON."""
        suite = self.graded.suite
        fields = {case.id: case.fields for case in suite.cases}
        value = self.row() | {
            "threshold": suite.threshold,
            "passed": self.graded.passed,
            "manifest": manifest,
            "called": self.called,
            "used": [each.model_dump() for each in self.used()],
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
