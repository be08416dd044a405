"""A stated length is taken before a byte of the body is read, and given back however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.ext_proc.body_counter import BodyCounter
from sidecar.ext_proc.body_queue import BodyQueue
from sidecar.gate.in_flight_limiter import InFlightLimiter


def head(length: str | None) -> pb.ProcessingRequest:
    message = pb.ProcessingRequest()
    message.request_headers.end_of_stream = False
    if length is not None:
        message.request_headers.headers.headers.add(key="content-length", raw_value=length.encode())
    return message


def piece(size: int, *, last: bool = False) -> pb.ProcessingRequest:
    body = pb.HttpBody(body=b"x" * size, end_of_stream=last)
    return pb.ProcessingRequest(request_body=body)


async def unpaced(size: int) -> None:
    """Wait for nothing."""


async def taken_by(*messages: pb.ProcessingRequest) -> list[int]:
    """Bytes that a queue of 100 and a limit of 100 have taken, after each answer and at the end."""
    queue, limiter = BodyQueue(100), InFlightLimiter(100)
    counter = BodyCounter(limiter, queue, 80, unpaced)

    async def sent() -> AsyncIterator[pb.ProcessingRequest]:
        for message in messages:
            yield message

    try:
        found = [queue.taken async for _ in counter.run(sent())]
    finally:
        counter.drop()
        counter.drop()
    limiter.change(100)
    return [*found, queue.taken]


def test_a_stated_length_is_taken_once_and_given_back() -> None:
    async def run() -> None:
        messages = (head("60"), piece(30), piece(30, last=True))
        assert await taken_by(*messages) == [60, 60, 60, 0]
        # The client goes away in the middle; the stream ends without an end of the body.
        assert await taken_by(*messages[:2]) == [60, 60, 0]

    asyncio.run(run())


@pytest.mark.parametrize("length", [None, "", "-1", "1e3", "60, 60"])
def test_what_is_no_length_is_counted_as_it_comes(length: str | None) -> None:
    async def run() -> None:
        assert await taken_by(head(length), piece(60, last=True)) == [0, 0, 0]
        with pytest.raises(AdmissibilityError) as caught:
            await taken_by(head(length), piece(70), piece(31))
        assert caught.value.reason is Reason.OVERLOADED

    asyncio.run(run())


def test_more_than_was_stated_is_counted_too() -> None:
    async def run() -> None:
        with pytest.raises(AdmissibilityError) as caught:
            await taken_by(head("10"), piece(70), piece(31))
        assert caught.value.reason is Reason.OVERLOADED

    asyncio.run(run())


def test_a_length_that_is_never_read_whole_takes_no_turn_and_is_counted_as_it_comes() -> None:
    async def run() -> None:
        assert await taken_by(head("101"), piece(40), piece(41), piece(20)) == [0, 0, 0, 0]
        with pytest.raises(AdmissibilityError) as caught:
            await taken_by(head("101"), piece(40), piece(61))
        assert caught.value.reason is Reason.OVERLOADED

    asyncio.run(run())
