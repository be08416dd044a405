"""The relay's composition root: links, server and admin endpoint, until a signal."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress

from sidecar.daemon.admin import AdminServer
from sidecar.daemon.lifetime import run_until_signal
from sidecar.destinations.destination import Destination
from sidecar.destinations.directory import DirectoryDestination
from sidecar.durable import locks
from sidecar.formats.amounts import amount
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
        self._admin = AdminServer(self._health, self._ready, self._metrics.render)
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
                self.admin_port = await self._admin.start(*self._config.admin)
        except OSError as error:
            await self.stop()
            raise RelayConfigError(f"serve: {error.strerror or error}") from error
        for follower in self._followers:
            follower.start()

    async def stop(self) -> None:
        """Answer what waits, stop listening, and stop following."""
        if self._server is not None:
            await self._server.stop()
        await self._admin.stop()
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
        parts = [f"relay: follows {amount(len(self.statuses), 'source')}"]
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
            to.append(publish.open(name))
        self._places.extend(to)
        return tuple(to)

    def _note(self, status: LinkStatus) -> None:
        """Wake the requests that wait; called from the followers' threads."""
        server, loop = self._server, self._loop
        if server is not None and loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(server.changed, status.name, status.kind)

    def _health(self) -> tuple[bool, dict[str, object]]:
        """Return the state of each source: the relay itself works."""
        return True, {"sources": [_plain(each) for each in self.statuses]}

    def _ready(self) -> bool:
        """Return whether every source was read, well or not."""
        return all(each.read for each in self.statuses)


def run(config: RelayConfig, started: Callable[[Relay], None] = lambda _: None) -> None:
    """Run a relay until SIGTERM or SIGINT.

    Args:
        config: From ``config.load``.
        started: Called once it listens.

    Raises:
        RelayConfigError: Something that it names cannot be used.
    """
    run_until_signal(lambda: Relay(config), started)


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
