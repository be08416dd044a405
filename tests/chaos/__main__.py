"""``python -m tests.chaos``: many seeded runs, with progress; exit status 1 if one complains."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

from tests.chaos.play import Outcome, play
from tests.support.sigterm import unwind_on_sigterm

write = partial(print, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--verbose", action="store_true", help="print what happened in each run")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for number in range(options.runs):
        outcome = play(options.seed + number)
        outcomes.append(outcome)
        if outcome.complaints or options.verbose:
            write(f"seed {outcome.seed}, {outcome.setup}:", *outcome.happened, sep="\n  ")
            write(*(f"  ! {each}" for each in outcome.complaints[:5]), sep="\n")
        left = (time.monotonic() - began) / (number + 1) * (options.runs - number - 1)
        write(
            f"chaos: {number + 1}/{options.runs} runs; {counts(outcomes)}; {left / 60:.0f} min left"
        )
    return 1 if any(each.complaints for each in outcomes) else 0


def counts(outcomes: list[Outcome]) -> str:
    """Return what there was of each kind, in one line."""
    return (
        f"{sum(each.asked for each in outcomes)} answers, "
        f"{sum(each.admitted for each in outcomes)} admitted; "
        f"unsafe allows {sum(each.unsafe for each in outcomes)}, "
        f"unrecorded allows {sum(each.unrecorded for each in outcomes)}, "
        f"lost withdrawals {sum(each.lost for each in outcomes)}, "
        f"not recovered {sum(each.stuck for each in outcomes)}; "
        f"slowest recovery {max(each.recovery for each in outcomes):.1f} s"
    )


if __name__ == "__main__":
    unwind_on_sigterm()
    sys.exit(main())
