"""The control path: follows every source and hands each new trust state on.

Theory of operation. Every authority and every source of evidence has a follower (a thread) of its
own. An authority's follower posts its view, which is published at once. Evidence comes behind the
documents (``evidence_following``): a withdrawal never waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sidecar.core.snapshot import TrustState
from sidecar.trust import sources
from sidecar.trust.assembler import Assembler
from sidecar.trust.config import TrustConfig, make_private
from sidecar.trust.durable_state import DurableState
from sidecar.trust.evidence_following import EvidenceFollowing, EvidenceStatus
from sidecar.trust.evidence_verifier import EvidenceVerifier
from sidecar.trust.follower import Follower
from sidecar.trust.refresher import AuthorityRefresher, AuthorityStatus
from sidecar.trust.writer_lock import WriterLock

_LOG = logging.getLogger("sidecar.trust")

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Committed:
    """What the store has: its last step, which store it is, and whether the step is in it."""

    epoch: int
    store: int
    written: bool


class ControlPath:
    """The long-running control path.

    Args:
        config: From ``config.load``.
        publish: Called with each new trust state, from one thread at a time.
        lock: As of ``DurableState``.
        continues: As of ``DurableState``.

    Raises:
        TrustConfigError: The state folder cannot be made or used, or is damaged.
    """

    def __init__(
        self,
        config: TrustConfig,
        publish: Callable[[TrustState], None],
        *,
        lock: WriterLock | None = None,
        continues: bool = False,
    ) -> None:
        make_private(config)
        self._durable = DurableState(
            config.state_dir, config.operator, lock=lock, continues=continues
        )
        state = self._durable.first_state()
        self._assembler = Assembler(self._durable, state, publish)
        heard = {name for name, view in state.views.items() if view.heard_since_start}
        self._refreshers = tuple(
            AuthorityRefresher(each, config.state_dir, heard=each.name in heard)
            for each in config.authorities
        )
        opened = tuple(sources.open_evidence(each, config.state_dir) for each in config.evidence)
        self._evidence = EvidenceFollowing(
            opened, self._durable, self._assembler, config.poll_seconds
        )
        self._unasked = set(self._refreshers)
        self._followers = (
            *(
                Follower(
                    each.status.name, each.source, config.poll_seconds, partial(self._refresh, each)
                )
                for each in self._refreshers
            ),
            *self._evidence.followers,
        )

    def start(self) -> None:
        """Start following; returns at once."""
        self._evidence.start()
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """Stop following; nothing is published after it returned."""
        self._evidence.stop_reading()
        threads: list[Follower | EvidenceVerifier] = [*self._followers, self._evidence.verifier]
        for thread in threads:
            thread.request_stop()
        for thread in threads:
            if not thread.join(STOP_SECONDS):
                _LOG.error("a follower is stuck in its source and did not stop")
        self._assembler.close()
        self._durable.close()

    def first_refresh_done(self) -> bool:
        """Return whether every first refresh ended, well or not, and evidence is verified.

        Evidence is waited for as long as ``EvidenceFollowing.first_read_done`` says.
        """
        return self.asked() and self._evidence.first_read_done()

    def asked(self) -> bool:
        """Return whether every authority's first refresh ended, well or not."""
        return not self._unasked

    def committed(self) -> Committed:
        """Return what the store has now."""
        durable = self._durable
        return Committed(durable.epoch, durable.identity(), written=durable.written)

    def at_rest(self, work: Callable[[Committed], None]) -> None:
        """Call ``work`` between two steps: what was found before is in force.

        What could not be written is written first, where that is possible now.
        """
        with self._assembler.at_rest():
            self._durable.write_again()
            work(self.committed())

    def forget_readers(self) -> None:
        """Free what processes that ended without closing the store were reading."""
        self._durable.forget_readers()

    def statuses(self) -> tuple[AuthorityStatus, ...]:
        """Return the status of each authority, in the order of the configuration."""
        return tuple(refresher.status for refresher in self._refreshers)

    def evidence(self) -> EvidenceStatus:
        """Return the status of the evidence folders."""
        return self._evidence.status()

    def _refresh(self, refresher: AuthorityRefresher) -> bool:
        name = refresher.status.name
        try:
            if refresher in self._unasked:
                self._assembler.post_view(name, refresher.recall())
            return self._assembler.post_view(name, refresher.refresh())
        finally:
            self._evidence.verifier.put_keys(self._assembler.keys())
            self._assembler.save_again()
            self._unasked.discard(refresher)
