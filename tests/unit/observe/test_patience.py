"""No answer comes later than Envoy waits for it, since that would deny an admitted call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from sidecar.observe.decision_log import BUSY_PATIENCE
from sidecar.service.config import SidecarConfig


def test_envoy_waits_longer_than_a_decision_and_its_record_may_take() -> None:
    longest = SidecarConfig.model_fields["deadline_ms"].default / 1000 + BUSY_PATIENCE
    found = {
        path.name: list(_waits(yaml.load(path.read_bytes(), yaml.CSafeLoader)))
        for path in Path("envoy").glob("*.yaml")
    }
    assert {name for name, waits in found.items() if not waits} == {"xfcc-edge.yaml"}
    assert min(seconds for waits in found.values() for seconds in waits) > longest


def _waits(part: object) -> Iterator[float]:
    """Yield how many seconds each ``ext_authz`` filter waits for its service."""
    if isinstance(part, dict):
        if str(part.get("@type")).endswith("ext_authz.v3.ExtAuthz"):
            yield float(part["grpc_service"]["timeout"].rstrip("s"))
        for each in part.values():
            yield from _waits(each)
    elif isinstance(part, list):
        for each in part:
            yield from _waits(each)
