"""Serves ``/healthz``, ``/readyz`` and ``/metrics`` of a program, without TLS."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class AdminServer:
    """The admin endpoint; used inside one event loop.

    Args:
        health: Returns whether everything runs, and its state as JSON values.
        ready: Returns whether everything was tried once, well or not.
        render: Returns the metrics in Prometheus's text format.
    """

    def __init__(
        self,
        health: Callable[[], tuple[bool, Mapping[str, object]]],
        ready: Callable[[], bool],
        render: Callable[[], bytes],
    ) -> None:
        self._health = health
        self._ready = ready
        self._render = render
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._get_health),
                web.get("/readyz", self._get_ready),
                web.get("/metrics", self._get_metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: The address cannot be used.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _get_health(self, _: web.Request) -> web.Response:
        """Answer 200 with the state while everything runs, else 503 with it."""
        alive, state = self._health()
        return web.json_response(dict(state), status=200 if alive else 503)

    async def _get_ready(self, _: web.Request) -> web.Response:
        """Answer 200 once everything was tried, else 503."""
        ready = self._ready()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._render(), headers={"Content-Type": CONTENT_TYPE})
