"""``python -m tests.chaos``: many seeded runs, with progress; exit status 1 if one complains."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

from tests.chaos.play import play

write = partial(print, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--verbose", action="store_true", help="print what happened in each run")
    options = parser.parse_args()
    wrong = asked = admitted = 0
    slowest, began = 0.0, time.monotonic()
    for number in range(options.runs):
        outcome = play(options.seed + number)
        wrong += bool(outcome.complaints)
        asked, admitted = asked + outcome.asked, admitted + outcome.admitted
        slowest = max(slowest, outcome.recovery)
        if outcome.complaints or options.verbose:
            write(f"seed {outcome.seed}:", *outcome.happened, sep="\n  ")
            write(*(f"  ! {each}" for each in outcome.complaints[:5]), sep="\n")
        left = (time.monotonic() - began) / (number + 1) * (options.runs - number - 1)
        write(
            f"chaos: {number + 1}/{options.runs} runs, {wrong} with complaints; "
            f"{asked} answers, {admitted} admitted; slowest recovery {slowest:.1f} s; "
            f"{left / 60:.0f} min left",
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
