"""Readiness: only once every first refresh ended and the policy engine answered; denials before."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from admissibility_devtools.demo.authorities import CUSTOMER, EVALUATOR
from sidecar.gate.authorization import SERVICE
from tests.process.policies.opa import REVISION, OpaServer, build_bundle
from tests.support.site.site import Site
from tests.support.site.talk import until

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


@contextmanager
def watched(site: Site, service: str = SERVICE) -> Iterator[Iterator[int]]:
    """Each state that the gate's health service tells, as it changes."""
    with grpc.insecure_channel(site.listen) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        call = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=60)
        yield (int(answer.status) for answer in call)
        call.cancel()


@contextmanager
def held(site: Site, name: str) -> Iterator[None]:
    """An authority's refresh cannot proceed: another process holds its folder."""
    folder = site.folder / "state" / name
    folder.parent.mkdir(mode=0o700)
    folder.mkdir(mode=0o700)
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ready(site: Site) -> tuple[bool, bool]:
    """What ``/status`` says, and whether the ready file is there."""
    return bool(site.status()["ready"]), site.gate.ready


@pytest.mark.parametrize("name", [EVALUATOR, CUSTOMER])
def test_the_gate_is_not_ready_before_every_first_refresh_ended(site: Site, name: str) -> None:
    before = (503, "trust_stale")
    site.write()
    with held(site, name):
        site.gate.spawn().await_listening()
        site.front()
        with watched(site) as states:
            assert next(states) == NOT_SERVING
            others = {n for n in site.organisations.homes if n != name}
            assert until(lambda: refreshed(site), others) == others
            assert until(site.talk.verdict, before) == before
            assert ready(site) == (False, False)
    with watched(site) as states:
        assert SERVING in states
    assert until(lambda: ready(site), (True, True)) == (True, True)
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")


def refreshed(site: Site) -> set[str]:
    """Authorities whose first refresh succeeded."""
    entries = site.status()["authorities"]
    return {entry["name"] for entry in entries if entry["refreshed"] is not None}


def test_the_gate_is_not_ready_before_the_policy_engine_answered(
    site: Site, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="admit-") as short:
        socket = Path(short) / "opa.sock"
        site.settings["opa"] = {"address": f"unix://{socket}", "revision": REVISION}
        site.write()
        site.gate.spawn().await_listening()
        site.front()
        everybody = set(site.organisations.homes)
        assert until(lambda: refreshed(site), everybody) == everybody
        with watched(site) as states:
            assert next(states) == NOT_SERVING
            assert until(site.talk.verdict, (503, "policy_unavailable"))[0] == 503
            assert ready(site) == (False, False)
            with OpaServer(build_bundle(tmp_path), Path(short)):
                assert next(states) == SERVING
                assert until(lambda: ready(site), (True, True)) == (True, True)
                assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")
