"""Repeats work in a thread of its own, and keeps how its last round went."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.authority.errors import AuthorityError
from sidecar.binder.errors import BinderError, StoppedError
from sidecar.binding.errors import BindingError
from sidecar.binding.source import SourceError
from sidecar.core.reasons import EvidenceError
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")


@dataclass(frozen=True, slots=True)
class RoundStatus:
    """How repeated work goes.

    Attributes:
        what: ``jobs``, ``deployments`` or ``publication``.
        provider: Whose; of a publication the authority.
        succeeded: Monotonic seconds at the end of the last round that succeeded.
        problem: Why the last one failed; empty where it did not.
        done: Whether a round has ended, well or not.
    """

    what: str
    provider: str
    succeeded: float | None = None
    problem: str = ""
    done: bool = False

    @property
    def labels(self) -> tuple[str, str]:
        """Return the labels of its metrics."""
        return self.provider, self.what

    def age(self) -> float | None:
        """Return the seconds since a round succeeded; ``None`` if none has."""
        return None if self.succeeded is None else time.monotonic() - self.succeeded


class Rounds:
    """Work that is done again and again until it is stopped.

    Args:
        what: ``jobs``, ``deployments`` or ``publication``.
        provider: Whose; of a publication the authority.
        seconds: From the end of a round to the next, unless ``wake`` is called.
        work: One round.
        retry: Seconds after a round that failed, if fewer.
        end: Called in the same thread after the last round.
    """

    def __init__(
        self,
        what: str,
        provider: str,
        seconds: float,
        work: Callable[[], None],
        end: Callable[[], None] = lambda: None,
        retry: float | None = None,
    ) -> None:
        self.status = RoundStatus(what, provider)
        self._seconds = seconds
        self._work = work
        self._end = end
        self._retry = seconds if retry is None else min(seconds, retry)
        self._changed = threading.Condition()
        self._woken = False
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name=f"{what}-{provider}"[:15], daemon=True
        )

    def start(self) -> None:
        """Begin the first round."""
        self._thread.start()

    def wake(self) -> None:
        """Begin the next round at once, or right after the one at hand."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def request_stop(self) -> None:
        """Begin no further round, but for one that ``wake`` asked for."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait for the round at hand; return whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def is_alive(self) -> bool:
        """Return whether rounds are still done."""
        return self._thread.is_alive()

    def _run(self) -> None:
        wait = 0.0
        try:
            while self._begins(wait):
                self._round()
                wait = self._retry if self.status.problem else self._seconds
        finally:
            self._end()

    def _begins(self, wait: float) -> bool:
        """Wait for the next round; return whether there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._woken or self._stopped, wait)
            begins = self._woken or not self._stopped
            self._woken = False
            return begins

    def _round(self) -> None:
        what, provider = self.status.what, self.status.provider
        try:
            self._work()
        except StoppedError:
            return
        except (
            SourceError,
            BindingError,
            BinderError,
            AuthorityError,
            EvidenceError,
            OSError,
        ) as error:
            self._failed(str(error))
        except Exception as error:
            # A bug ends this round, never the thread: later rounds must still run.
            log.exception("%s of %s: a round failed", what, provider)
            self._failed(f"{type(error).__name__}: {error}")
        else:
            if self.status.problem:
                log.info("%s of %s: a round succeeded again", what, provider)
            self.status = RoundStatus(what, provider, time.monotonic(), "", done=True)

    def _failed(self, problem: str) -> None:
        known = self.status
        if problem != known.problem:
            log.warning(
                "%s of %s: the round failed: %s",
                known.what,
                known.provider,
                problem,
                extra=event(
                    "round_failed", what=known.what, provider=known.provider, reason=problem
                ),
            )
        self.status = RoundStatus(known.what, known.provider, known.succeeded, problem, done=True)
