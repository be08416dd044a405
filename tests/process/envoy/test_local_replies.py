"""What Envoy answers by itself has the form of the API's errors: code, message, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from admissibility_devtools.tools.envoy_config import Gated
from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.doubles import admitted
from tests.process.envoy.local_replies import (
    BY_ITSELF,
    NO_GATE,
    SEALED,
    TOO_LONG,
    replied,
    shown,
)
from tests.process.envoy.sites import Wired, wire

LONGEST = 27262976
UNSEALED = pb.CheckResponse(status=pb.Status(code=0), ok_response=pb.OkHttpResponse())
NAMES: tuple[Gated, ...] = ("jwt", "azure", "bedrock", "vertex")


@pytest.fixture(params=NAMES)
def wired(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wired]:
    """A reference of each form of errors."""
    with wire(request.param, tmp_path) as found:
        yield found


def test_every_answer_of_envoy_itself_has_the_apis_form(wired: Wired) -> None:
    name, gate = wired.site.name, wired.gate
    found = []
    gate.answer = UNSEALED
    found.append(shown(wired.send()))
    gate.answer = admitted()
    found.append(shown(wired.send(body=b" " * (LONGEST + 1))))
    gate.stop()
    found.append(shown(wired.send()))
    assert found == [
        replied(name, BY_ITSELF, 403, SEALED),
        replied(name, TOO_LONG, 413, "request_payload_too_large"),
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
