"""Serves what a relay keeps, over HTTPS: static files with ETags, and requests that wait.

``GET /NAME/metadata/timestamp.json`` or ``/NAME/evidence/index.json`` with ``If-None-Match`` of
what is there and ``Prefer: wait=SECONDS`` (RFC 7240) is answered when that changes, or after that
time with 304. Both files are answered with 503 while their source is not heard.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sidecar.destinations.destination import EVIDENCE, METADATA, TARGETS
from sidecar.formats.evidence_index import INDEX_FILE
from sidecar.relay.config import ServeConfig
from sidecar.relay.links import LinkStatus
from sidecar.relay.metrics import RelayMetrics
from sidecar.tls.server import ServerCertificate

MAX_WAIT_SECONDS = 60
SERVED = "served"
"""Folder, below the relay's, of what gates read."""
_KEEP_ALIVE_SECONDS = 90.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,4})(?:$|[,;\s])")
_KINDS = {METADATA: "repository", TARGETS: "repository", EVIDENCE: "evidence"}
_CHANGING = {"repository": f"{METADATA}/timestamp.json", "evidence": f"{EVIDENCE}/{INDEX_FILE}"}
_FOR_EVER = "public, max-age=31536000, immutable"


class RelayServer:
    """The server; all but ``changed`` is used inside its event loop.

    Args:
        config: Where to listen.
        folder: One folder for each name.
        statuses: Of the links, by name and kind.
        stale_seconds: What was not heard for so long is not served.
        metrics: Counts requests.
    """

    def __init__(
        self,
        config: ServeConfig,
        folder: Path,
        statuses: Mapping[tuple[str, str], LinkStatus],
        stale_seconds: float,
        metrics: RelayMetrics,
    ) -> None:
        self._config = config
        self._folder = folder / SERVED
        self._statuses = statuses
        self._stale = stale_seconds
        self._metrics = metrics
        self._changed: dict[tuple[str, str], asyncio.Event] = {
            key: asyncio.Event() for key in statuses
        }
        self._kept: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._waiting = 0
        self._stopping = False
        self._reloading: asyncio.Task[None] | None = None
        app = web.Application(middlewares=[_counting(metrics)])
        app.add_routes([web.get("/{name}/{folder}/{file}", self._get)])
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS, handler_cancellation=True
        )

    async def start(self) -> int:
        """Listen; return the port.

        Raises:
            OSError: The address cannot be used, or a certificate or key cannot be read.
        """
        pair = ServerCertificate(self._config.certificate, self._config.key, self._config.client_ca)
        context = pair.context()
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._config.host, self._config.port, ssl_context=context, backlog=1024
        )
        await site.start()
        self._reloading = asyncio.create_task(pair.follow(context))
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Answer what waits, and stop listening."""
        self._stopping = True
        for key in self._changed:
            self.changed(*key)
        if self._reloading is not None:
            self._reloading.cancel()
        await self._runner.cleanup()

    def changed(self, name: str, kind: str) -> None:
        """Answer the requests that wait for this."""
        self._kept.pop((name, kind), None)
        event = self._changed[name, kind]
        self._changed[name, kind] = asyncio.Event()
        event.set()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name, folder, file = (request.match_info[each] for each in ("name", "folder", "file"))
        kind = _KINDS.get(folder, "")
        status = self._statuses.get((name, kind))
        if status is None or not _NAME.fullmatch(file):
            raise web.HTTPNotFound(text="not here\n")
        if f"{folder}/{file}" == _CHANGING[kind]:
            return await self._get_changing(request, status)
        path = self._folder / name / folder / file
        if not path.is_file():
            raise web.HTTPNotFound(text="not here\n", headers={"Cache-Control": "no-cache"})
        return web.FileResponse(
            path, headers={"Cache-Control": _FOR_EVER, "Content-Type": "application/json"}
        )

    async def _get_changing(self, request: web.Request, status: LinkStatus) -> web.Response:
        data, etag = self._current(status)
        wait = _wished(request)
        headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Prefer"}
        if wait is not None:
            headers["Preference-Applied"] = f"wait={wait}"
        if request.headers.get("If-None-Match") == etag:
            if not wait or not await self._news(status, etag, wait):
                return web.Response(status=304, headers=headers)
            data, headers["ETag"] = self._current(status)
        return web.Response(body=data, content_type="application/json", headers=headers)

    async def _news(self, status: LinkStatus, etag: str, seconds: float) -> bool:
        """Wait until what is there has another ETag; returns False where time was up."""
        if self._waiting >= self._config.max_waiting:
            return False
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            async with asyncio.timeout(seconds):
                while not self._stopping:
                    event = self._changed[status.name, status.kind]
                    if self._current(status)[1] != etag:
                        return True
                    await event.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)
        return False

    def _current(self, status: LinkStatus) -> tuple[bytes, str]:
        """Return the bytes of the file that changes, and their ETag.

        Raises:
            HTTPServiceUnavailable: Its source is not heard.
            HTTPNotFound: It has none.
        """
        age = status.age()
        if age is None or age > self._stale:
            heard = "was never heard" if age is None else f"was not heard for {age:.0f} s"
            raise web.HTTPServiceUnavailable(text=f"the source {heard}\n")
        key = status.name, status.kind
        kept = self._kept.get(key)
        if kept is None:
            try:
                data = (self._folder / status.name / _CHANGING[status.kind]).read_bytes()
            except FileNotFoundError as error:
                raise web.HTTPNotFound(text="not here\n") from error
            kept = self._kept[key] = data, f'"{hashlib.sha256(data).hexdigest()}"'
        return kept


def _counting(metrics: RelayMetrics) -> Middleware:
    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            metrics.answered(error.status, 0)
            raise
        body = answer.body if isinstance(answer, web.Response) else None
        metrics.answered(answer.status, len(body) if isinstance(body, bytes) else 0)
        return answer

    return count


def _wished(request: web.Request) -> int | None:
    """Return the seconds that a request may be held, at most ``MAX_WAIT_SECONDS``."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return None if found is None else min(int(found[1]), MAX_WAIT_SECONDS)
