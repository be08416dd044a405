"""Holds the policy engine in force, and replaces it whole while queries are in flight.

Theory of operation. A bundle is served by an OPA of its own. A change of policy starts a second
one beside the first, on another socket, and waits until it answers; then one assignment makes it
the engine of every later query. The client and the revision it expects are one value, so no verdict
is compared with another bundle's revision. Queries in flight finish on the old engine, which is
stopped after the last one. A bundle that does not build, or an OPA that does not start with it,
leaves the engine in force unchanged.

``identity`` corresponds to ``Snapshot.mark``: a lease keeps the engine that it was made with, and
ends once the engine in force is another one. An OPA at an address may change its policies at any
time, so under one nothing is leased.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.core.facts import Facts
from sidecar.core.verdict import Verdict
from sidecar.opa.bundle import Candidate
from sidecar.opa.client import Address, Opa
from sidecar.opa.private_folder import PrivateFolder, private_folder
from sidecar.opa.process import OpaProcess

log = logging.getLogger("sidecar.opa.client")

_LAST_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Managed:
    """The operator's settings of a managed OPA: the program, and the folder of its socket.

    ``directory`` is ``None`` for a temporary folder.
    """

    binary: Path
    directory: Path | None = None


@dataclass(eq=False, slots=True)
class Engine:
    """One OPA with one revision, and the number of its queries in flight."""

    client: Opa
    revision: str
    jurisdictions: tuple[str, ...] = ()
    child: OpaProcess | None = None
    folder: PrivateFolder | None = None
    followed: bool = False
    """Whether another process runs the child, and states each change at once."""
    _awaited: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _abandoned: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def question(self) -> Iterator[Opa]:
        """Count one query in flight for as long as the context lasts."""
        self._awaited += 1
        self._idle.clear()
        try:
            yield self.client
        finally:
            self._awaited -= 1
            if self._awaited == 0:
                self._idle.set()

    async def answered(self) -> None:
        """Wait, with a time limit, until no query is in flight."""
        if self._awaited:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ANSWER_SECONDS):
                    await self._idle.wait()

    async def abandoned(self, seconds: float) -> None:
        """Wait that long, or until ``abandon``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._abandoned.wait()

    def abandon(self) -> None:
        """Stop waiting for queries in flight."""
        self._idle.set()
        self._abandoned.set()

    async def stop(self) -> None:
        """Close the client, end the child and remove its folder."""
        try:
            await self.client.close()
        finally:
            if self.child is not None:
                await self.child.stop()
            folder, self.folder = self.folder, None
            if folder is not None:
                folder.remove()


class LivePolicies:
    """A ``PolicyEngine`` that queries the engine in force. Use it inside one event loop.

    Args:
        engine: The first engine in force.
        linger_seconds: How long a replaced engine still answers other processes' queries.
    """

    def __init__(self, engine: Engine, linger_seconds: float = 0.0) -> None:
        self._engine = engine
        self._linger_seconds = linger_seconds
        self._retiring: dict[asyncio.Task[None], Engine] = {}

    def current(self) -> Engine:
        """Return the engine in force; another one after every change of policy."""
        return self._engine

    def identity(self) -> Engine | None:
        """Return the engine in force; ``None`` where its policies may change without notice."""
        engine = self._engine
        return None if engine.child is None and not engine.followed else engine

    async def ask(self, facts: Facts) -> Verdict:
        """Query the engine in force.

        Raises:
            AdmissibilityError: ``policy_unavailable``.
        """
        with self._engine.question() as client:
            return await client.ask(facts)

    async def healthy(self) -> bool:
        """Return whether the engine in force passes its health check."""
        with self._engine.question() as client:
            return await client.healthy()

    def swap(self, engine: Engine) -> None:
        """Put ``engine`` in force; the old one is stopped after its last query."""
        old, self._engine = (
            self._engine,
            engine,
        )  # one assignment: a query uses the old or the new engine
        task = asyncio.create_task(_retire(old, self._linger_seconds), name="opa-retire")
        self._retiring[task] = old
        task.add_done_callback(self._retiring.pop)

    async def close(self) -> None:
        """Stop the engine in force and all that are being stopped."""
        for engine in self._retiring.values():
            engine.abandon()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._engine.stop()


async def _retire(engine: Engine, linger_seconds: float) -> None:
    if linger_seconds:
        await engine.abandoned(linger_seconds)
    await engine.answered()
    await engine.stop()


def remote(address: Address, connections: int) -> Engine:
    """Return an engine for an OPA that the gate does not start."""
    return Engine(Opa(address, connections=connections), address.revision)


class EngineFactory:
    """Starts managed engines, each in a private folder of its own.

    Args:
        managed: The operator's settings.
        connections: Most connections of each engine's client.
        on_restart: Called at each restart of a child.
    """

    def __init__(self, managed: Managed, connections: int, on_restart: Callable[[], None]) -> None:
        self._managed = managed
        self._connections = connections
        self._on_restart = on_restart

    async def engine(self, candidate: Candidate) -> Engine:
        """Make the bundle of ``candidate`` and start an engine that serves it.

        Raises:
            PolicyError: OPA refuses the policies or their signature, the folder is accessible to
                other users, or OPA does not start; every file and process is removed.
        """
        binary, folder = self._managed.binary, private_folder(self._managed.directory)
        try:
            bundle = await asyncio.to_thread(candidate.make, binary, folder.path)
            child = OpaProcess(binary, bundle, folder.path, self._on_restart)
            await child.start()
        except BaseException:
            folder.remove()
            raise
        client = Opa(child.address, connections=self._connections)
        await client.ask_several()
        return Engine(client, bundle.revision, bundle.jurisdictions, child, folder)
