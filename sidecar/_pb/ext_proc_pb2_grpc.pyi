from collections.abc import Awaitable
from typing import Any

import grpc
import grpc.aio

from sidecar._pb import ext_proc_pb2

class ExternalProcessorStub:
    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None: ...
    def Process(self, request: Any = ..., *, timeout: float | None = ..., metadata: Any = ..., wait_for_ready: bool | None = ...) -> Any: ...

class ExternalProcessorServicer:
    def Process(self, request: Any, context: Any) -> Awaitable[None]: ...

def add_ExternalProcessorServicer_to_server(
    servicer: ExternalProcessorServicer, server: grpc.Server | grpc.aio.Server
) -> None: ...
