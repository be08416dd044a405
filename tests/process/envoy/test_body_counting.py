"""Large bodies, and those without a length, are shown to the gate before Envoy holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import openai
import pytest

from admissibility_devtools.tools.envoy_config import Gated
from tests.process.envoy.sites import SITES, Wired, wire
from tests.support.site.envoy import request_bytes

MILLION = 1_000_000


@pytest.fixture
def jwt(tmp_path: Path) -> Iterator[Wired]:
    """`envoy/jwt.yaml`."""
    with wire("jwt", tmp_path) as found:
        yield found


@pytest.mark.parametrize("name", SITES)
def test_a_large_body_is_shown_whole_and_a_smaller_one_is_not(tmp_path: Path, name: Gated) -> None:
    with wire(name, tmp_path) as wired:
        for size in (MILLION - 1, MILLION):
            assert wired.send(body=b" " * size).status == 200
        assert wired.gate.bodies.counted == [MILLION]


def test_a_large_body_is_shown_whatever_its_method_and_however_its_length_is_written(
    jwt: Wired,
) -> None:
    request = request_bytes("GET", "/v1/models/m", None, b" " * MILLION)
    assert jwt.send_bytes(request).status == 200
    padded = request.replace(b"ength: 1000000", b"ength: 0001000000")
    assert padded != request
    jwt.send_bytes(padded)
    assert jwt.gate.bodies.counted == [MILLION] * 2


def test_what_has_no_body_is_not_shown(jwt: Wired) -> None:
    assert jwt.send("GET", "/v1/models/m", body=b"").status == 200
    assert jwt.send(headers=[("Content-Length", "0")], body=b"").status == 200
    assert (len(jwt.gate.asked), jwt.gate.bodies.counted) == (2, [])


def in_chunks(method: str, target: str) -> bytes:
    """A request with a short body that does not say so."""
    head = f"{method} {target} HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n"
    return f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".encode()


@pytest.mark.parametrize("name", SITES)
def test_what_does_not_state_a_length_is_counted_by_the_gate_as_it_comes(
    tmp_path: Path, name: Gated
) -> None:
    with wire(name, tmp_path) as wired:
        for method in ("POST", "PUT", "PATCH"):
            assert wired.send_bytes(in_chunks(method, wired.site.target)).status == 200
        assert (wired.send().status, wired.gate.bodies.counted) == (200, [1] * 3)


def test_bodies_without_a_length_over_http2_are_shown_to_the_gate_as_well(jwt: Wired) -> None:
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


def test_uploads_are_not_held_and_not_shown(jwt: Wired) -> None:
    for target in ("/v1/files", "/v1/files?x=1", "/v1/uploads/upload_1/parts"):
        assert jwt.send(target=target, body=b"x" * MILLION).status == 200
    # Whatever resembles an upload and is none is held, and so shown.
    assert jwt.send(target="/v1/files/", body=b"x" * MILLION).status == 200
    assert jwt.gate.bodies.counted == [MILLION]
