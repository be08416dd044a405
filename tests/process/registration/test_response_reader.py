"""Answers as they pass: the id is read off them, and what is let go is what came."""

from __future__ import annotations

import asyncio
import json

import pytest

from sidecar.ext_proc.buffer_budget import BufferBudget
from sidecar.ext_proc.responses import MAX_ANSWER_BYTES, MAX_EVENTS_BYTES, ResponseReader

JSON = {":status": "200", "content-type": "application/json; charset=utf-8"}
EVENTS = {":status": "200", "content-type": "text/event-stream"}
BODY = json.dumps({"id": "resp_1", "object": "response", "output": [{"id": "msg_1"}]}).encode()
CREATED = (
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_1"}}\n\n'
)
DELTA = b'event: delta\ndata: {"type":"delta","id":"msg_1"}\n\n'


class Run:
    """What an answer let go with each chunk, and what it told."""

    def __init__(self, head: dict[str, str], *chunks: bytes, in_flight: int = 64 << 20) -> None:
        self.told: list[str] = []
        self.gone: list[bytes] = []
        self.before: list[int] = []
        budget = BufferBudget(in_flight)
        answer = ResponseReader("response", budget, self._register, self.told.append)

        async def run() -> None:
            answer.begin(head)
            for number, chunk in enumerate(chunks):
                last = number == len(chunks) - 1
                pieces = [piece async for piece in answer.feed(chunk, last=last)]
                self.gone.append(b"".join(pieces))

        asyncio.run(run())
        assert b"".join(self.gone) == b"".join(chunks)
        assert budget.left == in_flight

    async def _register(self, name: str) -> None:
        self.told.append(f"registered {name}")
        self.before.append(len(self.gone))


def test_json_is_held_to_its_end_and_registered_before_it_goes_on() -> None:
    run = Run(JSON, BODY[:10], BODY[10:], b"")
    assert (run.gone, run.told, run.before) == ([b"", b"", BODY], ["registered resp_1"], [2])


def test_a_stream_is_held_to_the_event_that_carries_the_object_and_no_longer() -> None:
    run = Run(EVENTS, b": ping\n\n", CREATED[:30], CREATED[30:] + DELTA[:5], DELTA[5:], b"")
    assert run.gone == [b"", b"", b": ping\n\n" + CREATED + DELTA[:5], DELTA[5:], b""]
    assert (run.told, run.before) == (["registered resp_1"], [2])


def test_a_stream_with_other_line_ends_and_data_in_two_lines() -> None:
    text = b'data: {"response":\r\ndata:{"id":"resp_2","object":"response"}}\r\n\r\n'
    assert Run(EVENTS, text, b"").told == ["registered resp_2"]
    bare = b'data: {"id":"resp_3","object":"response"}\n\n'
    assert Run(EVENTS, DELTA, bare, b"").told == ["registered resp_3"]


@pytest.mark.parametrize(
    ("head", "chunks", "told"),
    [
        ({**JSON, ":status": "400"}, [BODY], []),
        ({**JSON, "content-encoding": "gzip"}, [BODY], ["the response is compressed"]),
        (
            {":status": "200"},
            [BODY],
            ["the response is neither application/json nor text/event-stream"],
        ),
        (JSON, [b"[]"], ["the response has no id"]),
        (JSON, [b'{"id": 1}'], ["the response has no id"]),
        (JSON, [b'{"id": "a b"}'], ["the response has no id"]),
        (JSON, [b'{"id":"a","id":"b"}'], ["the response is not strict JSON: a key is given twice"]),
        (JSON, [b" " * MAX_ANSWER_BYTES, b" ", BODY], ["the response is too long to be buffered"]),
        (EVENTS, [DELTA, b"data: [DONE]\n\n"], ["no event carries the object"]),
        (
            EVENTS,
            [b":" * MAX_EVENTS_BYTES, b":", CREATED],
            ["the response is too long to be buffered"],
        ),
    ],
)
def test_what_cannot_be_read_goes_on_and_is_told(
    head: dict[str, str], chunks: list[bytes], told: list[str]
) -> None:
    assert Run(head, *chunks).told == told


def test_where_no_room_is_left_an_answer_goes_on_unregistered() -> None:
    assert Run(JSON, BODY[:50], BODY[50:], in_flight=len(BODY) - 1).told == [
        "the response is too long to be buffered"
    ]
