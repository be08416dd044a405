"""Asks policies about each choice of evidence until one is allowed, as a gate does.

A gate's own loop (``gate.pipeline``) is asynchronous and bounded by the call's deadline; commands
that explain or repeat decisions use this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


def ask_in_turn(
    questions: Iterable[Q], ask: Callable[[Q], A], allows: Callable[[A], bool]
) -> tuple[Q, A]:
    """Return the first question whose answer allows, with it; else the first one with its answer.

    Args:
        questions: At least one, the preferred evidence first; no more are read than are asked.
        ask: Asks the policies.
        allows: Whether an answer allows.

    Raises:
        ValueError: There is no question.
    """
    first: tuple[Q, A] | None = None
    for question in questions:
        answer = ask(question)
        if allows(answer):
            return question, answer
        first = first or (question, answer)
    if first is None:
        raise ValueError("nothing to ask the policies about")
    return first
