"""Runs a managed OPA as a child process on a private Unix socket, serving one bundle.

Theory of operation. ``start`` runs a child and a task keeps one running: a child is up once it
answers ``/health``, and is restarted when it exits, first at once, then with growing pauses. Each
start verifies the bundle's signature again. A child serves one bundle; other policies are served by
another child (``live_engine``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable
from pathlib import Path

from sidecar.opa.bundle import Bundle
from sidecar.opa.client import UNIX, Address, Opa
from sidecar.opa.errors import PolicyError
from sidecar.opa.executable import process_environment, server_args

log = logging.getLogger("sidecar.opa.client")

MAX_SOCKET_CHARS = 100
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 3
_STOP_SECONDS = 3.0
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 5.0
_MAX_LINE_CHARS = 2000
_STATED = frozenset({"msg", "level", "time", "fields.time"})
"""Fields of OPA's log that a line of the gate's log has anyhow."""


class _CrashedError(PolicyError):
    """A signal ended the child before it answered."""


class OpaProcess:
    """The child process. Use ``start`` and ``stop`` in one event loop, in the main thread.

    Args:
        binary: The OPA program.
        bundle: The bundle that it serves.
        folder: A private folder, in which the socket is created.
        on_restart: Called at each restart of the child.
    """

    def __init__(
        self, binary: Path, bundle: Bundle, folder: Path, on_restart: Callable[[], None]
    ) -> None:
        self._binary = binary
        self._bundle = bundle
        self._socket = folder / "opa.sock"
        self._on_restart = on_restart
        self._child: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._relayed: asyncio.Task[None] | None = None
        self._last_words = ""

    @property
    def address(self) -> Address:
        """Return the child's address, and the revision of its bundle."""
        return Address(f"{UNIX}{self._socket}", self._bundle.revision)

    @property
    def pid(self) -> int | None:
        """Return the process id of the running child; ``None`` without one."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Return once OPA answers.

        Raises:
            PolicyError: The path is too long for a socket, or OPA does not start; it refuses a
                bundle whose signature does not verify.
        """
        if len(str(self._socket)) > MAX_SOCKET_CHARS:
            raise PolicyError(
                f"{self._socket}: a socket's path has at most {MAX_SOCKET_CHARS} characters; "
                "set opa.managed.directory to a shorter one"
            )
        try:
            await self._begin()
            self._keeper = asyncio.create_task(self._keep(), name="opa-keeper")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the child; safe after any failure, and if called twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self._end_child()

    async def _keep(self) -> None:
        """Restart the child whenever it exits."""
        pause = 0.0
        while True:
            began = time.monotonic()
            if self._child is not None:
                code = await self._child.wait()
                log.error("OPA %s; it is restarted", _ending(code))
            pause = 0.0 if time.monotonic() - began > _STEADY_SECONDS else max(pause * 2, 0.1)
            await asyncio.sleep(min(pause, _LONGEST_PAUSE))
            self._on_restart()
            try:
                await self._spawn()
            except (PolicyError, OSError) as error:
                log.error("OPA does not start: %s", error)  # noqa: TRY400 - the message is enough

    async def _begin(self) -> None:
        """Start the first child; one that was ended by a signal is restarted.

        Otherwise a crash during the start would be reported as a refusal of the policies.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                await self._spawn()
            except _CrashedError as error:
                log.error("%s; it is restarted", error)  # noqa: TRY400 - the message is enough
            else:
                return
        await self._spawn()

    async def _spawn(self) -> None:
        """Start a child and wait until it answers."""
        await self._end_child()
        self._socket.unlink(missing_ok=True)
        self._last_words = ""
        bundle = self._bundle
        child = self._child = await asyncio.create_subprocess_exec(
            *server_args(self._binary, bundle.path, self._socket, bundle.verification),
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True,
            env=process_environment(),
        )  # fmt: skip
        relay = self._relayed = asyncio.create_task(self._relay(child), name="opa-output")
        client = Opa(self.address, connections=1)
        try:
            end = time.monotonic() + _READY_SECONDS
            while time.monotonic() < end:
                if await client.healthy():
                    return
                if child.returncode is not None:
                    await relay
                    kind = _CrashedError if child.returncode < 0 else PolicyError
                    raise kind(f"OPA ended with {child.returncode}: {self._last_words}")
                await asyncio.sleep(_POLL_SECONDS)
            raise PolicyError(f"OPA does not answer within {_READY_SECONDS:.0f} s")
        finally:
            await client.close()

    async def _relay(self, child: Process) -> None:
        """Copy the child's output to the log, line by line; refusals are printed there."""
        while child.stdout is not None and not child.stdout.at_eof():
            try:
                raw = await child.stdout.readline()
            except ValueError:  # a line beyond the stream's limit; the child must not block on it
                continue
            text = log_text(raw.decode("utf-8", errors="replace").strip())[:_MAX_LINE_CHARS]
            if text:
                self._last_words = text
                log.warning("OPA: %s", ascii(text)[1:-1])

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def log_text(line: str) -> str:
    """Return a line of OPA's log as text: its message, then whatever else it states by name."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(entry, dict) or not isinstance(entry.get("msg"), str):
        return line
    more = [f"{name}={value}" for name, value in entry.items() if name not in _STATED]
    return " ".join([entry["msg"], *more])


def _ending(code: int) -> str:
    """Return how a process ended, by its exit status or, below 0, the signal."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    # Only the kernel ends it so by itself, and its log is the one that has the reason.
    killed = " (no memory left? see the kernel's log)" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{killed}"
