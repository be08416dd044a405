"""What the reference model answers."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.laws.nouns import Failure, Withdrawal

No = tuple[str, Withdrawal | Failure]


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether it is admitted; else the step that refuses, and the reason code.

    ``manifest`` is what the model resolved to, ``declaration`` the environment's that it was asked
    under, and ``noes`` is every no that hits the lineage or, also where it is admitted, anything
    that could be relied on: who signed and what was signed may be hit while others agree.
    ``waivers`` are those that excuse a rule of the policies, by digest, and ``objectors`` those of
    whom every no would count, where it is admitted: a no of anybody else ends what it signed
    itself, and another signer of the same is enough.
    """

    admitted: bool
    step: int
    why: str
    manifest: str | None = None
    noes: frozenset[No] = frozenset()
    declaration: str | None = None
    waivers: frozenset[str] = frozenset()
    objectors: frozenset[str] = frozenset()


def refused(step: int, why: str, noes: frozenset[No] = frozenset()) -> Ruling:
    return Ruling(False, step, why, None, noes)


UNSPECIFIED = refused(3, "specification_unverified")
UNNAMED = refused(3, "specification_missing")
