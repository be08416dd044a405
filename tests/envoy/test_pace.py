"""Large bodies are let in a few at a time, so that what Envoy holds for the gate is bounded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.toolchain.envoy_config import Gated, reference
from tests.envoy.sites import SITES, Wired, wire
from tests.integration.support.envoy import request_bytes

MIB = 1 << 20


def let_in(wired: Wired, request: bytes) -> bool:
    """Whether a request passed; one is refused by its head, often while it is still sending."""
    try:
        status = wired.send_bytes(request).status
    except OSError:
        return False
    assert status in (200, 429)
    return status == 200


def of(size: int) -> bytes:
    return request_bytes("POST", SITES["jwt"].target, None, b" " * size)


def once(name: Gated) -> str:
    """A reference with buckets that are not filled again while a test lasts."""
    return reference(name).replace("fill_interval: 1s", "fill_interval: 3600s")


@pytest.fixture
def jwt(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/jwt.yaml` with its first fill alone."""
    with wire("jwt", tmp_path, template=once("jwt")) as found:
        yield found


def test_the_largest_bodies_are_refused_beyond_a_few(jwt: Wired) -> None:
    largest = [let_in(jwt, of(8 * MIB + 1)) for _ in range(6)]
    # Smaller ones have room of their own, of which the largest took some.
    large = [let_in(jwt, of(MIB + 1)) for _ in range(22)]
    small = [let_in(jwt, of(MIB)) for _ in range(40)]
    assert (largest, sum(large), small) == ([True] * 4 + [False] * 2, 20, [True] * 40)
    assert len(jwt.provider.received) == 64


def test_what_has_no_body_is_never_held_up(jwt: Wired) -> None:
    for _ in range(20):
        for method in ("GET", "POST"):
            assert jwt.send(method, "/v1/models/m", body=b"").status == 200
    assert len(jwt.gate.asked) == 40


def test_uploads_are_not_held_and_have_no_pace(jwt: Wired) -> None:
    for _ in range(8):
        assert jwt.send(target="/v1/files", body=b"x" * (8 * MIB + 1)).status == 200


@pytest.mark.parametrize("name", SITES)
def test_forty_of_the_largest_at_once_stay_within_the_bound(tmp_path: Path, name: Gated) -> None:
    with wire(name, tmp_path, template=once(name)) as wired:
        statuses: Counter[int | str] = Counter()

        def send() -> None:
            try:
                statuses[wired.send(body=b" " * (20 * MIB)).status] += 1
            except OSError:
                statuses["cut short"] += 1  # refused while it was still sending

        senders = [threading.Thread(target=send) for _ in range(40)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        peak = peak_bytes(wired)
        passed = [len(received.body) for received in wired.provider.received]
        assert wired.send().status == 200
    assert passed == [20 * MIB] * statuses[200]
    assert set(statuses) <= {200, 429, 503, "cut short"}
    assert 1 <= statuses[200] <= 4
    assert peak < 1 << 30  # `max_heap_size_bytes`


def peak_bytes(wired: Wired) -> int:
    """The most memory Envoy has had."""
    text = Path(f"/proc/{wired.envoy.pid}/status").read_text(encoding="ascii")
    (line,) = (each for each in text.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
