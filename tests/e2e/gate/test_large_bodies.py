"""Large bodies that state their length: let in as their bytes have room, in order of arrival.

Gate and Envoy have patience: what is parsed here may take over a second beside other tests.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import reference
from tests.support.site.envoy import patient
from tests.support.site.site import Site, envoy_before
from tests.support.site.talk import Seen, Talk

MIB = 1 << 20


@pytest.fixture
def talk(site: Site, tmp_path: Path) -> Iterator[Talk]:
    site.settings.update(deadline_ms=15_000)
    site.start()
    with envoy_before(site.stand, site.listen, tmp_path / "e", patient(reference("jwt"))) as envoy:
        yield site.stand.talk_to(envoy.port)


def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(talk: Talk) -> None:
    def sized(size: int) -> bytes:
        return talk.body(user="x" * (size - len(talk.body(user=""))))

    limit = 26 * MIB
    over = talk.seen(lambda: talk.call(sized(limit + 1)))
    assert over == Seen((413, ""), ())
    whole = sized(limit)
    at = talk.seen(lambda: talk.call(whole))
    assert (at.verdict, [r.body == whole for r in at.reached]) == ((200, "admitted"), [True])


def test_a_burst_of_large_bodies_is_admitted_a_few_at_a_time_and_none_is_refused(
    talk: Talk,
) -> None:
    answers: Counter[tuple[int, str]] = Counter()
    body = talk.body(user="x" * (9 * MIB))

    def send() -> None:
        answer = talk.call(body)
        answers[answer.status, answer.headers.get("x-admissibility-reason", "")] += 1

    senders = [threading.Thread(target=send) for _ in range(12)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == {(200, ""): 12}
