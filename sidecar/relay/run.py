"""The relay's composition root: links, server and admin endpoint, until a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from sidecar.destinations.destination import Destination
from sidecar.destinations.directory import DirectoryDestination
from sidecar.destinations.places import open_place
from sidecar.durable import locks
from sidecar.relay.config import RelayConfig, RelayConfigError
from sidecar.relay.links import EvidenceLink, FolderFeed, LinkStatus, MirrorFeed, RepositoryLink
from sidecar.relay.metrics import RelayMetrics
from sidecar.relay.server import SERVED, RelayServer
from sidecar.trust import sources
from sidecar.trust.follower import Follower
from sidecar.trust.source_config import SourceConfig

_LOG = logging.getLogger("sidecar.relay")
_STOP_SECONDS = 10.0
_LOCK = ".lock"


class Relay:
    """A relay from ``start`` to ``stop``; used inside one event loop.

    Args:
        config: From ``config.load``.

    Raises:
        RelayConfigError: The folder cannot be used, or another relay uses it.
    """

    def __init__(self, config: RelayConfig) -> None:
        self._config = config
        self._lock: int | None = _locked(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places: list[Destination] = []
        self._links: list[RepositoryLink | EvidenceLink] = [
            *(self._repository(*each) for each in config.repositories),
            *(self._evidence(*each) for each in config.evidence),
        ]
        self.statuses = tuple(link.status for link in self._links)
        self._metrics = RelayMetrics(self.statuses)
        self._followers = [
            Follower(
                f"{link.status.kind}-{link.status.name}",
                link.followed,
                config.poll_seconds,
                link.work,
            )
            for link in self._links
        ]
        self._server: RelayServer | None = None
        self._admin: web.AppRunner | None = None
        self.port = 0
        self.admin_port = 0

    async def start(self) -> None:
        """Listen and follow; returns once it listens.

        Raises:
            RelayConfigError: An address, certificate or key cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        serve = self._config.serve
        try:
            if serve is not None:
                by_key = {(each.name, each.kind): each for each in self.statuses}
                stale = self._config.stale_seconds
                self._server = RelayServer(serve, self._config.folder, by_key, stale, self._metrics)
                self.port = await self._server.start()
            if self._config.admin is not None:
                await self._start_admin(*self._config.admin)
        except OSError as error:
            await self.stop()
            raise RelayConfigError(f"serve: {error.strerror or error}") from error
        for follower in self._followers:
            follower.start()

    async def stop(self) -> None:
        """Answer what waits, stop listening, and stop following."""
        if self._server is not None:
            await self._server.stop()
        if self._admin is not None:
            await self._admin.cleanup()
        for follower in self._followers:
            follower.request_stop()
        for follower in self._followers:
            if not await asyncio.to_thread(follower.join, _STOP_SECONDS):
                _LOG.error("a follower is stuck in its source and did not stop")
        for place in self._places:
            await asyncio.to_thread(place.close)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def summary(self) -> str:
        """Return what is followed and where the relay listens, in one line."""
        parts = [f"follows {len(self.statuses)} sources"]
        if self._config.serve is not None:
            parts.append(f"serves on https://{self._config.serve.host}:{self.port}")
        if self._config.admin is not None:
            parts.append(f"admin on http://{self._config.admin[0]}:{self.admin_port}")
        return ", ".join(parts)

    def _repository(self, name: str, config: SourceConfig) -> RepositoryLink:
        source = sources.open_source(config)
        return RepositoryLink(name, source, self._to(name), self._note)

    def _evidence(self, name: str, config: SourceConfig) -> EvidenceLink:
        opened = sources.open_evidence(config, self._config.folder)
        feed: FolderFeed | MirrorFeed = FolderFeed(opened.folder)
        if opened.mirror is not None:
            feed = MirrorFeed(opened.mirror, opened.folder)
        return EvidenceLink(name, feed, self._to(name), self._note)

    def _to(self, name: str) -> tuple[Destination, ...]:
        to: list[Destination] = [DirectoryDestination(self._config.folder / SERVED / name)]
        publish = self._config.publish
        if publish is not None:
            to.append(open_place(f"{publish.place}/{name}", publish.options))
        self._places.extend(to)
        return tuple(to)

    def _note(self, status: LinkStatus) -> None:
        """Wake the requests that wait; called from the followers' threads."""
        server, loop = self._server, self._loop
        if server is not None and loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(server.changed, status.name, status.kind)

    async def _start_admin(self, host: str, port: int) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._get_health),
                web.get("/readyz", self._get_ready),
                web.get("/metrics", self._get_metrics),
            ]
        )
        self._admin = web.AppRunner(app, access_log=None)
        await self._admin.setup()
        await web.TCPSite(self._admin, host, port).start()
        self.admin_port = int(self._admin.addresses[0][1])

    async def _get_health(self, _: web.Request) -> web.Response:
        """Answer 200 with the state of each source: the relay itself works."""
        return web.json_response({"sources": [_plain(each) for each in self.statuses]})

    async def _get_ready(self, _: web.Request) -> web.Response:
        """Answer 200 once every source was read, well or not, else 503."""
        ready = all(each.read for each in self.statuses)
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def run(config: RelayConfig, started: Callable[[Relay], None] = lambda _: None) -> None:
    """Run a relay until SIGTERM or SIGINT.

    Args:
        config: From ``config.load``.
        started: Called once it listens.

    Raises:
        RelayConfigError: Something that it names cannot be used.
    """

    async def serve() -> None:
        relay, ended = Relay(config), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await relay.start()
        _LOG.info("relay: %s", relay.summary())
        started(relay)
        try:
            await ended.wait()
        finally:
            await relay.stop()

    asyncio.run(serve())


def _locked(config: RelayConfig) -> int:
    try:
        config.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = locks.take(config.folder / _LOCK)
    except OSError as error:
        raise RelayConfigError(f"folder: {config.folder}: {error.strerror}") from error
    if lock is None:
        raise RelayConfigError(f"folder: {config.folder} is another relay's")
    return lock


def _plain(status: LinkStatus) -> dict[str, object]:
    age = status.age()
    return {
        "name": status.name,
        "kind": status.kind,
        "age_seconds": None if age is None else round(age, 3),
        "problem": status.problem or None,
        "forwarded": status.forwarded,
    }
