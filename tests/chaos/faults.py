"""Faults of sources and of the machine; each begins, lasts, and is taken away."""

from __future__ import annotations

import contextlib
import http.server
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.support.https_server import HttpsServer

Handler = http.server.BaseHTTPRequestHandler
ENDLESS_BYTES = 32 << 20
"""What an endless answer sends at most: a reader that is not bounded would take it all."""


def _hang(handler: Handler, server: HttpsServer) -> None:
    server.released.wait(20)


def _reset(handler: Handler, server: HttpsServer) -> None:
    handler.connection.close()


def _error(handler: Handler, server: HttpsServer) -> None:
    handler.send_response(500)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _truncated(handler: Handler, server: HttpsServer) -> None:
    path = server.folder / handler.path.lstrip("/")
    data = path.read_bytes() if path.is_file() else b"{}"
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])


def _endless(handler: Handler, server: HttpsServer) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(ENDLESS_BYTES >> 16):
        handler.wfile.write(b" " * (1 << 16))


def _garbage(handler: Handler, server: HttpsServer) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


ANSWERS: tuple[Callable[[Handler, HttpsServer], None], ...] = (
    _hang,
    _reset,
    _error,
    _truncated,
    _endless,
    _garbage,
)


def misbehave(server: HttpsServer, authority: str, how: Callable[..., None], share: float) -> None:
    """Answer a share of the requests for one authority's files as ``how`` does."""
    random = Random(share)

    def answer(handler: Handler) -> bool:
        if not handler.path.startswith(f"/{authority}/") or random.random() > share:
            return False
        with contextlib.suppress(OSError):
            how(handler, server)
        return True

    server.misbehave = answer


def no_more_files(pid: int) -> Callable[[], None]:
    """Let a process open no further file (``EMFILE``); return how to end that."""
    opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return _limited(pid, resource.RLIMIT_NOFILE, opened)


def full_disk(pid: int) -> Callable[[], None]:
    """Let a process write nothing more into files (``EFBIG``); return how to end that."""
    return _limited(pid, resource.RLIMIT_FSIZE, 0)


def _limited(pid: int, what: int, soft: int) -> Callable[[], None]:
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, hard))

    def end() -> None:
        # To the hard limit: what was found may be an earlier fault that has not ended. What it
        # started meanwhile has the limit too.
        for each in (pid, *descendants(pid)):
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(each, what, (hard, hard))

    return end


def filled(folder: Path) -> Callable[[], None]:
    """Fill the disk that a folder is on (``ENOSPC``); return how to end that."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))

    def end() -> None:
        path.unlink(missing_ok=True)

    return end


def killed_when_it_writes(pid: int, data: Path, seconds: float) -> bool:
    """Kill a process as soon as it changes a file, in the middle of a commit; whether it did."""
    before, until = data.stat().st_mtime_ns, time.monotonic() + seconds
    while time.monotonic() < until:
        if data.stat().st_mtime_ns != before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return True
    return False


def stopped(pid: int) -> Callable[[], None]:
    """Stop a process as a paused machine would; return how to let it go on."""
    os.kill(pid, signal.SIGSTOP)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    return end


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below ``pid`` with the names of their programs."""
    programs, below = dict[int, str](), dict[int, list[int]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        # It may end while it is looked at.
        with contextlib.suppress(OSError):
            program, _, fields = path.read_text().partition("(")[2].rpartition(")")
            programs[int(path.parent.name)] = program
            below.setdefault(int(fields.split()[1]), []).append(int(path.parent.name))
    found, pending = dict[int, str](), [pid]
    while pending:
        for child in below.get(pending.pop(), ()):
            found[child] = programs[child]
            pending.append(child)
    return found
