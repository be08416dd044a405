"""Act as the evaluator: run the suites over the sandbox route, and grade the answers.

A few cases need no more than the SDK. `admit evaluate run` does the same for suites of any size, on
Inspect AI.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import as_file, files

from admissibility_devtools.demo.caller import Application
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.grading import GradedSuite, grade
from sidecar.evaluation.suite import SuiteFolder, read_suite

SUITES = ("prompt-injection-probes", "support-regression", "eu-transparency-checks")


def run_suites(evaluator: Application, model: str) -> list[GradedSuite]:
    """Run the declared suites.

    Args:
        evaluator: In its own environment, at the sandbox route.
        model: The model that is not active yet.

    Raises:
        EvaluationError: A case has no answer that the model ended itself.
    """
    with as_file(files("admissibility_devtools.demo") / "data" / "suites") as folder:
        read = [read_suite(folder / name) for name in SUITES]
    return [grade(suite, b"\n".join(_answers(evaluator, suite, model))) for suite in read]


def results(graded: list[GradedSuite], model: str) -> bytes:
    """Return the scores of a model as a results file."""
    return json.dumps([each.row(model) for each in graded]).encode()


def _answers(evaluator: Application, suite: SuiteFolder, model: str) -> Iterator[bytes]:
    for case in suite.cases:
        reply = evaluator.ask(model, str(case.fields["input"]), **suite.generation)
        if reply.status != 200:
            raise EvaluationError(f"case {case.id}: {reply.reason}: {reply.text}")
        line = {"id": case.id, "output_text": reply.text, "finish_reason": reply.finish_reason}
        yield json.dumps(line).encode()
