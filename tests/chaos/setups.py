"""What a run is made of, drawn by its seed: transport, processes, policy engine, clock and disk."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.chaos.transports import TRANSPORTS
from tests.support.nats_server import PROGRAM


@dataclass(frozen=True, slots=True)
class Setup:
    """One installation.

    Attributes:
        transport: How repositories reach the gate.
        workers: 1 for a gate of one process, otherwise one writer, policies and so many workers.
        opa_by_proxy: Whether OPA is one that the gate does not start, behind a lossy proxy.
        stepped_clock: Whether the gate's wall clock is set forth and back.
        own_disk: Whether the gate's state is on a small disk of its own, which fills.
        remote_evidence: Whether evidence comes over the transport, too; from a folder otherwise.
    """

    transport: str = "https"
    workers: int = 1
    opa_by_proxy: bool = False
    stepped_clock: bool = False
    own_disk: bool = False
    remote_evidence: bool = False


def drawn(seed: int) -> Setup:
    """Draw what the run of a seed is made of."""
    random = Random(f"setup {seed}")
    transport = random.choice([each for each in TRANSPORTS if each != "nats" or PROGRAM])
    workers = random.choice((1, 2))
    return Setup(
        transport,
        workers,
        opa_by_proxy=random.random() < 0.3,
        stepped_clock=random.random() < 0.15,
        own_disk=random.random() < 0.3,
        remote_evidence=random.random() < 0.4,
    )
