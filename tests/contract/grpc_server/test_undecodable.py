"""A peer that sends metadata which is no text fills no log, whichever server serves."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.grpc_server import undecodable
from sidecar.grpc_server.server import create
from sidecar.grpc_server.undecodable import LOGGER, UndecodableMetadata
from tests.contract.grpc_server import raw_http2
from tests.contract.grpc_server.raw_http2 import half_sent, request
from tests.contract.grpc_server.service import SERVERS, served

VALUES = 40


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The binding's logger, without the filter of another test's server."""
    found = logging.getLogger(LOGGER)
    monkeypatch.setattr(found, "filters", [])
    monkeypatch.setattr(undecodable, "_FILTER", UndecodableMetadata())
    return found


@pytest.mark.parametrize("kind", SERVERS)
def test_metadata_that_is_not_text_is_one_line_of_the_log(
    kind: str, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    more = [(f"x-{number}", b"\xff\xfe") for number in range(VALUES)]

    async def story() -> None:
        create()  # as the gate does
        async with served(kind) as it:
            with raw_http2.connect(it.port) as client:
                for stream in (1, 3):
                    client.sendall(half_sent(stream, "Unary", *more))
                    client.sendall(request(stream, b"wait "))
                await it.service.entered.wait()
                it.service.free.set()
                await it.service.saw(2)

    asyncio.run(story())
    lines = [each for each in caplog.records if each.name == LOGGER]
    assert [(each.levelname, each.exc_info) for each in lines] == [("WARNING", None)]
    assert "metadata that is not UTF-8: 1 values since the start" in lines[0].getMessage()
    assert len(logger.filters) == 1


def test_the_next_minute_has_a_line_with_the_count_and_other_errors_have_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    found = UndecodableMetadata(lambda: now[0])
    logger = logging.Logger("binding")
    logger.addHandler(caplog.handler)
    logger.addFilter(found)
    for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
        logger.error("Invalid encoding on %s", b"\xff" * 10_000)
    logger.error("Another error")
    texts = [each.getMessage() for each in caplog.records]
    counts = [text.partition(": ")[2].partition(" values")[0] for text in texts]
    assert counts == ["1", "4", ""]
    assert max(map(len, texts)) < 200
