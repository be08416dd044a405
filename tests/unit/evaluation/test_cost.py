"""What an evaluation costs: of the model and of each judge, and unknown where a price is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sidecar.cli.evaluate import cost_text, progress_text
from sidecar.evaluation.cost import Price, Prices, parse_prices
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.report.record import ModelUsage
from sidecar.evaluation.runner.process import Usage


def test_a_price_without_a_name_is_the_models_and_each_judge_has_its_own() -> None:
    found = parse_prices(["3.75,15", "gpt-4.1=2,8", "vertex=eu/judge=0,0.5"])
    judges = {"gpt-4.1": Price(2, 8), "vertex=eu/judge": Price(0, 0.5)}
    assert found == Prices(Price(3.75, 15), judges)
    assert (found.of(None), found.of("gpt-4.1"), found.of("other")) == (
        Price(3.75, 15),
        Price(2, 8),
        None,
    )
    assert Price(3.75, 15).cost(1_000, 200) == 0.00675
    assert parse_prices([]) == Prices()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["3"], "price '3' is not IN,OUT or JUDGE=IN,OUT, such as 3.75,15 or gpt-4.1=2,8"),
        (["judge=1"], "price 'judge=1' is not IN,OUT"),
        (["=1,2"], "no judge's name before '='"),
        (["-1,2"], "not two numbers of at least 0"),
        (["nan,2"], "not two numbers of at least 0"),
        (["1,2", "3,4"], "the price of the model is given twice"),
        (["a=1,2", "a=3,4"], "the price of a is given twice"),
    ],
)
def test_a_price_with_a_mistake_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        parse_prices(texts)


def test_progress_shows_tokens_and_with_a_price_the_cost_so_far() -> None:
    usage = Usage(datetime(2026, 11, 1, tzinfo=UTC), input_tokens=100_000, output_tokens=20_000)
    assert progress_text(usage, None) == "120000 tokens"
    assert progress_text(usage, Price(3.75, 15)) == "120000 tokens, cost 0.6750"


def test_the_price_of_a_judge_that_no_suite_asks_is_a_mistake() -> None:
    prices = parse_prices(["gpt-4.1=2,8"])
    prices.check_judges(["gpt-4.1", "gpt-4.1", "gpt-4o"])
    with pytest.raises(
        EvaluationError, match=r"a price of gpt-4\.1: the suites' judges are gpt-4o"
    ):
        prices.check_judges(["gpt-4o"])
    with pytest.raises(EvaluationError, match="the suites' judges are none"):
        prices.check_judges([])


def test_a_cost_of_which_a_part_is_unknown_is_no_sum() -> None:
    def used(model: str, cost: float | None) -> ModelUsage:
        judge = model != "m"
        return ModelUsage(
            model=model, judge=judge, input_tokens=1, output_tokens=1, seconds=1.0, cost=cost
        )

    assert cost_text([used("m", 1.5), used("j", 0.25)]) == "1.75, of that judges 0.25"
    assert cost_text([used("m", None), used("j", None)]) is None
    part = cost_text([used("m", 1.5), used("j", None), used("j", None)])
    assert part == "not known whole, without a price of j"
