"""The laws themselves, as properties of one step of a history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.support.laws.history import (
    Add,
    Arrive,
    Lose,
    Mirror,
    Operation,
    Publish,
    Regrant,
    Require,
    Restart,
    Rotate,
    Run,
    SetFloors,
    Shuffle,
    TakeBack,
)
from tests.support.laws.nouns import Declaration, Failure, Question, Withdrawal
from tests.support.laws.ruling import Ruling


@dataclass(slots=True)
class Watch:
    """Remembers each question's last answer."""

    last: dict[Question, Ruling] = field(default_factory=dict)
    by_hand: bool = False

    def broken(
        self, run: Run, question: Question, operation: Operation | None, now: Ruling
    ) -> str | None:
        """Which law the last operation broke for this question, if any."""
        now = _of_others(question, now)
        before, self.last[question] = self.last.get(question), now
        self.by_hand |= isinstance(operation, Add | TakeBack) and operation.by_hand
        noes = {authority for authority, entry in now.noes if _to_lineage(entry)}
        standing = sorted(noes & now.objectors)
        if now.admitted and standing:
            return f"law 1: admitted, while the noes of {standing} to its lineage are in force"
        if operation is None or before is None or before.admitted:
            return None
        if now.admitted and isinstance(operation, Lose | Shuffle) and not self.by_hand:
            return f"law 2: {type(operation).__name__} turned a denial into an allow: {before.why}"
        # Whoever rotates publishes anew, which mends staleness: step 7 is not a no.
        if now.admitted and isinstance(operation, Rotate | Restart) and before.step != 7:
            return f"law 1: {type(operation).__name__} turned a denial into an allow: {before.why}"
        if isinstance(operation, Mirror) and operation.hangs and now.admitted:
            return f"law 1: a mirror that hangs turned a denial into an allow: {before.why}"
        if _declares(operation) and now.admitted and before.manifest == now.manifest:
            unsaid = sorted({authority for authority, entry in before.noes if _to_lineage(entry)})
            if unsaid:
                return f"law 5: the noes of {unsaid} were unsaid by a declaration"
        same = (before.manifest, before.declaration) == (now.manifest, now.declaration)
        if same and not isinstance(operation, Add | Arrive):
            lost = {
                authority
                for authority, entry in before.noes - now.noes
                if not _own_act(operation, authority) and entry not in _words(before)
            }
            if lost and now.admitted:
                return f"law 1: the noes of {sorted(lost)} were unsaid by {operation}"
        return None

    def broken_by_files(
        self, question: Question, operation: Operation | None, now: Ruling
    ) -> str | None:
        """Whether the last operation broke law 2 for the whole decision, of policies too."""
        before, self.last[question] = self.last.get(question), now
        self.by_hand |= isinstance(operation, Add | TakeBack) and operation.by_hand
        if before is None or before.admitted or not now.admitted or self.by_hand:
            return None
        if not isinstance(operation, Lose | Shuffle):
            return None
        return f"law 2: {type(operation).__name__} made a policy allow what it denied: {before.why}"


def _of_others(question: Question, now: Ruling) -> Ruling:
    """Leave out failures in the sandbox, where whoever published one itself may look again."""
    if not question.sandbox:
        return now
    return replace(now, noes=frozenset(n for n in now.noes if not isinstance(n[1], Failure)))


def _declares(operation: Operation) -> bool:
    return isinstance(operation, Add) and isinstance(operation.item.content, Declaration)


def _to_lineage(no: Withdrawal | Failure) -> bool:
    """Whether it is a no to what a declaration has no choice of, unlike keys and single words."""
    fixed = ("corpus", "manifest", "model", "base-model", "run", "evaluation", "specification")
    return (
        isinstance(no, Failure)
        or no.kind in fixed
        or (no.kind == "environment" and "/" in no.subject)
    )


def _words(ruling: Ruling) -> set[Withdrawal | Failure]:
    """Noes to a single word, which a newer one of the same author replaces."""
    single = ("approval", "result", "deployment-binding")
    return {
        entry
        for _, entry in ruling.noes
        if isinstance(entry, Withdrawal)
        and (entry.kind in single or (entry.kind == "environment" and "/" not in entry.subject))
    }


def _own_act(operation: Operation, authority: str) -> bool:
    """Whether it is the author's, or the operator's, to end a no."""
    if isinstance(operation, Regrant | Require | SetFloors):
        return True
    # What was published before may arrive late: the mirror answers again.
    if isinstance(operation, TakeBack | Publish | Rotate | Mirror):
        return operation.authority == authority
    return False
