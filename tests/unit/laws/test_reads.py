"""Random histories: while nothing that was read has changed, the predicate answers the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import settings

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.facts import Facts
from sidecar.core.proving import prove
from sidecar.core.reads import Reads, recording
from sidecar.core.reuse import assessed_call as asked_of
from sidecar.core.reuse import for_credential, for_request
from sidecar.core.snapshot import TrustState
from tests.support.laws import payloads, universe
from tests.support.laws.driver import Gate
from tests.support.laws.generate import Author
from tests.support.laws.history import Run
from tests.support.laws.nouns import Question

PARTS, LENGTH = 3, 12
Answer = tuple[Assessment, Facts | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, what it read, and how long nothing it read changes by time alone."""

    call: Call
    credential: Credential
    answer: Answer
    reads: Reads
    since: datetime
    until: datetime


def answer(call: Call, credential: Credential, state: TrustState, now: datetime) -> Answer:
    found = assess(call, credential, state, now)
    facts = prove(call, credential, found, "now", "nonce") if found.admissible else None
    return found, facts


def kept(assessed_call: Question, authority: str, state: TrustState, now: datetime) -> Kept:
    named = assessed_call.deployment or assessed_call.model
    call = Call(
        "openai",
        assessed_call.operation,
        (named,),
        deployments=(named,) if assessed_call.deployment else (),
    )
    domain = assessed_call.environment.removeprefix("spiffe://").partition("/")[0]
    expires = now + timedelta(days=400)
    credential = Credential(assessed_call.environment, domain, "jwt-svid", expires, authority)
    watched, reads = recording(state)
    given = answer(call, credential, watched, now)
    assert given == answer(call, credential, state, now)
    until = reads.next_change(now) or expires
    return Kept(call, credential, given, reads, now, until)


def same(old: Answer, new: Answer) -> bool:
    """The end of an answer may only move on: with time, and with newer metadata."""
    later = replace(new[0], valid_until=old[0].valid_until)
    return old == (later, new[1]) and new[0].valid_until >= old[0].valid_until


def same_for_others(kept: Kept, state: TrustState, now: datetime) -> bool:
    """What is used again for another call and credential is what would be assessed of them."""
    old, facts = kept.answer
    if facts is None:
        return True
    call = replace(kept.call, stream=True, tool_types=("function",), ignored=("other",))
    expires = now + timedelta(minutes=9)
    credential = replace(kept.credential, kind="x509-svid", expires=expires)
    assert asked_of(call) == asked_of(kept.call)
    given = for_request(facts, call, credential, "now", "nonce")
    return same((for_credential(old, credential, now), given), answer(call, credential, state, now))


@pytest.mark.parametrize("part", range(PARTS))
def test_an_answer_whose_reads_are_unchanged_is_given_again(part: int) -> None:
    again, ended = 0, 0
    for seed in range(part, settings().max_examples, PARTS):
        rng = Random(seed)
        made = universe.start(rng)
        run, gate = Run(made.world), Gate()
        author = Author(rng, made, run)
        run.refresh()
        leases: dict[Question, Kept] = {}
        for _ in range(LENGTH):
            gate.take(run)
            assert gate.state is not None
            now = payloads.instant(run.now)
            for assessed_call in universe.QUESTIONS:
                lease = leases.get(assessed_call)
                if lease and lease.since <= now < lease.until:
                    if lease.reads.unchanged(gate.state, now):
                        new = answer(lease.call, lease.credential, gate.state, now)
                        assert same(lease.answer, new), (seed, assessed_call)
                        assert same_for_others(lease, gate.state, now), (seed, assessed_call)
                        again += 1
                        continue
                    ended += 1
                authority = run.world.credentials[assessed_call.environment]
                leases[assessed_call] = kept(assessed_call, authority, gate.state, now)
            run.apply(author.next())
    assert min(again, ended) > 50  # a history in which nothing changes would show little
