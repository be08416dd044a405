"""Changed policies come into force by themselves; unusable ones leave the last good ones there.

Theory of operation. A follower's thread looks at the source at every change and, at the latest,
once a second. What it reads has an identity; one that is neither in force nor just refused becomes
an engine beside the one in force, which is then swapped in (``gate.opa_live``). All of that happens
in the event loop; the thread only reads, and waits.

Policies that were refused are tried again when they change, and otherwise after a while: an OPA
that did not come up because the machine was busy must not be gone for good.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from sidecar.opa.bundle import Candidate, Source
from sidecar.opa.errors import PolicyError
from sidecar.opa.live_engine import Engine, EngineFactory, LivePolicies
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.follower import Follower

POLL_SECONDS = 1.0
RETRY_SECONDS = 30.0
_JOIN_SECONDS = 60.0


class Account(Protocol):
    """Whoever is told what became of the policies; always in the event loop."""

    def loaded(self, engine: Engine) -> None:
        """``engine`` is in force."""
        ...

    def refused(self, why: str) -> None:
        """What is there now cannot be used."""
        ...

    def unchanged(self) -> None:
        """What is there now is what is in force."""
        ...


class Reloader:
    """Follows one source. Make, start and stop it inside the event loop.

    Args:
        source: Where policies come from.
        room: Makes engines.
        live: Whose engine is swapped.
        account: Is told.
        identity: Of what is in force.
    """

    def __init__(
        self,
        source: Source,
        factory: EngineFactory,
        live: LivePolicies,
        account: Account,
        identity: str,
    ) -> None:
        self._source = source
        self._room = factory
        self._live = live
        self._account = account
        self._in_force = identity
        self._refused = ""
        self._retry_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._follower = Follower("policies", FolderChanges(source.place), POLL_SECONDS, self._look)

    def start(self) -> None:
        """Begin to follow."""
        self._follower.start()

    async def stop(self) -> None:
        """Follow no more; a change that is on its way is finished first."""
        self._follower.request_stop()
        await asyncio.to_thread(self._follower.join, _JOIN_SECONDS)

    def _look(self) -> bool:
        """Look once, in the follower's thread; tells whether there was anything new."""
        try:
            found: Candidate | str = self._source.read()
        except PolicyError as error:
            found = str(error)
        identity = found if isinstance(found, str) else found.identity
        if identity == self._refused and time.monotonic() < self._retry_at:
            return False
        if identity == self._in_force and not self._refused:
            return False
        asyncio.run_coroutine_threadsafe(self._judge(found), self._loop).result()
        return True

    async def _judge(self, found: Candidate | str) -> None:
        """Act on what was read, or on why nothing could be."""
        if isinstance(found, str):
            self._refuse(found, found)
        elif found.identity == self._in_force:
            self._refused = ""
            self._account.unchanged()
        else:
            await self._replace(found)

    async def _replace(self, candidate: Candidate) -> None:
        try:
            engine = await self._room.engine(candidate)
        except (PolicyError, OSError) as error:
            self._refuse(candidate.identity, " ".join(str(error).split()))
            return
        self._live.swap(engine)
        self._in_force, self._refused = candidate.identity, ""
        self._account.loaded(engine)

    def _refuse(self, identity: str, why: str) -> None:
        self._refused, self._retry_at = identity, time.monotonic() + RETRY_SECONDS
        self._account.refused(why)
