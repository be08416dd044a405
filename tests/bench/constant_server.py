"""The floor: an ``Authorization`` service on ``grpc.aio`` that admits everything with one reply.

What any gate in Python on this server costs at least. The reply is that of a real allow, so that
Envoy does the same work for it. ``python -m tests.bench.constant_server HEADER GATE_NAME``.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import uvloop

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.decide import Decision
from sidecar.core.reasons import Reason
from sidecar.extract.http_request import HttpRequest
from sidecar.gate import check_response
from sidecar.gate.authorization import SERVICE


def reply(credential_header: str, gate_name: str) -> pb.CheckResponse:
    """Return an allow as the gate writes it."""
    call = Call("openai", "chat.completions", ("ft:gpt-4o-2024-08-06:acme:support-v3:abc123",))
    decision = Decision("0" * 32, Reason.ADMITTED, "admitted", datetime.now(UTC), call=call)
    return check_response.respond(
        decision,
        HttpRequest("POST", "/"),
        credential_header=credential_header,
        gate_name=gate_name,
    )


async def _serve(credential_header: str, gate_name: str) -> None:
    answer = reply(credential_header, gate_name)

    async def check(_: pb.CheckRequest, __: Any) -> pb.CheckResponse:
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=pb.CheckRequest.FromString,
        response_serializer=pb.CheckResponse.SerializeToString,
    )
    server = grpc.aio.server()
    handlers = grpc.method_handlers_generic_handler(SERVICE, {"Check": handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201
    await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: where it listens, and its process."""

    port: int
    pid: int


@contextlib.contextmanager
def running(credential_header: str, gate_name: str) -> Iterator[Service]:
    """Run the service in a process of its own for as long as the context lasts."""
    command = [sys.executable, "-m", __name__, credential_header, gate_name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Service(int(child.stdout.readline()), child.pid)
        finally:
            child.terminate()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:3]))
