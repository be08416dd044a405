"""The gate's own log: one format for every line, and a line when something is withdrawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._pb import ext_authz_pb2_grpc as rpc
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import MODEL
from tests.support.site.talk import until


def until_reason(running: Running, reason: str) -> None:
    """Ask until the answer is ``reason``."""
    message = as_check_request(credential=running.site.token)
    with grpc.insecure_channel(running.listen) as channel:
        stub = rpc.AuthorizationStub(channel)
        assert until(lambda: reason_of(stub.Check(message, timeout=20)), reason) == reason


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a log; a line that is not JSON is an error."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_every_line_is_json_and_a_withdrawal_is_logged_with_its_author(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_LOG_FORMAT", "json")
    with site.start() as running:
        until_reason(running, "admitted")
        regulator = site.world.parties["regulator"]
        regulator.withdraw("model", f"openai/{MODEL}")
        site.publish(regulator)
        until_reason(running, "withdrawn")

        # A second gate on the same address: what gRPC's core writes itself is no line of the log.
        taken = Running(Site(site.folder / "second", site.world, site.issuer))
        taken.config.parent.mkdir()
        text = site.config.read_text().replace("127.0.0.1:0", running.listen, 1)
        taken.config.write_text(text.replace("trust: ", f"trust: {site.folder}/"))
        taken.spawn()
        assert taken.wait() == 2
        running.stop()
    events = [line for line in lines(running.log) if "event" in line]
    effective = events[0].pop("effective")
    assert [{key: line[key] for key in line.keys() - {"time"}} for line in events] == [
        {
            "level": "warning",
            "logger": "sidecar.trust",
            "message": f"regulator withdrew model openai/{MODEL}: shown to be unfit, effective"
            f" {effective}",
            "event": "withdrew",
            "authority": "regulator",
            "kind": "model",
            "subject": f"openai/{MODEL}",
            "reason": "shown to be unfit",
        }
    ]
    (last,) = [line for line in lines(taken.log) if line["level"] == "critical"]
    assert last["message"] == (
        f"listen: {running.listen}: cannot listen on {running.listen}: it is in use, invalid or"
        " not permitted"
    )
