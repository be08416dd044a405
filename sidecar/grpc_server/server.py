"""Makes the gRPC server of the gate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

import grpc

from sidecar.grpc_server import undecodable

log = logging.getLogger("sidecar.grpc")


def create(options: Sequence[tuple[str, int | str]] = ()) -> grpc.aio.Server:
    """Return a server on the running event loop.

    It is a ``CoreServer``, which has the part of ``grpc.aio.Server`` that the gate uses. With a
    release of ``grpc`` in which the binding to its core is another one, ``grpc.aio`` serves: the
    same answers for two to three times the processor time.

    Args:
        options: Channel arguments of gRPC's core.
    """
    undecodable.bound()
    try:
        from sidecar.grpc_server.core_server import CoreServer  # noqa: PLC0415 - may not be usable

        return cast("grpc.aio.Server", CoreServer(options))
    except (ImportError, AttributeError, TypeError) as error:
        log.warning(
            "grpc.aio serves, which takes more processor time: the binding to the core of grpcio %s"
            " is not the one that is known here (%s)",
            grpc.__version__,
            error,
        )
        return grpc.aio.server(options=options)
