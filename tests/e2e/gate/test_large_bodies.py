"""Large bodies that state their length: let in as their bytes have room, in order of arrival."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from admissibility_devtools.tools.envoy_config import reference
from tests.support.site.envoy import patient
from tests.support.site.site import Site, envoy_before

MIB = 1 << 20


def test_a_burst_of_large_bodies_is_admitted_a_few_at_a_time_and_none_is_refused(
    site: Site, tmp_path: Path
) -> None:
    site.settings.update(deadline_ms=15_000)
    site.start()
    answers: Counter[tuple[int, str]] = Counter()
    with envoy_before(site.stand, site.listen, tmp_path / "e", patient(reference("jwt"))) as envoy:
        talk = site.stand.talk_to(envoy.port)
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
