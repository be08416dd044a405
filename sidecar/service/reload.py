"""Puts changed policies in force; policies that cannot be used leave the last good ones there.

Theory of operation. A follower's thread reads the source at every change and at least once a
second. The policies read have an identity; a new one is started as an engine beside the one in
force, and then swapped in (``opa.live_engine``). The event loop does all of that; the thread only
reads and waits.

The files of a folder change one by one: while one is replaced, its rules are missing, and the rest
compiles. So policies count only after two equal readings, ``SETTLED_SECONDS`` apart.

Refused policies are tried again when they change, and after ``RETRY_SECONDS``: an OPA that did not
start because the machine was busy is started later.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from sidecar.opa.bundle import Candidate, PolicySource
from sidecar.opa.errors import PolicyError
from sidecar.opa.live_engine import Engine, EngineFactory, LivePolicies
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.follower import Follower

POLL_SECONDS = 1.0
SETTLED_SECONDS = 0.5
_RESTLESS_SECONDS = 30.0
"""How long policies may keep changing before that is reported."""
RETRY_SECONDS = 30.0
_JOIN_SECONDS = 60.0


class ReloadObserver(Protocol):
    """Receives the results of reloading, always in the event loop."""

    def loaded(self, engine: Engine) -> None:
        """Report that ``engine`` is in force."""
        ...

    def refused(self, why: str) -> None:
        """Report that the current policies cannot be used."""
        ...

    def unchanged(self) -> None:
        """Report that the current policies are in force."""
        ...


class Reloader:
    """Follows one source of policies. Create, start and stop it inside the event loop.

    Args:
        source: The source of the policies.
        factory: Starts engines.
        live: Holds the engine in force, which is swapped.
        observer: Receives the results.
        identity: Identity of the policies in force.
    """

    def __init__(
        self,
        source: PolicySource,
        factory: EngineFactory,
        live: LivePolicies,
        observer: ReloadObserver,
        identity: str,
    ) -> None:
        self._source = source
        self._factory = factory
        self._live = live
        self._observer = observer
        self._in_force = identity
        self._refused = ""
        self._retry_at = 0.0
        self._restless_since: float | None = None
        self._loop = asyncio.get_running_loop()
        self._follower = Follower("policies", FolderChanges(source.place), POLL_SECONDS, self._look)

    def start(self) -> None:
        """Start to follow changes."""
        self._follower.start()

    async def stop(self) -> None:
        """Stop following changes; one in progress is finished first."""
        self._follower.request_stop()
        await asyncio.to_thread(self._follower.join, _JOIN_SECONDS)

    def _look(self) -> bool:
        """Read the source once, in the follower's thread; return whether it changed."""
        found, identity = self._read()
        if identity == self._refused and time.monotonic() < self._retry_at:
            return False
        if identity == self._in_force and not self._refused:
            self._restless_since = None
            return False
        time.sleep(SETTLED_SECONDS)
        if self._read()[1] == identity:
            self._restless_since = None
        else:
            now = time.monotonic()
            self._restless_since = self._restless_since or now
            if now - self._restless_since < _RESTLESS_SECONDS:
                return False
            found, self._restless_since = "the policies keep changing while they are read", now
        asyncio.run_coroutine_threadsafe(self._judge(found), self._loop).result()
        return True

    def _read(self) -> tuple[Candidate | str, str]:
        """Return the policies and their identity, or twice why they cannot be read."""
        try:
            found = self._source.read()
        except PolicyError as error:
            return str(error), str(error)
        return found, found.identity

    async def _judge(self, found: Candidate | str) -> None:
        """Put policies in force, or report the problem that was read in their place."""
        if isinstance(found, str):
            self._refuse(found, found)
        elif found.identity == self._in_force:
            self._refused = ""
            self._observer.unchanged()
        else:
            await self._replace(found)

    async def _replace(self, candidate: Candidate) -> None:
        try:
            engine = await self._factory.engine(candidate)
        except (PolicyError, OSError) as error:
            self._refuse(candidate.identity, " ".join(str(error).split()))
            return
        self._live.swap(engine)
        self._in_force, self._refused = candidate.identity, ""
        self._observer.loaded(engine)

    def _refuse(self, identity: str, why: str) -> None:
        self._refused, self._retry_at = identity, time.monotonic() + RETRY_SECONDS
        self._observer.refused(why)
