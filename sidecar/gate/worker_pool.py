"""Parses large bodies in worker processes, so that small requests never wait behind one.

Parsing twenty megabytes takes a tenth of a second, in which an event loop answers nothing else. So
messages over ``parsed_request.THRESHOLD``, and batch files block by block, go through a socket to
one of a few workers (``worker``). The outcome comes back, the bytes do not, and none of them is
copied on the way. A worker that ends, stalls or fails is replaced, and its request is denied. The
queue for a worker is bounded in length, and by the deadline of each request.

Batch files have no short deadline, so they never take the last worker. A request that is given up
leaves its worker to finish: starting another would cost more.
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
from sidecar.extract.batch_lines import Block, Found, read
from sidecar.extract.parsed_request import Large, ParsedRequest, ReadOptions
from sidecar.gate import worker
from sidecar.gate.worker import HEAD, Answer, Question

log = logging.getLogger("sidecar.gate.worker_pool")

BLOCK_THRESHOLD = 1 << 13
"""Longest lines of a batch file, in bytes, that are read in the event loop: short ones cost more
than their length says."""

READERS = max(2, min(4, os.cpu_count() or 1))
MAX_WAITING = 32
READ_SECONDS = 5.0
_STOP_SECONDS = 2.0
_UNREAD = (Reason.INTERNAL_ERROR, "the body could not be read")


class WorkerPool:
    """A pool of worker processes; created, used and closed inside one event loop.

    Args:
        readers: How many large bodies are read at once.
        max_waiting: How many more may wait for that.
        read_seconds: How long one may take before its reader is given up.
    """

    def __init__(
        self,
        readers: int = READERS,
        *,
        max_waiting: int = MAX_WAITING,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._all = tuple(_Worker(read_seconds) for _ in range(readers))
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        for reader in self._all:
            self._idle.put_nowait(reader)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._blocks = asyncio.Semaphore(max(1, readers - 1))
        self._tasks: set[asyncio.Task[Answer]] = set()

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the readers that run."""
        return frozenset(reader.pid for reader in self._all if reader.pid is not None)

    async def start(self) -> None:
        """Start every reader; they get ready while the gate does.

        Raises:
            OSError: A process cannot be started.
        """
        for reader in self._all:
            await reader.start()

    async def close(self) -> None:
        """End every reader."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(reader.stop() for reader in self._all))

    async def __call__(self, large: Large, options: ReadOptions) -> ParsedRequest:
        """Like ``told.tell``.

        Raises:
            AdmissibilityError: ``overloaded`` where too many large bodies wait;
                ``internal_error`` where the reader ended, stalled or failed.
        """
        if self._waiting >= self._max_waiting:
            raise AdmissibilityError(Reason.OVERLOADED, "too many large bodies at once")
        self._waiting += 1
        try:
            reader = await self._idle.get()
        finally:
            self._waiting -= 1
        answer = await self._ask(reader, options, large.data)
        if isinstance(answer, ParsedRequest):
            return answer
        raise _refusal(answer)

    async def lines(self, block: Block) -> Found:
        """Like ``batch_lines.read``.

        Raises:
            AdmissibilityError: ``internal_error`` where the reader ended, stalled or failed.
        """
        if len(block.data) <= BLOCK_THRESHOLD:
            return read(block)
        async with self._blocks:
            reader = await self._idle.get()
            answer = await self._ask(reader, replace(block, data=b""), block.data)
        if isinstance(answer, Found):
            return answer
        raise _refusal(answer)

    async def _ask(self, reader: _Worker, question: Question, data: bytes) -> Answer:
        """Have a reader that is not idle read; it is idle afterwards, whatever becomes of us."""
        task = asyncio.create_task(self._read(reader, question, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _read(self, reader: _Worker, question: Question, data: bytes) -> Answer:
        try:
            return await reader.read(question, data)
        except (OSError, EOFError, TimeoutError, pickle.UnpicklingError) as error:
            log.error("a reader of large bodies is given up: %r", error)  # noqa: TRY400
            await reader.stop(kill=True)
            return _UNREAD
        finally:
            self._idle.put_nowait(reader)


class _Worker:
    """One process; started anew for the next body where it has ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._process: Process | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    async def start(self) -> None:
        # Not a pipe: that holds 64 KiB at a time, where a socket holds three times as much.
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(0.0)  # as the event loop wants it
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", worker.__name__),
                stdin=theirs.fileno(),
                stdout=PIPE,
                start_new_session=True,  # an interrupt at the terminal is for the gate to act on
            )

    async def read(self, question: Question, data: bytes) -> Answer:
        """One question about ``data``, and its answer.

        Raises:
            OSError: The process ended, or cannot be started.
            EOFError: It ended before it answered.
            TimeoutError: It did not answer in time.
            pickle.UnpicklingError: What it wrote is no answer.
        """
        if self.pid is None:
            await self.stop()
            await self.start()
        process, loop = self._process, asyncio.get_running_loop()
        assert process is not None
        assert process.stdout is not None
        assert self._socket is not None
        about = pickle.dumps(question)
        async with asyncio.timeout(self._seconds):
            head = HEAD.pack(len(about), len(data)) + about
            await loop.sock_sendall(self._socket, head)
            await loop.sock_sendall(self._socket, data)
            length, _ = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            answer: Answer = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301
        return answer

    async def stop(self, *, kill: bool = False) -> None:
        """Close its input, which ends it by itself; kill one that does not listen."""
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


def _refusal(answer: Answer) -> AdmissibilityError:
    if isinstance(answer, tuple):
        return AdmissibilityError(*answer)
    return AdmissibilityError(*_UNREAD)
