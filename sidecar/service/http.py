"""Serves ``/metrics``, ``/status``, ``/status/signed`` and ``/healthz`` over HTTP, read-only."""

from __future__ import annotations

import socket
from collections.abc import Callable

from aiohttp import web

from sidecar.formats.addresses import split_address
from sidecar.observe import metrics
from sidecar.service.signed_status import MAX_NONCE_CHARS, StatusSigner
from sidecar.service.status import Status


class Endpoint:
    """The endpoint; to be used inside the event loop.

    Args:
        status: What ``/status`` and ``/healthz`` answer.
        render: Returns the exposition text of ``/metrics``.
        signer: Signs ``/status/signed``.
    """

    def __init__(self, status: Status, render: Callable[[], bytes], signer: StatusSigner) -> None:
        self._status = status
        self._signer = signer
        self._render = render
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._get_metrics),
                web.get("/status", self._get_status),
                web.get("/status/signed", self._get_signed),
                web.get("/healthz", self._get_health),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, address: str) -> int:
        """Listen on ``host:port`` and return the port.

        Raises:
            OSError: The address is in use, invalid, or not permitted.
        """
        await self._runner.setup()
        host, port = split_address(address)
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def accept(self, listening: socket.socket) -> None:
        """Answer on a socket that listens already."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _get_status(self, _: web.Request) -> web.Response:
        return web.json_response(self._status.to_json())

    async def _get_signed(self, request: web.Request) -> web.Response:
        """Answer with a status signed now, for the nonce in the query."""
        nonce = request.query.get("nonce", "")
        if len(nonce) > MAX_NONCE_CHARS or not nonce.isascii():
            raise web.HTTPBadRequest(text=f"nonce: at most {MAX_NONCE_CHARS} ASCII characters\n")
        return web.Response(body=self._signer.envelope(nonce), content_type="application/json")

    async def _get_health(self, _: web.Request) -> web.Response:
        """Answer 200 while the gate is ready, otherwise 503."""
        ready = self._status.gate_status.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)
