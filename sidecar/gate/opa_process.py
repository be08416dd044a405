"""The managed OPA: a child on a Unix socket that only this user can reach.

Theory of operation. ``start`` makes a private folder, builds the bundle into it, and a task then
keeps one child running: it is started, said to be up once it answers ``/health``, and started anew
when it ends, at once the first time and with growing pauses if it keeps ending. The API is shut but
for the decision and the health check (``--authorization=basic`` with ``system.authz``).

No orphan. A child must not outlive the gate, however the gate ends. Linux can promise that
(``PR_SET_PDEATHSIG``), but only from within the child; a tiny Python launcher asks for it, makes
sure that its parent has not gone meanwhile, and becomes OPA.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.gate import opa_bundle
from sidecar.gate.opa import UNIX, Address, Opa
from sidecar.gate.opa_bundle import Bundle, PolicyError

log = logging.getLogger("sidecar.gate.opa")

MAX_SOCKET_CHARS = 100
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 3.0
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 5.0
_MAX_LINE_CHARS = 2000
# OPA's heap is small and every question leaves garbage, so Go's default (100) collects often and
# takes over a third of OPA's time; this costs some 25 MB. The operator's own setting wins.
_GARBAGE_PERCENT = "400"
_LAUNCHER = (
    "import ctypes,os,sys\n"
    "ctypes.CDLL(None, use_errno=True).prctl(1, 9)\n"  # PR_SET_PDEATHSIG, SIGKILL
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


@dataclass(frozen=True, slots=True)
class Managed:
    """What the operator sets: the program, the policies, and where to keep the socket.

    ``directory`` is null for a temporary folder.
    """

    binary: Path
    policies: Path
    directory: Path | None = None


class OpaProcess:
    """The child. Use ``start`` and ``stop`` inside one event loop, in the main thread."""

    def __init__(self, managed: Managed, on_restart: Callable[[], None]) -> None:
        self._managed = managed
        self._on_restart = on_restart
        self._folder: Path | None = None
        self._bundle: Bundle | None = None
        self._child: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._relayed: asyncio.Task[None] | None = None
        self._last_words = ""

    @property
    def bundle(self) -> Bundle:
        """What was built; valid after ``start``."""
        if self._bundle is None:
            raise PolicyError("the policies are not built yet")
        return self._bundle

    @property
    def address(self) -> Address:
        """Where to ask, and the revision to expect; valid after ``start``."""
        return Address(f"{UNIX}{self._socket}", self.bundle.revision)

    @property
    def pid(self) -> int | None:
        """Process id of the running child."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Build the bundle and return once OPA answers.

        Raises:
            PolicyError: No policies, a folder others can reach, or OPA does not come up.
        """
        try:
            self._folder = private_folder(self._managed.directory)
            if len(str(self._socket)) > MAX_SOCKET_CHARS:
                raise PolicyError(f"{self._folder}: too long a path for a socket")
            self._bundle = await asyncio.to_thread(
                opa_bundle.build, self._managed.binary, self._managed.policies, self._folder
            )
            await self._spawn()
            self._keeper = asyncio.create_task(self._keep(), name="opa-keeper")
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the child and remove its folder; harmless after any failure, and twice."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self._end_child()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def _socket(self) -> Path:
        if self._folder is None:
            raise PolicyError("the policy engine is not started")
        return self._folder / "opa.sock"

    async def _keep(self) -> None:
        """Start the child anew whenever it ends."""
        pause = 0.0
        while True:
            began = time.monotonic()
            if self._child is not None:
                code = await self._child.wait()
                log.error("OPA ended with %s; it is started again", code)
            pause = 0.0 if time.monotonic() - began > _STEADY_SECONDS else max(pause * 2, 0.1)
            await asyncio.sleep(min(pause, _LONGEST_PAUSE))
            self._on_restart()
            try:
                await self._spawn()
            except (PolicyError, OSError) as error:
                log.error("OPA does not come up: %s", error)  # noqa: TRY400 - the text says all

    async def _spawn(self) -> None:
        """Start a child and wait until it answers."""
        await self._end_child()
        self._socket.unlink(missing_ok=True)
        self._last_words = ""
        child = self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()),
            str(self._managed.binary), "run", "--server",
            "--addr", f"{UNIX}{self._socket}", "--unix-socket-perm", "600",
            "--authorization", "basic", "--bundle", str(self.bundle.path),
            "--set", "server.decoding.max_length=4194304",
            "--log-level", "error", "--log-format", "json",
            "--skip-version-check", "--shutdown-grace-period", "1",
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True,
            env={"GOGC": _GARBAGE_PERCENT, **os.environ},
        )  # fmt: skip
        relay = self._relayed = asyncio.create_task(self._relay(child), name="opa-stderr")
        client = Opa(self.address, connections=1)
        try:
            end = time.monotonic() + _READY_SECONDS
            while time.monotonic() < end:
                if await client.healthy():
                    return
                if child.returncode is not None:
                    await relay
                    raise PolicyError(f"OPA ended with {child.returncode}: {self._last_words}")
                await asyncio.sleep(_POLL_SECONDS)
            raise PolicyError(f"OPA does not answer within {_READY_SECONDS:.0f} s")
        finally:
            await client.close()

    async def _relay(self, child: Process) -> None:
        """Put the child's messages into our log, a line at a time."""
        while child.stderr is not None and not child.stderr.at_eof():
            try:
                raw = await child.stderr.readline()
            except ValueError:  # a line beyond the stream's limit; the child must not block on it
                continue
            text = raw.decode("utf-8", errors="replace").strip()[:_MAX_LINE_CHARS]
            if text:
                self._last_words = text
                log.warning("OPA: %s", ascii(text))

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


def private_folder(parent: Path | None) -> Path:
    """Make a folder for one gate, below ``parent`` or among the temporary files, mode 0700.

    Raises:
        PolicyError: ``parent`` cannot be made or used, or others can reach it.
    """
    try:
        if parent is not None:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = parent.stat()
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise PolicyError(f"{parent}: must be this user's alone (chmod 0700)")
        return Path(tempfile.mkdtemp(prefix="admit-opa-", dir=parent))
    except OSError as error:
        raise PolicyError(f"{error.filename or parent}: {error.strerror}") from error
