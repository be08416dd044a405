"""Draw a sample of mutants, read what became of them, and count. Pure.

A mutant is one small change of one function. It is *killed* when a test fails (or runs into
mutmut's limit of time), it *survives* when every test passes or none reaches the function, and it
is *undecided* when its tests did not come to an end; only a killed one counts as killed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_SEPARATOR = "ǁ"  # what mutmut puts around the name of a class
_SPINNER = frozenset("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNDECIDED = "undecided"


# The exit status of the mutant's process, as mutmut 3.8 records it: pytest's own, or a signal's.
_OUTCOMES = {
    1: Outcome.KILLED,  # a test failed
    3: Outcome.KILLED,  # pytest itself failed
    0: Outcome.SURVIVED,
    5: Outcome.SURVIVED,  # no test was collected
    33: Outcome.SURVIVED,  # no test reaches the function
    36: Outcome.TIMED_OUT,
    24: Outcome.TIMED_OUT,  # SIGXCPU
    -24: Outcome.TIMED_OUT,
    152: Outcome.TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a mutant changes: lines of a function, and the lines in their place."""

    function: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one module, or of all: ``explained`` is the part of ``survived`` with a reason."""

    mutants: int = 0
    killed: int = 0
    survived: int = 0
    explained: int = 0
    undecided: int = 0

    @property
    def share(self) -> float:
        """Return the killed share of all mutants, from 0 to 1; of none it is 0."""
        return self.killed / self.mutants if self.mutants else 0.0

    @property
    def share_of_explained(self) -> float:
        """Return the killed share of the mutants without a recorded reason to survive."""
        counted = self.mutants - self.explained
        return self.killed / counted if counted else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.mutants + other.mutants,
            self.killed + other.killed,
            self.survived + other.survived,
            self.explained + other.explained,
            self.undecided + other.undecided,
        )


def module_of(name: str) -> str:
    """Return the module of a mutant's name, as in ``sidecar.core.window``."""
    return name.rpartition(".")[0]


def function_of(name: str) -> str:
    """Return the function of a mutant's name, as in ``sidecar.core.window.Window.holds``."""
    module, _, mangled = name.rpartition(".")
    function, found, number = mangled.rpartition("__mutmut_")
    if not found or not number.isdigit():
        message = f"{name!r} is not the name of a mutant: expected ….x_FUNCTION__mutmut_NUMBER"
        raise ValueError(message)
    if function.startswith("x" + _SEPARATOR):
        return f"{module}.{function[2:].replace(_SEPARATOR, '.')}"
    return f"{module}.{function.removeprefix('x_')}"


def outcome(status: int | None) -> Outcome:
    """Return what an exit status means; an unknown one decides nothing."""
    return Outcome.UNDECIDED if status is None else _OUTCOMES.get(status, Outcome.UNDECIDED)


def sample(
    names: Iterable[str], count: int, seed: int, modules: Sequence[str] = ()
) -> tuple[str, ...]:
    """Draw ``count`` names, all if there are fewer, the same ones for the same seed.

    Each name has a place of its own in the draw, so code that is added or removed elsewhere leaves
    most of a sample as it was. ``modules`` are ``core``, ``core.window`` or full names.

    Raises:
        ValueError: no name is in ``modules``, or ``count`` is less than 1.
    """
    if count < 1:
        message = f"the sample has {count} mutants; expected 1 or more"
        raise ValueError(message)
    wanted = [m if m.startswith("sidecar.") else f"sidecar.{m}" for m in modules] or ["sidecar"]
    chosen = {n for n in names if any(f"{module_of(n)}.".startswith(f"{m}.") for m in wanted)}
    if not chosen:
        message = f"no mutant is in {', '.join(wanted)}; expected a module that mutmut mutates"
        raise ValueError(message)
    ranked = sorted(chosen, key=lambda n: hashlib.sha256(f"{seed} {n}".encode()).digest())
    return tuple(sorted(ranked[:count]))


def change(name: str, diff: str) -> Change:
    """Read a mutant's unified diff: removed and added lines, without their indentation."""
    removed: list[str] = []
    added: list[str] = []
    _, _, hunks = diff.partition("\n@@")  # what is before it names the file
    for line in hunks.splitlines():
        if line.startswith("-"):
            removed.append(line[1:].strip())
        elif line.startswith("+"):
            added.append(line[1:].strip())
    return Change(function_of(name), "\n".join(removed), "\n".join(added))


def scores(
    statuses: Mapping[str, int | None], explained: frozenset[str] = frozenset()
) -> dict[str, Score]:
    """Count by module; ``explained`` names the mutants that have a recorded reason to survive."""
    counts: dict[str, Counter[str]] = {}
    for name, status in statuses.items():
        became = outcome(status)
        counter = counts.setdefault(module_of(name), Counter())
        counter["mutants"] += 1
        counter["killed"] += became in (Outcome.KILLED, Outcome.TIMED_OUT)
        counter["survived"] += became is Outcome.SURVIVED
        counter["explained"] += became is Outcome.SURVIVED and name in explained
        counter["undecided"] += became is Outcome.UNDECIDED
    return {module: Score(**counts[module]) for module in sorted(counts)}


def without_spinner(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of mutmut's output that are neither blank nor a frame of its spinner.

    Each frame begins with a carriage return, which universal newlines make the end of a line.
    """
    return (line for line in lines if line.strip() and line[0] not in _SPINNER)
