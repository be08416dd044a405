"""Parses large bodies in worker processes, so that small requests never wait behind one.

Parsing twenty megabytes takes a tenth of a second, during which an event loop does nothing else. So
messages over ``parsed_request.THRESHOLD``, and batch files block by block, are sent over a socket
to one of a few workers (``worker``). Only the result is sent back. A worker that exits, stalls or
fails is replaced, and its request is denied. The queue for a worker is bounded in length, and by
the deadline of each request.

The first worker starts with the gate. Each other one, 15 MB, starts once as many large bodies are
parsed at the same time.

Batch files have no short deadline, so they never take the last worker. When a request is cancelled,
its worker finishes the task: starting another would cost more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import socket
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import replace

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import Block, BlockCalls, read_block
from sidecar.extract.parsed_request import LargeMessage, ParsedRequest, ReadOptions
from sidecar.gate import worker
from sidecar.gate.worker import HEAD, WorkerResult, WorkerTask

log = logging.getLogger("sidecar.gate.worker_pool")

BLOCK_THRESHOLD = 1 << 13
"""Longest block of a batch file, in bytes, that is parsed in the event loop: for a shorter one,
sending it costs more than parsing it."""

WORKERS = max(2, min(4, os.cpu_count() or 1))
MAX_WAITING = 32
READ_SECONDS = 5.0
_STOP_SECONDS = 2.0
_UNREAD = (Reason.INTERNAL_ERROR, "the process that parses large bodies failed")


class WorkerPool:
    """A pool of worker processes; created, used and closed inside one event loop.

    Args:
        workers: How many large bodies are parsed at once.
        max_waiting: How many more may wait for a worker.
        read_seconds: The longest that one body may take; then its worker is killed and replaced.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        max_waiting: int = MAX_WAITING,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._all = tuple(_Worker(read_seconds) for _ in range(workers))
        self._idle: asyncio.Queue[_Worker] = asyncio.LifoQueue()  # one that runs comes first
        for each in reversed(self._all):
            self._idle.put_nowait(each)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._blocks = asyncio.Semaphore(max(1, workers - 1))
        self._tasks: set[asyncio.Task[WorkerResult]] = set()

    @property
    def pids(self) -> frozenset[int]:
        """Return the process ids of the workers that run."""
        return frozenset(each.pid for each in self._all if each.pid is not None)

    async def start(self) -> None:
        """Start the first worker.

        Raises:
            OSError: A process cannot be started.
        """
        await self._all[0].start()

    async def close(self) -> None:
        """Stop every worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in self._all))

    async def __call__(self, large: LargeMessage, options: ReadOptions) -> ParsedRequest:
        """Parse a large message in a worker; see ``parsed_request.parse``.

        Raises:
            AdmissibilityError: ``overloaded`` if too many large bodies wait;
                ``internal_error`` if the worker exited, stalled or failed.
        """
        if self._waiting >= self._max_waiting:
            raise AdmissibilityError(
                Reason.OVERLOADED,
                f"{self._waiting} large request bodies already wait; try again later",
            )
        self._waiting += 1
        try:
            idle = await self._idle.get()
        finally:
            self._waiting -= 1
        result = await self._run(idle, options, large.data)
        if isinstance(result, ParsedRequest):
            return result
        raise _refusal(result)

    async def lines(self, block: Block) -> BlockCalls:
        """Parse a block of a batch file in a worker; see ``batch_lines.read_block``.

        Raises:
            AdmissibilityError: ``internal_error`` if the worker exited, stalled or failed.
        """
        if len(block.data) <= BLOCK_THRESHOLD:
            return read_block(block)
        async with self._blocks:
            idle = await self._idle.get()
            result = await self._run(idle, replace(block, data=b""), block.data)
        if isinstance(result, BlockCalls):
            return result
        raise _refusal(result)

    async def _run(self, idle: _Worker, work: WorkerTask, data: bytes) -> WorkerResult:
        """Run a task in a worker, to its end even if the caller is cancelled."""
        task = asyncio.create_task(self._finish(idle, work, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _finish(self, taken: _Worker, work: WorkerTask, data: bytes) -> WorkerResult:
        try:
            return await taken.run(work, data)
        except (OSError, EOFError, TimeoutError, pickle.UnpicklingError) as error:
            log.error("a worker for large bodies is replaced: %r", error)  # noqa: TRY400
            await taken.stop(kill=True)
            return _UNREAD
        finally:
            self._idle.put_nowait(taken)


class _Worker:
    """One worker process; started for the next body if it does not run."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: Process | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        # A socket buffers three times as much as a pipe (64 KiB), so sending takes fewer turns.
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(0.0)  # asyncio requires a non-blocking socket
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", worker.__name__),
                stdin=theirs.fileno(),
                stdout=PIPE,
                start_new_session=True,  # an interrupt at the terminal reaches the gate alone
            )

    async def run(self, task: WorkerTask, data: bytes) -> WorkerResult:
        """Send a task with its bytes, and return the result.

        Raises:
            OSError: The process exited, or cannot be started.
            EOFError: It exited before it wrote the result.
            TimeoutError: It did not write the result in time.
            pickle.UnpicklingError: Its output is not a result.
        """
        if self.pid is None:
            await self.stop()
            await self.start()
        process, loop = self._process, asyncio.get_running_loop()
        assert process is not None
        assert process.stdout is not None
        assert self._socket is not None
        about = pickle.dumps(task)
        async with asyncio.timeout(self._seconds):
            head = HEAD.pack(len(about), len(data)) + about
            await loop.sock_sendall(self._socket, head)
            await loop.sock_sendall(self._socket, data)
            length, _ = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            result: WorkerResult = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301
        return result

    async def stop(self, *, kill: bool = False) -> None:
        """Close its input, on which it exits; kill it if it does not exit in time."""
        if self._socket is not None:
            self._socket.close()
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.0 if kill else _STOP_SECONDS):
                await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _refusal(result: WorkerResult) -> AdmissibilityError:
    if isinstance(result, tuple):
        return AdmissibilityError(*result)
    return AdmissibilityError(*_UNREAD)
