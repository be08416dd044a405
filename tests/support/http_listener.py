"""Serves a request handler of the standard library on a loopback port, for stand-ins."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_POLL_SECONDS = 0.05
"""How long a stop may take; the library's half a second adds up over a run."""


@contextmanager
def listening(
    handler: Callable[..., http.server.BaseHTTPRequestHandler],
    context: ssl.SSLContext | None = None,
    handle_error: Callable[..., Any] | None = None,
) -> Iterator[int]:
    """Serve on a port of its own until the block ends; yields the port.

    Args:
        handler: Answers one connection.
        context: For TLS; None for plain HTTP.
        handle_error: Takes the place of the server's printing of errors in a handler.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    if handle_error is not None:
        server.handle_error = handle_error  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
