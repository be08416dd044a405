"""A gate whose gRPC server can answer no call any more ends, rather than look alive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from admissibility_devtools.demo.gate_process import Child
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.grpc_server import binding
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.site.forked_gate import forked
from tests.support.site.talk import until


class _Queue(binding.CompletionQueue):  # type: ignore[misc]  # compiled, without a stub
    """A completion queue that cannot be asked once a file is there; it takes the file away."""

    switch: Path

    def poll(self, deadline: float | None = None) -> Any:
        event = super().poll(deadline)
        if self.switch.exists():
            self.switch.unlink(missing_ok=True)
            raise MemoryError("no memory for an event")
        return event


def _can_fail(switch: Path) -> None:
    _Queue.switch = switch
    binding.CompletionQueue = _Queue


class _Failing(Running):
    """A gate whose server fails where ``switch`` exists."""

    @property
    def switch(self) -> Path:
        return self.site.folder / "fail"

    def _launch(self, arguments: Sequence[str]) -> Child:
        return forked(arguments, self.log, os.environ, partial(_can_fail, self.switch))


def _ask(gate: Running) -> str:
    message = as_check_request(credential=gate.site.token)
    with grpc.insecure_channel(gate.listen) as channel:
        return reason_of(rpc.AuthorizationStub(channel).Check(message, timeout=5))


def _fail(gate: _Failing) -> None:
    gate.switch.touch()
    while gate.switch.exists():
        _answer(gate)


def test_a_gate_of_one_process_ends_with_its_server(site: Site) -> None:
    with _Failing(site).start() as gate:
        assert _ask(gate) == "admitted"
        _fail(gate)
        assert gate.wait() == 1
        log = gate.log.read_text(encoding="utf-8")
        assert "no memory for an event" in log
        assert "the gRPC server failed; this process ends" in log
    assert not gate.ready


def test_a_worker_ends_with_its_server_and_is_replaced(site: Site) -> None:
    site.configure(workers=2)
    with _Failing(site).start() as gate:
        _fail(gate)
        ended = "ended with status 1; it is restarted"
        assert until(lambda: ended in gate.log.read_text(encoding="utf-8"), True)
        assert until(lambda: _answer(gate), "admitted") == "admitted"


def _answer(gate: Running) -> str:
    try:
        return _ask(gate)
    except grpc.RpcError as error:
        return str(error)
