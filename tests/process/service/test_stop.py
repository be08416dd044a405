"""A stopping gate lets what is in flight end, and takes nothing new; a second signal ends it."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar._pb import ext_proc_pb2 as proc
from sidecar._pb.ext_proc_pb2_grpc import ExternalProcessorStub
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class InFlight:
    """An ext_proc stream of an upload that has not ended."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._messages: queue.Queue[proc.ProcessingRequest | None] = queue.Queue()
        self._call = ExternalProcessorStub(channel).Process(iter(self._messages.get, None))

    def end(self) -> str:
        """Close the client's side; return the status with which the gate ends the stream."""
        self._messages.put(None)
        return str(self._call.code().name)


@contextmanager
def stopping(site: Site) -> Iterator[tuple[Running, InFlight, grpc.Channel]]:
    """A gate that got SIGTERM while a stream was open, and the connection of that stream."""
    with site.start() as running, grpc.insecure_channel(running.listen) as channel:
        stream = InFlight(channel)
        assert ask(channel, site) == "admitted"
        with watched(channel) as states:
            assert next(states) == SERVING
            os.kill(running.pid, signal.SIGTERM)
            while next(states) != NOT_SERVING:
                pass
        yield running, stream, channel


@contextmanager
def watched(channel: grpc.Channel) -> Iterator[Iterator[int]]:
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    yield (int(answer.status) for answer in call)
    call.cancel()


def ask(channel: grpc.Channel, site: Site) -> str:
    message = as_check_request(credential=site.token)
    return reason_of(rpc.AuthorizationStub(channel).Check(message, timeout=20))


def registering(site: Site) -> Site:
    site.configure(registration={"folder": "registrations", "key": "registration.pem"})
    return site


def test_a_stopping_gate_waits_for_streams_and_refuses_new_calls_with_a_reason(
    site: Site,
) -> None:
    with stopping(registering(site)) as (running, stream, channel):
        assert ask(channel, site) == "stopping"
        assert stream.end() == "OK"
        assert running.wait() == 0
    assert '"reason":"stopping"' in Path(site.log).read_text()


def test_a_second_signal_ends_a_stopping_gate_at_once(site: Site) -> None:
    with stopping(registering(site)) as (running, stream, _):
        os.kill(running.pid, signal.SIGINT)
        assert running.wait() == 0
        assert stream.end() in {"CANCELLED", "UNAVAILABLE"}


def test_gates_that_share_a_port_hand_new_calls_over_and_finish_their_streams(site: Site) -> None:
    site.configure(reuse_port=True)
    with stopping(registering(site)) as (first, stream, _):
        site.configure(listen=first.listen)
        with site.start() as second, grpc.insecure_channel(second.listen) as fresh:
            assert ask(fresh, site) == "admitted"
            assert stream.end() == "OK"
            assert first.wait() == 0
            assert ask(fresh, site) == "admitted"
