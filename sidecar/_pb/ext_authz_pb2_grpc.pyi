from collections.abc import Awaitable
from typing import Any

import grpc
import grpc.aio

from sidecar._pb import ext_authz_pb2

class AuthorizationStub:
    def __init__(self, channel: grpc.Channel | grpc.aio.Channel) -> None: ...
    def Check(self, request: ext_authz_pb2.CheckRequest, *, timeout: float | None = ..., metadata: Any = ..., wait_for_ready: bool | None = ...) -> Any: ...

class AuthorizationServicer:
    def Check(self, request: ext_authz_pb2.CheckRequest, context: Any) -> ext_authz_pb2.CheckResponse | Awaitable[ext_authz_pb2.CheckResponse]: ...

def add_AuthorizationServicer_to_server(
    servicer: AuthorizationServicer, server: grpc.Server | grpc.aio.Server
) -> None: ...
