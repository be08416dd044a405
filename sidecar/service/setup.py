"""What the supervisor hands to each process that it starts."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from sidecar.service.config import SidecarConfig
from sidecar.service.scoreboard import Scoreboard, Slot
from sidecar.trust.config import TrustConfig

BEAT_SECONDS = 0.5
"""How often a process states on the scoreboard that it runs."""
LINGER_SECONDS = 2.0
"""How long an engine that was replaced still answers, beyond the longest decision."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The files as the process shall use them, and what it shares with the others.

    Attributes:
        config: ``sidecar.yaml``, with ports as bound.
        trust: ``trust.yaml``.
        board: The scoreboard.
        slot: The process's own slot.
        endpoint: Listens at ``config.metrics``.
        replaces: Whether it takes the place of one that still runs.
    """

    config: SidecarConfig
    trust: TrustConfig
    board: Scoreboard
    slot: Slot
    endpoint: socket.socket
    replaces: bool = False
