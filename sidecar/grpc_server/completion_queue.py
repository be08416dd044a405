"""Delivers what gRPC's core completes on the thread of the event loop.

``grpc.aio`` has a thread of its own that waits for each event and wakes the loop up for it: four
times a call. Here the loop itself takes what is complete, without waiting, until nothing is left.
Only then a thread waits for the next event, hands it over, and is out of the way again. So under
load no thread is switched to, and an idle loop sleeps.

Source: gRPC's ``grpc_completion_queue_next`` (include/grpc/grpc.h): any number of threads may call
it, and a deadline in the past makes it return at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from sidecar.grpc_server import binding

log = logging.getLogger("sidecar.grpc")

_MOST_AT_ONCE = 64
"""Events that are handled before the loop's other work has its turn."""
_PAST = 0.001
"""A deadline (seconds since 1970) that is over."""


class CompletionQueue:
    """A completion queue of gRPC's core whose events are delivered on one event loop.

    An operation's tag is a callable; it gets the event once the operation is complete. It should
    not raise: what it raises is logged, and the next event delivered.

    Args:
        loop: Where events are delivered.

    Attributes:
        core: The queue, for operations on a server.
        failed: Has the exception of a queue that cannot be asked any more; no event is delivered
            after it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.core = binding.CompletionQueue()
        self._turn = threading.Lock()  # released when it is the thread's turn to wait
        self._turn.acquire()
        self._thread = threading.Thread(target=self._wait, name="grpc-events", daemon=True)
        self._closed: asyncio.Future[None] = loop.create_future()
        self.failed: asyncio.Future[None] = loop.create_future()

    def start(self) -> None:
        """Begin to deliver events."""
        self._thread.start()
        self._turn.release()

    async def close(self) -> None:
        """Deliver the remaining events, and end the thread.

        No operation may begin any more: gRPC's core would abort the process.
        """
        self.core.shutdown()
        await self._closed
        self._turn.release()
        self._thread.join()

    def _wait(self) -> None:
        """Wait for one event whenever the loop has taken all that there were."""
        while True:
            self._turn.acquire()
            if self._closed.done() or self.failed.done():
                return
            step: Callable[[Any], None] = self._begin
            try:
                event = self.core.poll()
            except Exception as error:  # noqa: BLE001 - the loop's thread reports it
                step, event = self._fail, error
            try:
                self._loop.call_soon_threadsafe(step, event)
            except RuntimeError:  # the loop was closed before the server
                return
            del event  # it would be kept, with its message, for as long as the next wait takes

    def _begin(self, event: Any) -> None:  # noqa: ANN401
        """Deliver the event for which the thread waited, and what is complete by now."""
        if self._deliver(event):
            self._take()

    def _take(self) -> None:
        """Deliver what is complete; come again after the loop's other work, or let it sleep."""
        for count in range(_MOST_AT_ONCE):
            try:
                event = self.core.poll(_PAST)
            except Exception as error:  # noqa: BLE001 - it is reported
                self._fail(error)
                return
            if event.completion_type == binding.QUEUE_TIMEOUT:
                if count == 0:
                    self._turn.release()
                    return
                break
            if not self._deliver(event):
                return
        self._loop.call_soon(self._take)

    def _deliver(self, event: Any) -> bool:  # noqa: ANN401
        """Hand the event to its tag; return whether more can come."""
        if event.completion_type == binding.QUEUE_SHUTDOWN:
            if not self._closed.done():  # the loop may end before the server, and cancel it
                self._closed.set_result(None)
            return False
        try:
            event.tag(event)
        except Exception:
            log.exception("an event of gRPC could not be handled")
        return True

    def _fail(self, error: Exception) -> None:
        """Report the error: without events no call is answered, and no health check either."""
        log.critical("no event of gRPC can be taken any more", exc_info=error)
        self.failed.set_exception(error)
        self._turn.release()
