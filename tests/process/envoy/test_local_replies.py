"""What Envoy answers by itself has the form of the API's errors: code, message, what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import openai
import pytest

from admissibility_devtools.tools.envoy_config import Gated, reference
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.doubles import admitted
from tests.process.envoy.local_replies import (
    BY_ITSELF,
    NO_GATE,
    SEALED,
    TOO_LONG,
    TOO_MANY,
    replied,
    shown,
)
from tests.process.envoy.sites import Wired, wire
from tests.support.site.envoy import Answer, request_bytes

LONGEST = 27262976
UNSEALED = pb.CheckResponse(status=pb.Status(code=0), ok_response=pb.OkHttpResponse())
NAMES: tuple[Gated, ...] = ("jwt", "azure", "bedrock", "vertex")


@pytest.fixture(params=NAMES)
def wired(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wired]:
    """A reference of each form, whose buckets are not filled again while the test lasts."""
    template = reference(request.param).replace("fill_interval: 1s", "fill_interval: 3600s")
    with wire(request.param, tmp_path, template=template) as found:
        yield found


def one_too_many(wired: Wired) -> Answer:
    """Begin as many large bodies as are let in, and one more; it is refused by its head."""
    head = request_bytes("POST", wired.site.target, None, b"x" * 9_000_000).removesuffix(
        b"x" * 9_000_000
    )
    with ExitStack() as stack:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", wired.envoy.port), timeout=60)
            stack.enter_context(connection)
            connection.sendall(head)
        return wired.send_bytes(head)


def test_every_answer_of_envoy_itself_has_the_apis_form(wired: Wired) -> None:
    name, gate = wired.site.name, wired.gate
    found = []
    gate.answer = UNSEALED
    found.append(shown(wired.send()))
    gate.answer = admitted()
    found.append(shown(wired.send(body=b" " * (LONGEST + 1))))
    found.append(shown(one_too_many(wired)))
    gate.stop()
    found.append(shown(wired.send()))
    assert found == [
        replied(name, BY_ITSELF, 403, SEALED),
        replied(name, TOO_LONG, 413, "request_payload_too_large"),
        replied(name, TOO_MANY, 429, "local_rate_limited"),
        replied(name, NO_GATE, 503, "ext_authz_error"),
    ]
    assert wired.provider.received == []


def test_an_sdk_shows_code_and_message_of_what_envoy_answers(tmp_path: Path) -> None:
    with wire("jwt", tmp_path) as found:
        found.gate.stop()
        url = f"http://127.0.0.1:{found.envoy.port}/v1"
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)
        with client, pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="m", messages=[])
    error = caught.value
    assert (error.code, error.type) == ("ext_authz_error", "server_error")
    assert NO_GATE.message in error.message
