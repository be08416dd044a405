"""Verifies many signatures on every core, in processes of their own, while there are many.

Theory of operation. ``cryptography`` holds the interpreter's lock while it verifies, so threads use
one core. The processes are started with the first batch and ended when there is nothing more to
verify; each has a lower priority than the gate, and ends when its input does, also where the gate
was killed. A batch is answered whole or not at all: where a process died, hung or answered anything
else, the result is ``None``, and the caller verifies the batch itself.
"""

from __future__ import annotations

import logging
import marshal
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cryptography

import sidecar
from sidecar.core.dsse import PAYLOAD_TYPE, Envelope, pae
from sidecar.core.keys import PublicKey
from sidecar.trust import signature_worker
from sidecar.trust.signature_worker import HEAD_BYTES, Signed

_LOG = logging.getLogger("sidecar.trust")

BATCH_SECONDS = 30.0
"""How long one batch may take; then its process is killed."""

_PACKAGES = tuple(str(Path(str(each.__file__)).parents[1]) for each in (sidecar, cryptography))
"""Where a process finds packages: it runs without ``site``, a quarter of its start."""
_PROGRAM = (
    f"import sys; sys.path += sys.argv[1:]; from {signature_worker.__name__} import main; main()"
)

Task = tuple[Envelope, frozenset[PublicKey]]
"""An envelope, and the keys that are tried."""
Found = tuple[frozenset[str], ...] | None
"""The fingerprints that signed each envelope; ``None`` where the batch was not verified."""


class SignaturePool:
    """A pool of processes. Thread-safe.

    Args:
        processes: How many; the cores of this process where it is left.
    """

    def __init__(self, processes: int | None = None) -> None:
        self.processes = processes or len(os.sched_getaffinity(0))
        self.seconds = BATCH_SECONDS
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._all: tuple[_Process, ...] = ()
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()

    @property
    def pids(self) -> frozenset[int]:
        """Return the process ids of the processes that run."""
        return frozenset(each.pid for each in self._all if each.pid is not None)

    def submit(self, batch: Sequence[Task]) -> Future[Found]:
        """Begin to verify a batch."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.processes, "verify-signatures")
                self._all = tuple(_Process() for _ in range(self.processes))
                for each in self._all:
                    self._free.put(each)
            return self._threads.submit(self._verified, batch)

    def rest(self) -> None:
        """End every process; the next batch starts them again."""
        with self._lock:
            threads, self._threads = self._threads, None
            if threads is None:
                return
            threads.shutdown(wait=True, cancel_futures=True)
            for each in self._all:
                each.stop()
            self._all, self._free = (), queue.SimpleQueue()

    def _verified(self, batch: Sequence[Task]) -> Found:
        keys = [tuple(tried) for _, tried in batch]
        asked: list[Signed] = []
        for (envelope, _), tried in zip(batch, keys, strict=True):
            message = pae(PAYLOAD_TYPE, envelope.payload)
            for key in tried:
                asked += [(key.raw or key.pem, each, message) for each in envelope.signatures]
        process = self._free.get()
        watch = threading.Timer(self.seconds, process.kill)
        watch.start()
        try:
            answers = iter(process.ask(asked))
        except (OSError, EOFError, ValueError) as error:
            _LOG.error("a process that verifies signatures is replaced: %r", error)
            process.stop()
            return None
        finally:
            watch.cancel()
            self._free.put(process)
        return tuple(
            _signed_by(tried, [[next(answers) for _ in envelope.signatures] for _ in tried])
            for (envelope, _), tried in zip(batch, keys, strict=True)
        )


def _signed_by(keys: Iterable[PublicKey], answers: Iterable[Sequence[int]]) -> frozenset[str]:
    """Return the fingerprints of the keys that made one of the signatures."""
    pairs = zip(keys, answers, strict=True)
    return frozenset([key.fingerprint for key, each in pairs if any(each)])


class _Process:
    """One process, which is started for the next batch if it has ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        child = self._child
        return None if child is None or child.poll() is not None else child.pid

    def ask(self, asked: Sequence[Signed]) -> bytes:
        """Return a byte for each signature: 1 where it is the key's over the message, else 0.

        Raises:
            OSError: The process cannot be started, or has ended.
            EOFError: It ended before it answered.
            ValueError: It answered something else.
        """
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, *_PACKAGES],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # an interrupt at the terminal reaches the gate alone
            )
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        data = marshal.dumps(asked)  # type: ignore[arg-type]  # bytes and texts
        child.stdin.write(len(data).to_bytes(HEAD_BYTES, "big"))
        child.stdin.write(data)
        child.stdin.flush()
        answers = child.stdout.read(len(asked))
        if len(answers) < len(asked):
            raise EOFError(f"{len(answers)} of {len(asked)} answers came")
        if not {*answers} <= {0, 1}:
            raise ValueError("an answer is neither yes nor no")
        return answers

    def kill(self) -> None:
        """Kill the process, whatever it does; its batch ends as not verified."""
        child = self._child
        if child is not None:
            with suppress(OSError):
                child.kill()

    def stop(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
