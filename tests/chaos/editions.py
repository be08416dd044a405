"""What authorities published, and which answers of a gate are unsafe, given what it had in force.

An answer is judged by what the gate may know at the time: of each authority any edition from the
last that was seen in force, before the call began, up to the last that was published when it ended.
If all of those deny, an allow is unsafe, whatever was killed, held back or lost meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MODEL_CALL, BASE_CALL = "model", "base"
QUESTIONS = (MODEL_CALL, BASE_CALL)


@dataclass(frozen=True, slots=True)
class Noun:
    """Something that one authority can withdraw, and the calls that rely on it."""

    authority: str
    kind: str
    subject: str
    ends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """One publication: version, when it was complete and when it expires (monotonic seconds)."""

    version: int
    at: float
    expires: float
    ends: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: when it began and ended, which, and the answer; ``None`` if there was none."""

    began: float
    ended: float
    question: str
    answer: str | None
    decision: str = ""

    @property
    def admitted(self) -> bool:
        return self.answer == "admitted"


@dataclass
class Record:
    """Everything that was published, seen in force, and asked, in the order of time.

    ``needed`` names for each question the authorities that must be fresh.
    """

    needed: dict[str, tuple[str, ...]]
    editions: dict[str, list[Edition]] = field(default_factory=dict)
    seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def publish(self, authority: str, edition: Edition) -> None:
        self.editions.setdefault(authority, []).append(edition)

    def in_force(self, authority: str, version: int, at: float) -> None:
        """Note that a gate stated, by ``at``, to decide by this version."""
        found = self.seen.setdefault(authority, [])
        if not found or version > found[-1][1]:
            found.append((at, version))

    def unsafe(self) -> list[str]:
        """Return a sentence for each allow that no state the gate may have had admits."""
        return [why for call in self.asked if call.admitted and (why := self._why(call))]

    def _why(self, call: Asked) -> str:
        for authority, editions in self.editions.items():
            least = max(
                (v for at, v in self.seen.get(authority, ()) if at <= call.began), default=0
            )
            possible = [e for e in editions if e.version >= least and e.at <= call.ended]
            if all(call.question in edition.ends for edition in possible):
                return f"{_name(call)}: {authority} withdrew it in version {least}, in force before"
            needed = authority in self.needed[call.question]
            if needed and all(edition.expires <= call.began for edition in possible):
                return f"{_name(call)}: all metadata of {authority} had expired"
        return ""

    def expected(self) -> dict[str, bool]:
        """Return which questions the last editions admit."""
        last = [editions[-1] for editions in self.editions.values()]
        return {each: not any(each in edition.ends for edition in last) for each in QUESTIONS}


def _name(call: Asked) -> str:
    return f"{call.question} call at {call.began:.3f} s was admitted"
