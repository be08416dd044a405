"""Large bodies are let in a few at a time, so that what Envoy holds for the gate is bounded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import openai
import pytest

from admissibility_devtools.tools.envoy_config import Gated, reference
from tests.process.envoy.sites import SITES, Wired, wire
from tests.support.site.envoy import request_bytes

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
        assert jwt.send("GET", "/v1/models/m", body=b"").status == 200
        assert jwt.send(headers=[("Content-Length", "0")], body=b"").status == 200
    assert len(jwt.gate.asked) == 40


def in_chunks(method: str, target: str) -> bytes:
    """A request with a short body that does not say so."""
    head = f"{method} {target} HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n"
    return f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".encode()


@pytest.mark.parametrize("name", SITES)
def test_what_does_not_state_a_length_is_counted_by_the_gate_as_it_comes(
    tmp_path: Path, name: Gated
) -> None:
    with wire(name, tmp_path, template=once(name)) as wired:
        target = wired.site.target
        passed = [let_in(wired, in_chunks(m, target)) for m in ("POST", "PUT", "PATCH") * 4]
        assert passed == [True] * 12
        assert (wired.send().status, wired.gate.bodies.counted) == (200, [1] * 12)


def test_over_http2_too(jwt: Wired) -> None:
    # A gRPC client never states a length. Those who pass get an answer that is not gRPC.
    with grpc.insecure_channel(f"127.0.0.1:{jwt.envoy.port}") as channel:
        for _ in range(6):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/v1/chat/completions", None, None)(b"x", timeout=20)
            assert caught.value.code() is not grpc.StatusCode.UNAVAILABLE
    assert (len(jwt.gate.asked), jwt.gate.bodies.counted) == (6, [6] * 6)


@pytest.fixture
def sdk(jwt: Wired) -> Iterator[openai.OpenAI]:
    url = f"http://127.0.0.1:{jwt.envoy.port}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_what_an_sdk_sends_states_its_length(jwt: Wired, sdk: openai.OpenAI) -> None:
    for _ in range(6):
        sdk.chat.completions.with_raw_response.create(model="m", messages=[])
        sdk.batches.with_raw_response.cancel("batch_1")
        sdk.audio.transcriptions.with_raw_response.create(model="m", file=("a.wav", b"x"))
        sdk.files.with_raw_response.delete("file-1")
    assert len(jwt.gate.asked) == 24


def test_who_is_refused_while_sending_is_told_why(jwt: Wired, sdk: openai.OpenAI) -> None:
    for _ in range(4):
        assert let_in(jwt, of(8 * MIB + 1))
    body = {"model": "m", "input": "x" * (20 * MIB - 1000)}
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            sdk.post("/embeddings", body=body, cast_to=object)


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
