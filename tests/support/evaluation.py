"""``admit evaluate run`` as a step of a longer test: real Inspect AI over a real sandbox route."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.demo.evaluator import SUITES
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.runner import environment
from sidecar.opa.location import tools_folder


def evaluation_python() -> Path:
    """Return the interpreter of the evaluation environment; without it the test is skipped."""
    try:
        return environment.interpreter(tools_folder())
    except EvaluationError as error:
        pytest.skip(str(error))


@contextmanager
def evaluate_run(
    manifest: Path, via: str, credential: Path, folder: Path, model: str | None = None
) -> Iterator[tuple[object, ...]]:
    """Yield the arguments that run the demo's suites; the results file is ``results.json``."""
    called = () if model is None else ("--model", model)
    with as_file(files("admissibility_devtools.demo") / "data" / "suites") as suites:
        yield (
            *("evaluate", "run", *(suites / name for name in SUITES), "--manifest", manifest),
            *("--via", via, "--credential-file", credential, *called),
            *("--out", folder / "results.json", "--runs", folder / "runs"),
        )


Reply = tuple[int, dict[str, Any]]


def refused(status: int, code: str, message: str = "not now") -> Reply:
    """Return an error in the form of OpenAI's API."""
    return status, {"error": {"message": message, "type": "error", "code": code, "param": None}}


def ended(finish_reason: str, text: str = "Your refund") -> Reply:
    """Return an answer that the model did not end itself."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    head = {"id": "chatcmpl-hurdle", "object": "chat.completion", "created": 1767225000}
    return 200, {**head, "model": "m", "choices": [choice], "usage": usage}


@dataclass
class Hurdles:
    """What a stand-in provider does before it answers a question as usual.

    Attributes:
        ahead: Question → replies, each given once and in turn.
        held: A question that is not answered before ``go_on``; ``reached`` is then set.
        questions: Every question, in the order in which they came.
    """

    ahead: dict[str, list[Reply]] = field(default_factory=dict)
    held: str = ""
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    questions: list[str] = field(default_factory=list)

    def meet(self, body: bytes) -> Reply | None:
        """Return the reply to a chat completion; ``None`` for the usual one."""
        question = json.loads(body)["messages"][-1]["content"]
        self.questions.append(question)
        if question == self.held and not self.go_on.is_set():
            self.reached.set()
            self.go_on.wait(120)
        replies = self.ahead.get(question, [])
        return replies.pop(0) if replies else None

    @property
    def left(self) -> list[Reply]:
        """Replies that were not given."""
        return [reply for replies in self.ahead.values() for reply in replies]
