"""Answers as they pass: the id is read off them, and what is let go is what came."""

from __future__ import annotations

import asyncio
import json

import pytest

from sidecar.core.call import Reference
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

    def __init__(
        self,
        head: dict[str, str],
        *chunks: bytes,
        in_flight: int = 64 << 20,
        kind: str | None = "response",
        also: tuple[tuple[str, str], ...] = (),
        named_at: str = "id",
    ) -> None:
        self.told: list[str] = []
        self.gone: list[bytes] = []
        self.before: list[int] = []
        budget = BufferBudget(in_flight)
        answer = ResponseReader(kind, budget, self._register, self.told.append, also, named_at)

        async def run() -> None:
            answer.begin(head)
            for number, chunk in enumerate(chunks):
                last = number == len(chunks) - 1
                pieces = [piece async for piece in answer.feed(chunk, last=last)]
                self.gone.append(b"".join(pieces))

        asyncio.run(run())
        assert b"".join(self.gone) == b"".join(chunks)
        assert budget.left == in_flight

    async def _register(self, named: Reference) -> None:
        self.told.append(f"registered {named.id}")
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


ARN = "arn:aws:bedrock:eu-central-1:123456789012:model-customization-job/amazon.nova:0/abc123"


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("jobArn", ARN, f"registered {ARN}"),
        ("jobArn", "job", "registered job"),
        ("jobArn", f"{ARN} x", "the response has no jobArn"),
        ("name", "projects/1/locations/europe-west4/tuningJobs/42", "registered 42"),
        ("name", "projects/1/locations/europe-west4/tuningJobs/", "the response has no name"),
        ("id", "a/b", "the response has no id"),
    ],
)
def test_a_resource_name_is_registered_as_a_path_has_it(key: str, name: str, told: str) -> None:
    body = json.dumps({"id": 1, key: name}).encode()
    assert Run(JSON, body, named_at=key).told == [told]


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
def test_what_cannot_be_read_goes_on_and_is_reported(
    head: dict[str, str], chunks: list[bytes], told: list[str]
) -> None:
    assert Run(head, *chunks).told == told


def test_where_no_room_is_left_an_answer_goes_on_unregistered() -> None:
    assert Run(JSON, BODY[:50], BODY[50:], in_flight=len(BODY) - 1).told == [
        "the response is too long to be buffered"
    ]


ITEMS = (("output[].id", "item"),)
ADDED = (
    b"event: response.output_item.added\n"
    b'data: {"type":"response.output_item.added","item":{"id":"msg_1","type":"message"}}\n\n'
)
DONE = ADDED.replace(b"added", b"done")
LONG = b'data: {"type":"response.output_item.done","x":"' + b"x" * MAX_EVENTS_BYTES + b'"}\n\n'


def test_items_of_an_answer_are_registered_with_it() -> None:
    run = Run(JSON, BODY, also=ITEMS)
    assert (run.told, run.before) == (["registered resp_1", "registered msg_1"], [0, 0])
    odd = json.dumps({"id": "resp_1", "output": [7, {"id": "a b"}, {}, {"id": None}]}).encode()
    assert Run(JSON, odd, also=ITEMS).told == ["registered resp_1"]


def test_items_of_a_stream_are_registered_once_before_the_bytes_that_name_them() -> None:
    run = Run(EVENTS, CREATED, DELTA + ADDED[:40], ADDED[40:], DELTA, DONE, b"", also=ITEMS)
    assert run.told == ["registered resp_1", "registered msg_1"]
    assert run.before == [0, 2]
    assert run.gone == [CREATED, DELTA + ADDED[:40], ADDED[40:], DELTA, DONE, b""]
    at_once = Run(EVENTS, CREATED + ADDED, b"", also=ITEMS)
    assert (at_once.told, at_once.before) == (["registered resp_1", "registered msg_1"], [0, 0])


def test_an_event_too_long_to_be_read_is_passed_over_and_the_next_is_read() -> None:
    pieces = [LONG[at : at + 300_000] for at in range(0, len(LONG), 300_000)]
    run = Run(EVENTS, CREATED, *pieces, ADDED, b"", also=ITEMS)
    assert run.told == ["registered resp_1", "registered msg_1"]
    assert run.gone[1:-2] == pieces


def test_an_answer_that_creates_nothing_can_name_what_is_the_callers() -> None:
    results = (("output_file_id", "file"), ("error_file_id", "file"), ("result_files[]", "file"))
    body = {"id": "batch_1", "output_file_id": "file-1", "error_file_id": None}
    assert Run(JSON, json.dumps(body).encode(), kind=None, also=results).told == [
        "registered file-1"
    ]
    job = json.dumps({"result_files": ["file-2", "file-3", {}]}).encode()
    assert Run(JSON, job, kind=None, also=results).told == [
        "registered file-2",
        "registered file-3",
    ]
    assert Run(EVENTS, ADDED, b"", kind=None, also=ITEMS).told == ["registered msg_1"]
    assert Run(JSON, b"[]", kind=None, also=results).told == []
