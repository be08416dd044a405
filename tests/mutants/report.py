"""Write what a run came to: a table and the survivors for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tests.mutants.survey import Change, Score, outcome, scores

_HEAD = "{:34} {:>8} {:>7} {:>9} {:>10} {:>10} {:>7} {:>15}"
_ROW = "{:34} {:8} {:7} {:9} {:10} {:10} {:7.1%} {:15.1%}"
_TITLES = ("mutants", "killed", "survived", "explained", "undecided", "score", "less explained")


@dataclass(frozen=True, slots=True)
class Report:
    """The mutants of a sample.

    Attributes:
        seed: Of the sample.
        statuses: Exit status by mutant.
        changes: What each mutant that was not killed changes.
        reasons: Recorded reasons to survive.
    """

    seed: int
    statuses: Mapping[str, int | None]
    changes: Mapping[str, Change]
    reasons: Mapping[Change, str]

    @property
    def by_module(self) -> dict[str, Score]:
        """Return the score of each module."""
        explained = frozenset(n for n, made in self.changes.items() if made in self.reasons)
        return scores(self.statuses, explained)

    @property
    def total(self) -> Score:
        """Return the score of the sample."""
        return sum(self.by_module.values(), Score())

    def table(self) -> str:
        """Return a row for each module, each package and the sample."""
        packages: dict[str, Score] = {}
        for module, score in self.by_module.items():
            package = module.rpartition(".")[0]
            packages[package] = packages.get(package, Score()) + score
        rows = [_HEAD.format("module", *_TITLES)]
        for name, score in [
            *self.by_module.items(),
            *packages.items(),
            (f"all, seed {self.seed}", self.total),
        ]:
            counts = asdict(score).values()
            rows.append(_ROW.format(name, *counts, score.share, score.share_of_explained))
        return "\n".join(rows)

    def survivors(self) -> str:
        """Return each mutant that was not killed as a diff, the explained ones last."""
        order = sorted(self.changes, key=lambda name: (self.changes[name] in self.reasons, name))
        return "\n\n".join("\n".join(self._lines(name)) for name in order)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "seed": self.seed,
            "modules": {m: _plain(score) for m, score in self.by_module.items()},
            "total": _plain(self.total),
            "mutants": {n: str(outcome(s)) for n, s in sorted(self.statuses.items())},
            "survivors": [
                {"name": name, **asdict(made), "reason": self.reasons.get(made)}
                for name, made in sorted(self.changes.items())
            ],
        }

    def _lines(self, name: str) -> Iterator[str]:
        made = self.changes[name]
        yield f"{outcome(self.statuses[name])}: {name}"
        yield from (f"  - {line}" for line in made.old.splitlines())
        yield from (f"  + {line}" for line in made.new.splitlines())
        if made in self.reasons:
            yield f"  explained: {self.reasons[made]}"


def _plain(score: Score) -> dict[str, float]:
    return {**asdict(score), "score": score.share, "lessExplained": score.share_of_explained}
