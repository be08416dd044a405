"""The policies in force: one engine with its revision, swapped whole while questions go on.

Theory of operation. A bundle is served by an OPA of its own. A change of policy starts a second
one beside the first, on another socket, and waits until it answers; then one assignment makes it
the engine that every later question goes to. The client and the revision it expects are one value,
so no answer is ever held against another bundle's revision. Questions that the old engine was asked
finish there; it is stopped when the last one is answered. A bundle that does not build, or an OPA
that does not come up with it, leaves the engine in force untouched.

``current`` is to policies what ``Holder.current`` is to trust: whoever keeps a decision for later
keeps the engine with it, and the decision ends when the engine is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.core.facts import Facts
from sidecar.core.verdict import Verdict
from sidecar.opa.bundle import Candidate
from sidecar.opa.client import Address, Opa
from sidecar.opa.process import OpaProcess, private_folder

log = logging.getLogger("sidecar.opa.client")

_LAST_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Managed:
    """What the operator sets for an OPA of ours: the program, and where to keep its socket.

    ``directory`` is null for a temporary folder.
    """

    binary: Path
    directory: Path | None = None


@dataclass(eq=False, slots=True)
class Engine:
    """One OPA under one revision, and how many of its answers are still awaited."""

    client: Opa
    revision: str
    jurisdictions: tuple[str, ...] = ()
    child: OpaProcess | None = None
    folder: Path | None = None
    _awaited: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def question(self) -> Iterator[Opa]:
        """Hold the engine for as long as one question lasts."""
        self._awaited += 1
        self._idle.clear()
        try:
            yield self.client
        finally:
            self._awaited -= 1
            if self._awaited == 0:
                self._idle.set()

    async def answered(self) -> None:
        """Wait until no answer is awaited, within reason."""
        if self._awaited:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ANSWER_SECONDS):
                    await self._idle.wait()

    def abandon(self) -> None:
        """Wait for no answer any more."""
        self._idle.set()

    async def stop(self) -> None:
        """Close the client, end the child and remove its folder."""
        try:
            await self.client.close()
        finally:
            if self.child is not None:
                await self.child.stop()
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)


class LivePolicies:
    """A ``PolicyEngine`` over whichever engine is in force. Use it inside one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._retiring: dict[asyncio.Task[None], Engine] = {}

    def current(self) -> Engine:
        """The engine in force; another one after every change of policy."""
        return self._engine

    async def ask(self, facts: Facts) -> Verdict:
        """Ask the engine in force.

        Raises:
            AdmissibilityError: ``policy_unavailable``.
        """
        with self._engine.question() as client:
            return await client.ask(facts)

    async def healthy(self) -> bool:
        """Whether the engine in force says it is up."""
        with self._engine.question() as client:
            return await client.healthy()

    def swap(self, engine: Engine) -> None:
        """Put ``engine`` in force; the old one ends after its last answer."""
        old, self._engine = self._engine, engine  # one assignment: questions see old or new
        task = asyncio.create_task(_retire(old), name="opa-retire")
        self._retiring[task] = old
        task.add_done_callback(self._retiring.pop)

    async def close(self) -> None:
        """Stop the engine in force and all that are still ending."""
        for engine in self._retiring.values():
            engine.abandon()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._engine.stop()


async def _retire(engine: Engine) -> None:
    await engine.answered()
    await engine.stop()


def remote(address: Address, connections: int) -> Engine:
    """An engine that somebody else runs."""
    return Engine(Opa(address, connections=connections), address.revision)


class EngineFactory:
    """Makes managed engines, each in a private folder of its own.

    Args:
        managed: What the operator sets.
        connections: Of each engine's client.
        on_restart: Called whenever a child is started anew.
    """

    def __init__(self, managed: Managed, connections: int, on_restart: Callable[[], None]) -> None:
        self._managed = managed
        self._connections = connections
        self._on_restart = on_restart

    async def engine(self, candidate: Candidate) -> Engine:
        """Make the bundle of ``candidate`` and return an engine that answers with it.

        Raises:
            PolicyError: OPA refuses the policies or their signature, the folder is not ours alone,
                or OPA does not come up; nothing is left of the attempt.
        """
        binary, folder = self._managed.binary, private_folder(self._managed.directory)
        try:
            bundle = await asyncio.to_thread(candidate.make, binary, folder)
            child = OpaProcess(binary, bundle, folder, self._on_restart)
            await child.start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        client = Opa(child.address, connections=self._connections)
        return Engine(client, bundle.revision, bundle.jurisdictions, child, folder)
