"""Holds decisions that may be made again without assessing and without asking OPA.

A lease belongs to one caller and one call, compared by value: everything of the request that the
predicate and the policies read is in them. It holds

* until a stated instant: the earliest end of anything relied on, the next instant at which time
  alone could change the assessment (``Reads.next_change``), and what the policies allow
  (``lease_seconds``); a denial never longer than ``DENIAL_SECONDS``;
* while nothing that the assessment read has changed: under another trust state ``Reads.unchanged``
  decides, once per lease and state;
* while the policies are those that answered, compared by the engine's identity.

It is found only in a state that the caller reads at its own beginning, so no call that began after
a change is in force is admitted by an earlier lease. Nothing is kept across a restart. Credentials
have leases of their own (``credential_leases``).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sidecar.core.call import Call, Credential
from sidecar.core.decide import Decision
from sidecar.core.reads import Reads
from sidecar.core.reasons import http_status
from sidecar.gate.snapshot_holder import Snapshot
from sidecar.observe.lease_metrics import End, LeaseCounts
from sidecar.observe.outcome import SharedOutput

MAX_LEASES = 4096
MAX_DENIALS = 256
"""Most denials that are held. Whoever is denied chooses the call, 70 kB of each."""

DENIAL_SECONDS = 1.0
_FORBIDDEN = 403

K = TypeVar("K")
V = TypeVar("V")


class LeaseTable(Generic[K, V]):
    """A bounded table; beyond ``most`` entries the least recently used of an owner is dropped.

    It is the owner with the most entries, so that none can displace what others have.

    Args:
        most: The bound; 0 keeps nothing.
        owner: Returns the owner of a key; without it all have one.
    """

    def __init__(self, most: int, owner: Callable[[K], str] = lambda _: "") -> None:
        self._most = most
        self._owner = owner
        self._held: OrderedDict[K, V] = OrderedDict()
        self._sizes: Counter[str] = Counter()
        self._counts = LeaseCounts()

    @property
    def counts(self) -> LeaseCounts:
        """Return how many are held, and the numbers since the start."""
        self._counts.held = len(self._held)
        return self._counts

    def find(self, key: K, ended: Callable[[V], End | None]) -> V | None:
        """Return the entry at ``key``, unless ``ended`` returns why it no longer holds."""
        held = self._held.get(key)
        if held is None:
            self._counts.misses += 1
            return None
        why = ended(held)
        if why is not None:
            self.drop(key)
            self._counts.ends[why] += 1
            self._counts.misses += 1
            return None
        self._held.move_to_end(key)
        self._counts.hits += 1
        return held

    def put(self, key: K, value: V) -> None:
        """Keep ``value`` at ``key``, in place of what is there."""
        if self._most:
            if key not in self._held:
                self._sizes[self._owner(key)] += 1
            self._held[key] = value
            self._held.move_to_end(key)
            if len(self._held) > self._most:
                self._evict()

    def drop(self, key: K) -> None:
        """Remove the entry at ``key``, if there is one."""
        if self._held.pop(key, None) is not None:
            owner = self._owner(key)
            self._sizes[owner] -= 1
            if not self._sizes[owner]:
                del self._sizes[owner]

    def clear(self, why: End) -> None:
        """End every entry."""
        self._counts.ends[why] += len(self._held)
        self._held.clear()
        self._sizes.clear()

    def _evict(self) -> None:
        largest = max(self._sizes, key=self._sizes.__getitem__)
        self.drop(next(key for key in self._held if self._owner(key) == largest))
        self._counts.ends[End.EVICTED] += 1


@dataclass(slots=True, eq=False)
class Reusable:
    """What holds for a time, and while nothing that was read for it has changed.

    Attributes:
        reads: What was read of the trust state.
        mark: Of the trust state under which the reads were last compared; see ``Snapshot``.
        since: The reference time at which it was made.
        until: It does not hold from then on.
    """

    reads: Reads
    mark: object
    since: datetime
    until: datetime

    def lapsed(self, snapshot: Snapshot, now: datetime) -> End | None:
        """Return why it does not hold under ``snapshot``; ``None`` if it does."""
        if not self.since <= now < self.until:
            return End.EXPIRED
        if snapshot.mark is not self.mark:
            if not self.reads.unchanged(snapshot.state, now):
                return End.TRUST
            self.mark = snapshot.mark
        return None


@dataclass(slots=True, eq=False)
class Lease(Reusable):
    """A decision that may be made again.

    Attributes:
        decision: The decision; another one made from it has its own id and time.
        engine: The policy engine in force when it was made.
        shared: What the records of all decisions made from it have in common.
        response: The serialized response in parts, to be joined by the decision's id; ``None``
            until the first one was written.
    """

    decision: Decision
    engine: object
    shared: SharedOutput = field(default_factory=SharedOutput)
    response: list[bytes] | None = None

    def ended(self, snapshot: Snapshot, engine: object, now: datetime) -> End | None:
        """Return why it does not hold under ``snapshot`` and ``engine``; ``None`` if it does."""
        if engine is not self.engine:
            return End.POLICIES
        return self.lapsed(snapshot, now)


class Leases:
    """The leases of one gate; to be used inside one event loop.

    Args:
        most: The most allows that are held; 0 turns leases off. Of denials fewer are.
    """

    def __init__(self, most: int = MAX_LEASES) -> None:
        self.enabled = most > 0
        self._allows: LeaseTable[tuple[Credential, Call], Lease] = LeaseTable(most, _environment)
        self._denials: LeaseTable[tuple[Credential, Call], Lease] = LeaseTable(
            min(most, MAX_DENIALS), _environment
        )

    @property
    def counts(self) -> LeaseCounts:
        """Return how many are held, and the numbers since the start."""
        allows, denials = self._allows.counts, self._denials.counts
        return LeaseCounts(
            allows.held + denials.held,
            allows.hits + denials.hits,
            denials.misses,  # what is no allow is looked up among the denials
            {why: number + denials.ends[why] for why, number in allows.ends.items()},
        )

    def find(
        self, caller: Credential, call: Call, snapshot: Snapshot, engine: object, now: datetime
    ) -> Lease | None:
        """Return the lease of this caller and call that holds now; ``None`` without one.

        Args:
            caller: The verified credential.
            call: The call, with the models of stored objects.
            snapshot: The trust state in force, read after the request came.
            engine: The policy engine in force; ``None`` where its changes are not noticed at once.
            now: The decision's reference time.
        """
        if engine is None or not self.enabled:
            return None

        def ended(held: Lease) -> End | None:
            return held.ended(snapshot, engine, now)

        key = caller, call
        return self._allows.find(key, ended) or self._denials.find(key, ended)

    def put(self, decision: Decision, reads: Reads, snapshot: Snapshot, engine: object) -> None:
        """Keep a decision, if it is one that may be kept.

        Args:
            decision: An allow, or a denial by the structural predicate; no other denial is kept.
            reads: What its assessment read under ``snapshot``.
            snapshot: The trust state.
            engine: The engine that answered, or was in force; ``None`` as for ``find``.
        """
        call, caller, now = decision.call, decision.credential, decision.at
        if engine is None or not self.enabled or call is None or caller is None:
            return
        until = _until(decision, caller, reads)
        if until > now:
            lease = Lease(reads, snapshot.mark, now, until, decision, engine)
            kept, other = self._allows, self._denials
            if not decision.allowed:
                kept, other = other, kept
            other.drop((caller, call))
            kept.put((caller, call), lease)

    def clear(self, why: End = End.CLOCK) -> None:
        """End every lease."""
        self._allows.clear(why)
        self._denials.clear(why)


def _environment(key: tuple[Credential, Call]) -> str:
    """Return the SPIFFE ID of the environment whose lease is kept at ``key``."""
    return key[0].spiffe_id


def _until(decision: Decision, caller: Credential, reads: Reads) -> datetime:
    """Return when a decision ceases to hold; its own time if it may not be kept."""
    now = decision.at
    if decision.allowed:
        end = decision.lease_until or now
    elif decision.failed is not None and http_status(decision.reason) == _FORBIDDEN:
        end = now + timedelta(seconds=DENIAL_SECONDS)
    else:
        return now
    change = reads.next_change(now)
    return min(end, caller.expires, end if change is None else change)
