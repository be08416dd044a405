"""Keeps the bindings of deployments true to what their provider states, by short windows.

Theory of operation. In each round every deployment is read again. One that runs what its newest
binding states gets that binding renewed when half of its window is over; one that runs another
model gets another binding, whose signing withdraws the one before. A deployment that cannot be
bound now, or is not there, has its binding withdrawn. So has one whose binding begins later, by a
clock that was ahead, and states something else: it would take over when it begins. One that cannot
be asked for is left alone, so that its binding ends with its window. The home that signs is the
memory: the binding carries a digest of the provider's record, so a deployment that was pointed
elsewhere and back is noticed by any binder. What a person withdrew stays withdrawn until that
person takes it back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sidecar.authority import home as authority
from sidecar.authority import records
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.records import RecordedStatement
from sidecar.authority.renewals import forget_renewals
from sidecar.binder import library
from sidecar.binder.errors import BinderError
from sidecar.binder.locks import claimed
from sidecar.binding.deployments import RECORD, DeployedModel, DeploymentSource
from sidecar.binding.errors import BindingError
from sidecar.binding.source import SourceError, UnansweredError
from sidecar.core.documents import WithdrawalKind
from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    DEPLOYMENT_BINDING,
    DeploymentBinding,
    Predicate,
    Subject,
    base_model_digest,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window, rfc3339
from sidecar.core.wire import DigestSet
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

CLEARED_AFTER = timedelta(days=1)
KEEPER_LOCK = ".deployments.lock"
BY_BINDER = "binder: "
"""Prefix of the reason of a withdrawal by a binder, which a later binding may supersede."""


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """How deployments of one account are bound.

    Attributes:
        home: The provider's home, which signs and withdraws.
        out: Folder that bindings are handed out from.
        evidence: Folders with the manifests of adapted models.
        producer: A home whose own manifests count as well; ``None`` without one.
        validity: How long a binding holds.
    """

    home: Home
    out: Path
    evidence: tuple[Path, ...]
    producer: Home | None
    validity: timedelta


@dataclass(frozen=True, slots=True)
class KeptDeployment:
    """A deployment after a round: what it is bound to, or why it is not."""

    name: str
    model: str | None
    reason: str = ""


class DeploymentKeeper:
    """Binds the deployments of one account, round by round.

    Args:
        settings: How.
        now: The clock.
    """

    def __init__(self, settings: KeeperSettings, now: Callable[[], datetime]) -> None:
        self.home = settings.home
        self._settings = settings
        self._now = now
        self._read: dict[Path, RecordedStatement] = {}
        self._cleared: set[str] = set()
        self.kept: tuple[KeptDeployment, ...] = ()

    def round(self, source: DeploymentSource) -> None:
        """Read every deployment, and sign or withdraw what has to be.

        Raises:
            SourceError: One could not be read; the others were kept.
        """
        # Two binders with one home would each withdraw what the other has just signed.
        with claimed(self._settings.home.path / KEEPER_LOCK, wait=True):
            bound = self._bound(source.provider)
            own = (name for name in sorted(bound) if RECORD in _of(bound[name]).declarations)
            names = dict.fromkeys((*source.names(), *own))
            kept: list[KeptDeployment] = []
            failure: Exception | None = None
            for name in names:
                try:
                    kept.append(self._keep(source, name, bound.get(name)))
                except (SourceError, AuthorityError, EvidenceError, OSError) as error:
                    if failure is None or isinstance(failure, UnansweredError):
                        failure = error  # a refusal is more informative than a missing answer
                    kept.append(KeptDeployment(name, None, str(error)))
            self.kept = tuple(kept)
            if failure is not None:
                raise failure

    def _keep(
        self, source: DeploymentSource, name: str, newest: RecordedStatement | None
    ) -> KeptDeployment:
        held = self._withdrawn(newest)
        if held is not None and not held.startswith(BY_BINDER):
            return KeptDeployment(name, None, f"withdrawn by hand: {held}")
        try:
            found = source.read(name)
            wanted = self._statement(source.provider, found)
        except (BindingError, BinderError) as error:
            if newest is not None and held is None and not self._over(newest):
                self._withdraw(source.provider, name, newest, str(error))
            return KeptDeployment(name, None, str(error))
        if newest is not None and held is None and self._current(newest, wanted):
            return KeptDeployment(name, found.model)
        if newest is not None and _begins(newest)[0] > self._now():
            reason = f"its binding to {_of(newest).model} begins at {rfc3339(_begins(newest)[0])}"
            reason += ", signed by a clock that was ahead; it is bound again after that"
            if held is None:
                self._withdraw(source.provider, name, newest, reason)
            return KeptDeployment(name, None, reason)
        self._sign(source.provider, name, wanted)
        return KeptDeployment(name, found.model)

    def _bound(self, provider: str) -> dict[str, RecordedStatement]:
        """Return the newest binding of each deployment that this home bound."""
        newest: dict[str, RecordedStatement] = {}
        paths = records.paths_of_kind(self._settings.home.path, "deployment")
        # A record never changes, but one that another binder removed is gone.
        self._read = {path: self._read.get(path) or records.read(path) for path in paths}
        own = {path: each for path, each in self._read.items() if _of(each).provider == provider}
        for recorded in own.values():
            self._clear_away(recorded)
        before = self._now() - CLEARED_AFTER
        for path in forget_renewals(self._settings.home, own, before):
            self._cleared.discard(own.pop(path).digest)
        for recorded in own.values():
            known = newest.get(_of(recorded).deployment)
            if known is None or _begins(known) < _begins(recorded):
                newest[_of(recorded).deployment] = recorded
        return newest

    def _clear_away(self, recorded: RecordedStatement) -> None:
        """Remove the file of a binding that ended: it can permit nothing any more."""
        ended = _of(recorded).window.not_after < self._now() - CLEARED_AFTER
        if ended and recorded.digest not in self._cleared:
            name = f"deployment-{recorded.digest[:12]}{records.SUFFIX}"
            (self._settings.out / name).unlink(missing_ok=True)
            self._cleared.add(recorded.digest)

    def _withdrawn(self, newest: RecordedStatement | None) -> str | None:
        """Return the reason for which a binding is withdrawn; ``None`` if it is not."""
        if newest is None:
            return None
        for entry in authority.describe(self._settings.home).withdrawals:
            if (entry.kind, entry.subject) == (WithdrawalKind.DEPLOYMENT_BINDING, newest.digest):
                return entry.reason
        return None

    def _statement(self, provider: str, found: DeployedModel) -> Statement[Predicate]:
        """Return the binding of what a deployment runs.

        Raises:
            BinderError: It runs an adapted model whose manifest is not known.
        """
        settings = self._settings
        if found.manifest is not None:
            digest = found.manifest
        elif found.adapted:
            homes = () if settings.producer is None else (settings.producer,)
            folders = settings.evidence
            digest = library.manifest_of(homes, folders, provider, found.model).digest
        else:
            digest = base_model_digest(provider, found.model)
        begin = self._now()
        binding = DeploymentBinding(
            provider,
            found.name,
            found.model,
            Window(begin, begin + settings.validity),
            found.declarations(),
        )
        return Statement(Subject(found.name, DigestSet(digest)), DEPLOYMENT_BINDING, binding)

    def _current(self, newest: RecordedStatement, wanted: Statement[Predicate]) -> bool:
        """Return whether the newest binding equals this one, with over half a window left."""
        known, new = _of(newest), wanted.predicate
        assert isinstance(new, DeploymentBinding)
        same = (newest.statement.subject, known.model, known.declarations) == (
            wanted.subject,
            new.model,
            new.declarations,
        )
        return same and known.window.not_after - self._now() > self._settings.validity / 2

    def _over(self, newest: RecordedStatement) -> bool:
        return _of(newest).window.not_after <= self._now()

    def _sign(self, provider: str, name: str, wanted: Statement[Predicate]) -> None:
        settings = self._settings
        issued = authority.issue(settings.home, wanted, self._now(), out=settings.out)
        binding = issued.statement.predicate
        assert isinstance(binding, DeploymentBinding)
        log.info(
            "deployment %s of %s is bound to %s",
            name,
            provider,
            binding.model,
            extra=event(
                "deployment_bound",
                provider=provider,
                deployment=name,
                model=binding.model,
                digest=issued.digest,
                withdrawn=list(issued.replaced),
            ),
        )

    def _withdraw(self, provider: str, name: str, newest: RecordedStatement, reason: str) -> None:
        kind = WithdrawalKind.DEPLOYMENT_BINDING
        home, text = self._settings.home, f"{BY_BINDER}{reason}"[:500]
        authority.withdraw(home, kind, newest.digest, text, None, self._now())
        log.warning(
            "the binding of deployment %s of %s is withdrawn: %s",
            name,
            provider,
            reason,
            extra=event("deployment_withdrawn", provider=provider, deployment=name, reason=reason),
        )


def _of(recorded: RecordedStatement) -> DeploymentBinding:
    binding = recorded.statement.predicate
    assert isinstance(binding, DeploymentBinding)
    return binding


def _begins(recorded: RecordedStatement) -> tuple[datetime, str]:
    return _of(recorded).window.not_before, recorded.digest
