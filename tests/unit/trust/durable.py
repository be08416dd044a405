"""A durable state that tests advance, close, and open again, and a disk that is full."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from sidecar.core.grants import OperatorTrust
from sidecar.core.snapshot import TrustState
from sidecar.core.trust_state import Change, VerifiedState
from sidecar.trust.durable_state import DurableState
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World


@contextlib.contextmanager
def disk_of(size: int | None) -> Iterator[None]:
    """Let this process write no file beyond ``size`` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before[1] if size is None else size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Kept:
    """A durable state that can be closed, opened again, and compared."""

    def __init__(self, folder: Path, operator: OperatorTrust, *, continues: bool = False) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder, self.operator = folder, operator
        self.durable = DurableState(folder, operator, continues=continues)
        self.state: VerifiedState = self.durable.first_state()

    def advance(self, change: Change) -> Kept:
        self.state = self.durable.advance(self.state, change)
        return self

    def restarted(self, operator: OperatorTrust | None = None, *, continues: bool = False) -> Kept:
        self.durable.close()
        return Kept(self.folder, operator or self.operator, continues=continues)

    @property
    def snapshot(self) -> TrustState:
        return self.state.snapshot(self.durable.epoch)


def whole(folder: Path, world: World) -> Kept:
    steps = Steps(world)
    views = {name: party.view() for name, party in world.parties.items()}
    kept = Kept(folder, world.operator())
    kept.advance(Change(views))
    return kept.advance(Change(added=tuple(map(steps.file, world.evidence.values()))))


def flip(path: Path) -> None:
    """Flip one bit of a signer in the newest page that has one."""
    data = bytearray(path.read_bytes())
    for at in range(len(data)):
        if data.startswith(b"regulator", at):
            data[at] ^= 1
    path.write_bytes(data)
