"""Computes what an evaluation costs, from the tokens of its answers and prices that are given.

The price of a model is that of a million tokens, in and out. The evaluated model and each judge
have prices of their own; without one, a cost is unknown and not 0. Tokens that a provider serves
from its cache count in full. A call that was refused, or that nobody waited for any longer, states
no tokens, and answers that do not count are not in it: a provider may bill both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sidecar.evaluation.errors import EvaluationError

_MILLION = 1_000_000
SCOPE = "of the answers that count; refused, timed-out and repeated calls state no tokens"
"""What a cost covers, for people."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million tokens in, and of a million out, in one currency."""

    tokens_in: float
    tokens_out: float

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return what tokens cost, rounded to a millionth."""
        paid = input_tokens * self.tokens_in + output_tokens * self.tokens_out
        return round(paid / _MILLION, 6)


@dataclass(frozen=True, slots=True)
class Prices:
    """The price of the evaluated model, and judge model → price."""

    model: Price | None = None
    judges: Mapping[str, Price] = field(default_factory=dict)

    def of(self, judge: str | None) -> Price | None:
        """Return the price of a judge, or of the evaluated model for ``None``."""
        return self.model if judge is None else self.judges.get(judge)

    def check_judges(self, asked: Iterable[str]) -> None:
        """Refuse the price of a model that no suite asks: it is a misspelt one.

        Raises:
            EvaluationError: There is one; names it, and the judges that there are.
        """
        known = sorted(set(asked))
        unknown = sorted(set(self.judges) - set(known))
        if unknown:
            raise EvaluationError(
                f"a price of {', '.join(unknown)}: the suites' judges are"
                f" {', '.join(known) or 'none'}; the evaluated model's price has no name"
            )


def parse_prices(texts: Iterable[str]) -> Prices:
    """Parse ``IN,OUT`` (the evaluated model's) and ``JUDGE=IN,OUT``.

    Raises:
        EvaluationError: Another form, a number below 0, or a model's price that is given twice.
    """
    model: Price | None = None
    judges: dict[str, Price] = {}
    for text in texts:
        name, equals, numbers = text.rpartition("=")
        price = _price(text, numbers)
        if name in judges or (not equals and model is not None):
            raise EvaluationError(f"the price of {name or 'the model'} is given twice")
        if not equals:
            model = price
        elif name:
            judges[name] = price
        else:
            raise EvaluationError(f"price {text!r}: no judge's name before '='")
    return Prices(model, judges)


def _price(text: str, numbers: str) -> Price:
    try:
        tokens_in, tokens_out = map(float, numbers.split(","))
    except ValueError as error:
        raise EvaluationError(
            f"price {text!r} is not IN,OUT or JUDGE=IN,OUT, such as 3.75,15 or gpt-4.1=2,8"
        ) from error
    if not all(math.isfinite(each) and each >= 0 for each in (tokens_in, tokens_out)):
        raise EvaluationError(f"price {text!r}: not two numbers of at least 0")
    return Price(tokens_in, tokens_out)
