"""SPIRE rotates its keys by itself: calls with its SVIDs go on, through real Envoy and gate.

A real SPIRE server whose authorities live for about a minute, an agent that gives the workload and
Envoy their SVIDs, and the customer's ``admit authority follow-bundle``. SPIRE is in no package
registry: the test runs where ``spire-server`` and ``spire-agent`` (1.16) are on PATH.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gate.mesh import ADMITTED, Workload, mesh
from tests.support import spire as support
from tests.support.site.stand import Stand
from tests.support.site.talk import Verdict, until

pytestmark = pytest.mark.skipif(
    support.SERVER is None or support.AGENT is None,
    reason="spire-server and spire-agent are not on PATH",
)
LIFETIME = 66
"""Seconds: SPIRE looks every 10 s; it prepares a key after 40 s, and signs with it after 60 s."""

AFTER = 20
"""Calls of each kind that are made with new keys."""


@pytest.fixture
def workload(stand: Stand, tmp_path: Path) -> Iterator[Workload]:
    with mesh(stand, tmp_path, LIFETIME) as (_, _, running, _):
        yield running


def test_calls_go_on_while_spire_rotates_its_keys(workload: Workload) -> None:
    calls = {"jwt": workload.with_token, "x509": workload.with_certificate}
    for call in calls.values():
        assert until(lambda: call()[0], ADMITTED) == ADMITTED  # noqa: B023 - called at once
    seen: dict[str, list[tuple[Verdict, str]]] = {kind: [] for kind in calls}
    end = time.monotonic() + 2 * LIFETIME
    while time.monotonic() < end and min(map(_since_rotation, seen.values())) < AFTER:
        for kind, call in calls.items():
            seen[kind].append(call())
    refused = {kind: [each for each in seen[kind] if each[0] != ADMITTED] for kind in calls}
    assert refused == {"jwt": [], "x509": []}
    assert {kind: len({key for _, key in seen[kind]}) for kind in calls} == {"jwt": 2, "x509": 2}


def _since_rotation(calls: list[tuple[Verdict, str]]) -> int:
    """Calls with another key than that of the first."""
    return sum(key != calls[0][1] for _, key in calls)
