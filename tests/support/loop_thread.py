"""Runs coroutines on an event loop in a thread, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE_SECONDS = 60.0

Wait = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine on the loop, waits for it, and returns its result."""


@contextmanager
def loop_thread(name: str) -> Iterator[Wait]:
    """Run an event loop in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name)
    thread.start()

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(_PATIENCE_SECONDS)

    try:
        yield wait
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
