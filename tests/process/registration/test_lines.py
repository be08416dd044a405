"""Lines of a batch file and forms around them, cut anywhere and at their bounds."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.ext_proc.buffer_budget import PIECE, BufferBudget
from sidecar.ext_proc.rate_limiter import RateLimiter
from sidecar.ext_proc.uploads import PREFIX_BYTES, Upload, UploadState
from sidecar.extract import batch_lines
from sidecar.extract.batch_lines import MAX_DIFFERENT, MAX_LINE_BYTES, read_here
from sidecar.extract.http_request import HttpRequest
from tests.process.registration.forms import BOUNDARY, END, field, form, part
from tests.process.registration.stage import lines
from tests.support.gate.batch import calls
from tests.support.simulator.constants import BASE, MODEL


def read(data: bytes, *cuts: int) -> dict[Call, int]:
    places = sorted(min(cut, len(data)) for cut in cuts)
    pieces = itertools.pairwise([0, *places, len(data)])
    found = calls(data[start:end] for start, end in pieces)
    assert isinstance(found, dict)
    return found


def refused(data: bytes) -> tuple[Reason, str]:
    found = calls([data])
    assert isinstance(found, tuple)
    return found


CALLS = {
    Call("openai", "chat.completions", (MODEL,)): 1,
    Call("openai", "chat.completions", (BASE,)): 2,
}


@pytest.mark.parametrize("url", ["/chat/completions", "/v1/chat/completions"])
def test_a_line_for_azure_names_its_operation_in_azures_short_form(url: str) -> None:
    line = {"custom_id": "a", "method": "POST", "url": url, "body": {"model": "support"}}
    call = Call("azure", "chat.completions", ("support",), deployments=("support",))
    assert calls([json.dumps(line).encode() + b"\n"], "azure", "azure") == {call: 1}


def test_the_short_form_of_a_line_is_azures_alone() -> None:
    assert refused(lines(MODEL).replace(b"/v1/", b"/")) == (
        Reason.UNSUPPORTED_OPERATION,
        (
            "line 1 of the batch file: POST /chat/completions is not in"
            " the gate's table of operations for this route; /v1/chat/completions is: put /v1"
            " before it, as the end of an SDK's base URL"
        ),
    )


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=8))
def test_lines_are_the_same_wherever_they_are_cut(cuts: list[int]) -> None:
    assert read(lines(MODEL, BASE, MODEL), *cuts) == CALLS


def test_line_ends_of_every_kind_and_a_last_line_without_one() -> None:
    whole = lines(MODEL, BASE)
    assert read(whole.replace(b"\n", b"\r\n")) == read(whole[:-1]) == CALLS
    assert list(read(b"\n" + whole + b"\r\n\n").values()) == [2, 3]


@pytest.mark.parametrize("url", ["/chat/completions", "/v1/chat/completions"])
def test_a_line_for_azure_names_a_deployment_by_a_route_without_the_resource(url: str) -> None:
    call = Call("acme-eu", "chat.completions", ("support",), deployments=("support",))
    assert calls([lines("support", url=url)], "acme-eu", "azure") == {call: 1}


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("openai", "/chat/completions"),
        ("openai", "/openai/v1/chat/completions"),
        ("azure", "/openai/v1/chat/completions"),
        ("azure", "/deployments/support/chat/completions"),
        ("azure", "/v2/chat/completions"),
        ("azure", "chat/completions"),
    ],
)
def test_a_line_is_read_by_the_routes_of_its_own_provider_alone(api: str, url: str) -> None:
    found = calls([lines("support", url=url)], api, api)
    assert isinstance(found, tuple)
    assert found[0] in {Reason.UNSUPPORTED_OPERATION, Reason.MALFORMED_REQUEST}


@pytest.mark.parametrize("end", ["\r", "\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_for_some_reader_is_refused_inside_one(end: str) -> None:
    inner = lines("ft:evil").decode().rstrip()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "TEXT"}]}
    text = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": body})
    if end == "\r":
        data = text.replace('"TEXT"', end + inner + end).encode()
    else:
        data = text.replace("TEXT", end + inner.replace('"', "'") + end).encode()
    assert len(data.decode().splitlines()) == 3
    reason, why = refused(data)
    assert (reason, "which some parsers take for a line end; escape it" in why) == (
        Reason.MALFORMED_REQUEST,
        True,
    )


def test_bounds_hold_to_the_byte_and_to_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    short = lines(MODEL).rstrip()
    fits = short + b" " * (MAX_LINE_BYTES - len(short))
    assert list(read(fits).values()) == [1]
    for data in (fits + b" ", fits + b" \n" + short):
        assert refused(data) == (
            Reason.BODY_INCOMPLETE,
            "the batch file has a line of more than 1048576 bytes",
        )
    monkeypatch.setattr(batch_lines, "MAX_LINES", 3)
    assert list(read(lines(*[MODEL] * 3)).values()) == [1]
    assert refused(lines(*[MODEL] * 4))[0] is Reason.BODY_INCOMPLETE
    monkeypatch.undo()
    assert batch_lines.MAX_LINES == 50_000


def test_calls_that_differ_are_counted() -> None:
    many = [f"m-{number}" for number in range(MAX_DIFFERENT)]
    assert len(read(lines(*many, *many))) == MAX_DIFFERENT
    reason, why = refused(lines(*many, "one more"))
    assert (reason, why.startswith(f"line {MAX_DIFFERENT + 1} ")) == (
        Reason.MALFORMED_REQUEST,
        True,
    )


class Judge:
    """Admits, or refuses with a reason; keeps what it was asked."""

    def __init__(self, reason: Reason | None = None) -> None:
        self.reason = reason
        self.asked: list[Mapping[Call, int]] = []

    async def __call__(self, calls: Mapping[Call, int], _: Mapping[Reference, int]) -> None:
        self.asked.append(dict(calls))
        if self.reason is not None:
            raise AdmissibilityError(self.reason, "no")


def begin(judge: Judge, budget: BufferBudget, *, max_bytes: int = 1 << 20, **head: str) -> Upload:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **head}
    request = HttpRequest(
        "POST", "/v1/files", tuple(headers.items()), provider="openai", api="openai"
    )
    return Upload(request, budget, max_bytes, judge, read_here)


def updated_by(upload: Upload, *chunks: bytes) -> list[list[bytes]]:
    """What each chunk lets go; the last one is the end."""

    async def run() -> list[list[bytes]]:
        found = []
        for number, chunk in enumerate(chunks):
            last = number == len(chunks) - 1
            found.append([piece async for piece in upload.feed(chunk, last=last)])
        return found

    return asyncio.run(run())


def test_a_batch_is_held_to_its_end_and_then_let_go_whole() -> None:
    body, budget, judge = form(lines(MODEL, BASE)), BufferBudget(1 << 20), Judge()
    upload = begin(judge, budget)
    *held, last = updated_by(upload, *(body[n : n + 7] for n in range(0, len(body), 7)))
    assert (all(part == [] for part in held), b"".join(last)) == (True, body)
    assert (judge.asked, upload.calls, upload.state) == (
        [CALLS],
        tuple(CALLS),
        UploadState.ADMITTED,
    )
    assert budget.left == 1 << 20


def test_a_batch_that_is_refused_lets_nothing_go_and_gives_its_room_back() -> None:
    budget = BufferBudget(1 << 20)
    upload = begin(Judge(Reason.WITHDRAWN), budget)
    with pytest.raises(AdmissibilityError, match="no"):
        updated_by(upload, form(lines(MODEL)))
    upload.drop()
    assert (upload.begun, budget.left) == (False, 1 << 20)


def test_any_other_purpose_is_let_go_as_soon_as_it_is_known() -> None:
    head, rest = field("purpose", "fine-tune"), part(b"x" * (3 * PIECE)) + END
    budget, judge = BufferBudget(PREFIX_BYTES), Judge()
    upload = begin(judge, budget)
    first, second, third, last = updated_by(upload, head, b"--", rest[2:-4], rest[-4:])
    assert first == []  # the end of its part is not seen yet
    assert b"".join([*second, *third, *last]) == head + rest
    assert b"".join([*second, *third]) == head + rest[:-4]
    assert max(len(piece) for piece in third) == PIECE
    assert (judge.asked, upload.calls, budget.left) == ([], (), PREFIX_BYTES)


def test_a_second_purpose_behind_the_file_is_caught_before_its_chunk_goes_on() -> None:
    upload = begin(Judge(), BufferBudget(1 << 20))
    beginning = field("purpose", "fine-tune") + part(lines(MODEL))

    gone: list[bytes] = []

    async def run() -> None:
        for chunk, last in ((beginning, False), (field("purpose", "batch") + END, True)):
            gone.extend([piece async for piece in upload.feed(chunk, last=last)])

    with pytest.raises(AdmissibilityError, match="purpose field occurs twice"):
        asyncio.run(run())
    assert b"".join(gone) == beginning


@pytest.mark.parametrize(
    ("chunks", "max_bytes", "in_flight", "reason", "why"),
    [
        ([field("x", "y" * 40000)] * 2, 1 << 20, 1 << 20, Reason.MALFORMED_REQUEST, "before its"),
        ([form(lines(*[MODEL] * 99))], 1 << 12, 1 << 20, Reason.BODY_INCOMPLETE, "more than 4096"),
        (
            [form(lines(*[MODEL] * 99))],
            1 << 20,
            1 << 12,
            Reason.OVERLOADED,
            "of uploads are buffered",
        ),
    ],
    ids=["before the file", "over the operator's bound", "over all streams' room"],
)
def test_memory_is_bounded(
    chunks: list[bytes], max_bytes: int, in_flight: int, reason: Reason, why: str
) -> None:
    budget = BufferBudget(in_flight)
    upload = begin(Judge(), budget, max_bytes=max_bytes)
    with pytest.raises(AdmissibilityError, match=why) as caught:
        updated_by(upload, *chunks, b"")
    upload.drop()
    assert (caught.value.reason, budget.left) == (reason, in_flight)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ({"content-type": "application/json"}, Reason.MALFORMED_REQUEST),
        ({"content-type": "multipart/form-data"}, Reason.MALFORMED_REQUEST),
        ({"content-encoding": "gzip"}, Reason.UNSUPPORTED_ENCODING),
    ],
)
def test_what_cannot_be_read_as_a_form_is_refused(head: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(AdmissibilityError) as caught:
        begin(Judge(), BufferBudget(1 << 20), **head)
    assert caught.value.reason is reason


def test_uploads_wait_for_each_other_and_one_alone_does_not() -> None:
    async def run() -> float:
        rate_limiter, now = RateLimiter(1000), asyncio.get_running_loop().time
        began = now()
        with pytest.raises(StopIteration):  # it ended without waiting
            rate_limiter.keep(50).send(None)
        await asyncio.gather(rate_limiter.keep(50), rate_limiter.keep(50))
        return now() - began

    assert asyncio.run(run()) > 0.099
