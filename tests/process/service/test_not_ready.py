"""A gate that is not ready answers 503, whatever is asked, and health checks say so."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.gate.clock import SETTLE_SECONDS, Clock, since_boot
from sidecar.service import config as service_config
from sidecar.service import run, startup
from sidecar.trust import config as trust_config
from tests.process.service.site import Running, Site, in_the_present
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import MODEL
from tests.support.simulator.party import grant
from tests.support.simulator.world import World, admitted_world
from tests.unit.trust.repository import HOUR, now

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_PATIENCE_SECONDS = 30.0


def ask(listen: str, site: Site, **changes: Any) -> str:
    message = as_check_request(**{"credential": site.token, **changes})
    with grpc.insecure_channel(listen) as channel:
        return reason_of(rpc.AuthorizationStub(channel).Check(message, timeout=20))


def health(listen: str) -> int:
    with grpc.insecure_channel(listen) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status)


@contextmanager
def held_up(site: Site, name: str) -> Iterator[None]:
    """Nobody can refresh this authority: another process holds its folder."""
    with (site.folder / "state" / name / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_law_1_what_was_withdrawn_while_the_gate_was_down_is_never_admitted(site: Site) -> None:
    with site.start() as running:
        assert ask(running.listen, site) == "admitted"
        assert running.stop() == 0
    regulator = site.world.parties["regulator"]
    regulator.withdraw("model", f"openai/{MODEL}")
    site.publish(regulator)
    with Running(site).spawn() as running:
        with held_up(site, "regulator"):
            running.await_listening()
            found = {
                ask(running.listen, site, **changes)
                for _ in range(5)
                for changes in ({}, {"credential": None}, {"body": b"{"})
            }
            assert (found, health(running.listen)) == ({"trust_stale"}, NOT_SERVING)
            assert not running.ready
        running.await_ready()
        assert (ask(running.listen, site), health(running.listen)) == ("withdrawn", SERVING)
        assert running.stop() == 0


def with_another_evaluator() -> World:
    """Another evaluator may object; nothing rests on what it signed, and its silence is ignored."""
    world = admitted_world()
    world.join("second-lab", grant("evaluator"))
    return world


def test_law_1_what_was_withdrawn_and_expired_while_the_gate_was_down_is_never_admitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = in_the_present(tmp_path, monkeypatch, with_another_evaluator)
    with site.start() as running:
        assert ask(running.listen, site) == "admitted"
        assert running.stop() == 0
    lab, repository = site.world.parties["second-lab"], site.repositories["second-lab"]
    repository.expires["timestamp"] = now() - HOUR
    site.publish(lab)
    with site.start() as running:
        assert ask(running.listen, site) == "admitted"  # it is silent, and said nothing
        assert running.stop() == 0
    lab.withdraw("model", f"openai/{MODEL}")
    site.publish(lab)
    with site.start() as running:
        assert ask(running.listen, site) == "withdrawn"
        assert running.stop() == 0


@dataclass
class Hands:
    """How far both clocks were moved by hand."""

    wall: float = 0.0
    boot: float = 0.0

    def clock(self, latest: float, bound: float) -> Clock:
        def wall() -> float:
            return time.time() + self.wall

        return Clock(latest, wall, lambda: since_boot() + self.boot, bound)


async def until(listen: str, status: int) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while await asyncio.to_thread(health, listen) != status:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def test_a_gate_with_an_unreliable_clock_is_not_serving_until_its_clocks_agree(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands()
    monkeypatch.setattr(startup, "Clock", hands.clock)
    config = service_config.load(site.config)

    async def story() -> list[str]:
        found = []
        async with run.running(config, trust_config.load(config.trust)) as gate:
            await until(gate.listen, SERVING)
            found.append(await asyncio.to_thread(ask, gate.listen, site))
            hands.wall += 60
            found.append(await asyncio.to_thread(ask, gate.listen, site))
            await until(gate.listen, NOT_SERVING)
            assert not gate.ready
            hands.wall += SETTLE_SECONDS
            hands.boot += SETTLE_SECONDS
            await until(gate.listen, SERVING)
            found.append(await asyncio.to_thread(ask, gate.listen, site))
        return found

    assert asyncio.run(story()) == ["admitted", "clock_unreliable", "admitted"]
