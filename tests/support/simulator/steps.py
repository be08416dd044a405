"""A world whose trust state is advanced by single changes, as the control path does it."""

from __future__ import annotations

import hashlib
from typing import Self

from sidecar.core.documents import WithdrawalKind
from sidecar.core.snapshot import TrustState
from sidecar.core.trust_state import Change, VerifiedState, advance, public_keys
from sidecar.core.verification import VerifiedFile, verify_file
from sidecar.core.withdrawals import AuthoredNode
from tests.support.simulator.world import World


class Steps:
    """Steps from the world as it is; every change is one more state."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.verified = VerifiedState.begin(world.operator(), world.memory)
        self.epoch = 0
        views = {name: party.view() for name, party in world.parties.items()}
        self.step(Change(views, tuple(map(self.file, world.evidence.values()))))

    @property
    def state(self) -> TrustState:
        return self.verified.snapshot(self.epoch)

    def file(self, data: bytes) -> VerifiedFile:
        keys = (key for party in self.world.parties.values() for key in public_keys(party.view()))
        return verify_file(data, keys)

    def step(self, change: Change) -> Self:
        self.epoch += 1
        self.verified = advance(self.verified, change)
        return self

    def add(self, *files: bytes) -> Self:
        return self.step(Change(added=tuple(map(self.file, files))))

    def remove(self, *files: bytes) -> Self:
        return self.step(Change(removed=tuple(hashlib.sha256(data).hexdigest() for data in files)))

    def publish(self, *names: str) -> Self:
        return self.step(Change({name: self.world.parties[name].view() for name in names}))

    def reached(self, digest: str, author: str = "regulator") -> int:
        """How many entries withdraw an approval by withdrawing a newer one of its author."""
        node = AuthoredNode(WithdrawalKind.APPROVAL, digest, author)
        return sum(len(index.hits(node)) for index in self.state.withdrawals.values())
