"""Evaluates the formula of a multi-grader, which combines scores, without running code.

The grammar is Python's for numbers, names, ``+ - * / **`` and calls of the functions below
(``calculate_output`` of OpenAI's multi-grader). Everything else is refused when it is parsed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.evaluation.errors import EvaluationError

MAX_CHARACTERS = 1_000
MAX_NODES = 200
MAX_EXPONENT = 64.0

FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "floor": math.floor,
    "log": math.log,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}


def _power(base: float, exponent: float) -> float:
    if abs(exponent) > MAX_EXPONENT:
        raise ValueError(f"an exponent beyond {MAX_EXPONENT:g}")
    return math.pow(base, exponent)  # `**` would turn a negative base into a complex number


_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: _power,
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula over the names of graders."""

    text: str
    names: frozenset[str]
    _body: ast.expr

    def evaluate(self, scores: Mapping[str, float]) -> float:
        """Compute the formula.

        Raises:
            EvaluationError: A name has no score, or the result is not a finite number.
        """
        try:
            result = _value(self._body, scores)
        except KeyError as error:
            raise EvaluationError(f"formula {self.text!r}: no score for {error.args[0]}") from error
        except (ArithmeticError, ValueError, TypeError) as error:
            raise EvaluationError(f"formula {self.text!r}: {error}") from error
        if not math.isfinite(result):
            raise EvaluationError(f"formula {self.text!r}: the result is not a finite number")
        return float(result)


def parse_formula(text: str, *, where: str) -> Formula:
    """Parse a formula.

    Raises:
        EvaluationError: Too long, or it holds something beyond the grammar; names what.
    """
    if len(text) > MAX_CHARACTERS:
        raise EvaluationError(f"{where}: longer than {MAX_CHARACTERS} characters")
    try:
        body = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EvaluationError(f"{where}: {text!r} is not a formula") from error
    nodes = list(ast.walk(body))
    if len(nodes) > MAX_NODES:
        raise EvaluationError(f"{where}: more than {MAX_NODES} parts")
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = set()
    for node in nodes:
        _check(node, where)
        if isinstance(node, ast.Name) and id(node) not in called:
            names.add(node.id)
    return Formula(text, frozenset(names), body)


def _check(node: ast.AST, where: str) -> None:
    number = isinstance(node, ast.Constant) and type(node.value) in {int, float}
    call = (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FUNCTIONS
        and not node.keywords
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
    )
    binary = isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS
    unary = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd)
    plain = isinstance(node, ast.Name | ast.Load | ast.operator | ast.unaryop)
    if not (number or call or binary or unary or plain):
        what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
        raise EvaluationError(
            f"{where}: {what!r} is not allowed; a formula has numbers, names of graders, "
            f"+ - * / ** and {', '.join(sorted(FUNCTIONS))}"
        )


def _value(node: ast.expr, scores: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=float() | int() as number):
            return float(number)
        case ast.Name(id=name):
            return scores[name]
        case ast.UnaryOp(op=sign, operand=operand):
            value = _value(operand, scores)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right):
            return _OPERATORS[type(operator)](_value(left, scores), _value(right, scores))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return float(FUNCTIONS[name](*(_value(argument, scores) for argument in arguments)))
    raise ValueError(f"{ast.unparse(node)} is not allowed")
