"""A withdrawal while calls are in flight: once the first is denied, no later one is admitted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from admissibility_devtools.demo.authorities import REGULATOR, now
from sidecar.authority import home as authority
from sidecar.core.documents import WithdrawalKind
from tests.support.site.site import Site
from tests.support.site.talk import Talk, Verdict

THREADS = 8
MOST_CALLS = 20_000
"""For each thread; only reached where the withdrawal never takes effect."""
ENOUGH = 200
ADMITTED: Verdict = (200, "admitted")
WITHDRAWN: Verdict = (403, "withdrawn")


@dataclass(frozen=True, slots=True)
class Call:
    """One call with the times between which it was in flight."""

    began: float
    ended: float
    verdict: Verdict


class Hammer:
    """Calls from several threads, until enough were made after the first denial."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._lock = threading.Lock()
        self._told: Counter[Verdict] = Counter()
        self.calls: list[Call] = []
        self.running = threading.Event()

    def run(self) -> None:
        """One thread's calls."""
        for _ in range(MOST_CALLS):
            began = time.perf_counter()
            verdict = self._talk.verdict()
            call = Call(began, time.perf_counter(), verdict)
            with self._lock:
                self.calls.append(call)
                self._told[verdict] += 1
                if self._told[ADMITTED] >= ENOUGH:
                    self.running.set()
                if self._told[WITHDRAWN] >= ENOUGH:
                    return


def test_after_the_first_denial_no_call_is_admitted(site: Site) -> None:
    site.start().front()
    hammer = Hammer(site.talk)
    home, digest = site.organisations.homes[REGULATOR], site.stand.manifest.digest
    mark = len(site.stand.stage.upstream.received)
    with ThreadPoolExecutor(THREADS) as pool:
        threads = [pool.submit(hammer.run) for _ in range(THREADS)]
        assert hammer.running.wait(60)
        authority.withdraw(home, WithdrawalKind.MANIFEST, digest, "unfit", None, now())
        published = time.perf_counter()
        for thread in threads:
            thread.result()
    told = Counter(call.verdict for call in hammer.calls)
    denied = min(call.ended for call in hammer.calls if call.verdict == WITHDRAWN)
    later = {call.verdict for call in hammer.calls if call.began > max(denied, published)}
    reached = len(site.stand.stage.upstream.received) - mark
    assert (set(told), later, reached) == ({ADMITTED, WITHDRAWN}, {WITHDRAWN}, told[ADMITTED])
