"""All that is used of the binding between Python and gRPC's core.

``grpc`` itself serves with it, but no release promises to keep it: a release without one of these
names raises an ``AttributeError`` here, at import.

Source: src/python/grpcio/grpc/_cython of gRPC; what an operation does, include/grpc/grpc.h.
"""

from __future__ import annotations

from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled, without a stub

CompletionQueue: Any = cygrpc.CompletionQueue
Server: Any = cygrpc.Server

# The operations of a call on the server's side.
ReceiveClose: Any = cygrpc.ReceiveCloseOnServerOperation
ReceiveMessage: Any = cygrpc.ReceiveMessageOperation
SendInitialMetadata: Any = cygrpc.SendInitialMetadataOperation
SendMessage: Any = cygrpc.SendMessageOperation
SendStatus: Any = cygrpc.SendStatusFromServerOperation

QUEUE_TIMEOUT: Any = cygrpc.CompletionType.queue_timeout
QUEUE_SHUTDOWN: Any = cygrpc.CompletionType.queue_shutdown

NO_FLAGS = 0
NO_METADATA: tuple[()] = ()
