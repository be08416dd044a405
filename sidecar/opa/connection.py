"""Sends requests to OPA over one connection, one after the other, and awaits whole responses.

A general client costs more than the request itself: aiohttp took 0.5 ms of processor time a query.
"""

from __future__ import annotations

import asyncio
from typing import cast

from sidecar.opa.http_response import Response, ResponseError, ResponseParser

CONNECT_SECONDS = 1.0


class Connection(asyncio.Protocol):
    """One connection; an exchange that fails or is cancelled ends it.

    Args:
        longest: The most bytes of a response's body.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._transport: asyncio.Transport | None = None
        self._parser: ResponseParser | None = None
        self._awaited: asyncio.Future[Response] | None = None

    @property
    def usable(self) -> bool:
        """Return whether a request can be sent."""
        return self._transport is not None and self._awaited is None

    async def exchange(self, request: bytes) -> Response:
        """Send a request and return its response.

        Raises:
            ResponseError: The response is not one that is read.
            OSError: The connection broke.
        """
        assert self._awaited is None
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        self._parser = ResponseParser(self._longest)
        self._awaited = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            response = await self._awaited
        except BaseException:
            self.close()
            raise
        finally:
            self._awaited = None
        if response.last:
            self.close()
        return response

    def close(self) -> None:
        """Close the connection at once."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the response; bytes that were not asked for end the connection."""
        if self._parser is None:
            self.close()
            return
        try:
            response = self._parser.feed(data)
        except ResponseError as error:
            self._end(error)
            return
        if response is not None:
            self._parser = None
            if self._awaited is not None and not self._awaited.done():
                self._awaited.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the exchange in flight; called by the event loop."""
        self._end(error if isinstance(error, OSError) else ConnectionResetError("closed by OPA"))

    def _end(self, error: Exception) -> None:
        self._parser = None
        self.close()
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_exception(error)


async def connect(socket: str | None, host: str, port: int, longest: int) -> Connection:
    """Connect to a Unix socket, or to a host and port if there is none.

    Raises:
        OSError: Nobody listens there, or the connection is not made in time.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        if socket is not None:
            made = await loop.create_unix_connection(lambda: Connection(longest), socket)
        else:
            made = await loop.create_connection(lambda: Connection(longest), host, port)
    return made[1]
