"""The real predicate under the same histories: signed bytes in, a trust state, answers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, lru_cache

from sidecar.core import memory
from sidecar.core.assess import admissible, assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.documents import (
    AuthorityDocument,
    WithdrawalsDocument,
    read_authority,
    read_withdrawals,
)
from sidecar.core.grants import Floor, Grant, OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.memory import NOTHING, Remembered
from sidecar.core.proving import prove
from sidecar.core.snapshot import AuthorityView, Rejected, TrustState
from sidecar.core.trust_state import Change, VerifiedState, advance
from sidecar.core.verification import VerifiedFile, verify_file
from sidecar.providers import ADAPTED_NAMES
from tests.support.laws import nouns, payloads
from tests.support.laws.history import Run
from tests.support.laws.policies import Policy
from tests.support.simulator.predicates import sha


@dataclass(slots=True)
class Gate:
    """A gate's trust state over a history, advanced by what each step changes.

    Attributes:
        epoch: Of the newest state.
        verified: What the next step starts from.
        state: The newest state.
        views: As of the newest state.
        files: As of the newest state, by file digest.
        remembered: What was remembered before the newest step.
        junk: Files that are no envelopes.
        asked: The operator's file as last read.
        seen: What each view was made of.
        change: The newest step's.
    """

    epoch: int = 0
    verified: VerifiedState | None = None
    state: TrustState | None = None
    views: dict[str, AuthorityView] = field(default_factory=dict)
    files: dict[str, VerifiedFile] = field(default_factory=dict)
    remembered: Remembered = NOTHING
    junk: tuple[Rejected, ...] = ()
    asked: nouns.Operator | None = None
    seen: dict[str, tuple[nouns.Documents, bool, AuthorityView]] = field(default_factory=dict)
    change: Change = field(default_factory=Change)

    def take(self, run: Run) -> None:
        """Advance the trust state to what the control path has now."""
        self.epoch += 1
        if self.verified is None or self.asked != run.world.operator:
            # The operator's configuration is read at the start: a gate is started anew for it.
            kept = NOTHING if self.verified is None else self.verified.memory
            self.asked = replace(run.world.operator, grants=dict(run.world.operator.grants))
            self.verified = VerifiedState.begin(_operator(self.asked), kept)
            self.views, self.files = {}, {}
        self.remembered = self.verified.memory
        views = {
            name: self._view(name, view, name in run.world.heard)
            for name, view in run.world.views.items()
        }
        files = {file.file_digest: file for file in _files(run)}
        change = Change(
            {name: views.get(name) for name in {*views, *self.views}},
            tuple(file for digest, file in files.items() if self.files.get(digest) != file),
            tuple(self.files.keys() - files.keys()),
        )
        self.views, self.files = views, files
        self.change = change
        self.verified = advance(self.verified, change)
        junk = (Rejected(sha(f"junk {n}"), "not an envelope") for n in range(run.junk))
        self.junk = tuple(junk)
        self.state = self.verified.snapshot(self.epoch, self.junk)

    def _view(self, name: str, documents: nouns.Documents, heard: bool) -> AuthorityView:
        """Return the view of an authority: the same one for as long as it publishes the same."""
        seen = self.seen.get(name)
        if seen is None or seen[0] is not documents or seen[1] is not heard:
            seen = self.seen[name] = (documents, heard, _view(name, documents, heard))
        return seen[2]

    def restart(self) -> None:
        """Begin anew with nothing but what was written of the memory."""
        if self.verified is not None:
            kept = memory.read(self.verified.memory.write())
            self.verified = VerifiedState.begin(self.verified.operator, kept)
            self.views, self.files = {}, {}

    def ask(self, run: Run, question: nouns.Question) -> Assessment:
        """Assess one question now."""
        assert self.state is not None
        return assess(*self._inquiry(run, question), self.state, payloads.instant(run.now))

    def allowed(
        self, run: Run, question: nouns.Question, first: Assessment, policy: Policy
    ) -> bool:
        """Whether a policy allows anything by which the predicate admits a question now.

        It is asked about the ``first`` answer, and searched for others as a gate does: if denied.
        """
        assert self.state is not None
        call, credential = self._inquiry(run, question)
        if policy.allows(prove(call, credential, first, "", "")):
            return True
        found = admissible(call, credential, self.state, payloads.instant(run.now))
        return any(policy.allows(prove(call, credential, each, "", "")) for each in found)

    @staticmethod
    def _inquiry(run: Run, question: nouns.Question) -> tuple[Call, Credential]:
        tunes = question.tunes is not None
        call = Call(
            "openai",
            question.operation,
            () if tunes else question.names,
            tuned=question.names if tunes else (),
            deployments=(question.deployment,) if question.deployment else (),
            specification=question.tunes,
            modelless=question.modelless,
            sandbox=question.sandbox,
        )
        credential = Credential(
            spiffe_id=question.environment,
            trust_domain=question.environment.removeprefix("spiffe://").partition("/")[0],
            kind="jwt-svid",
            expires=payloads.instant(run.now) + timedelta(hours=1),
            authority=run.world.credentials[question.environment],
        )
        return call, credential


def _files(run: Run) -> Iterable[VerifiedFile]:
    for item in run.world.files:
        at = item.digest, item.keys  # far quicker to look up than all that the item states
        if at not in _VERIFIED:
            if len(_VERIFIED) == payloads.KEPT:
                _VERIFIED.clear()
            _VERIFIED[at] = _verified(item.content, item.keys)
        yield _VERIFIED[at]


_VERIFIED: dict[tuple[str, frozenset[str]], VerifiedFile] = {}


def _verified(content: nouns.Content, keys: frozenset[str]) -> VerifiedFile:
    """A real envelope, really verified, once for all histories in which it is the same."""
    pool = [PublicKey.from_pem(payloads.pem(name)) for name in keys]
    return verify_file(payloads.signed(content, keys), pool)


@lru_cache(maxsize=1 << 12)
def _view(name: str, documents: nouns.Documents, heard: bool) -> AuthorityView:
    return AuthorityView(
        name=name,
        document=_authority(name, documents.keys),
        withdrawals=_withdrawals(payloads.withdrawals_json(documents)),
        expires=payloads.instant(documents.expires),
        version=1,
        heard_since_start=heard,
    )


@lru_cache(maxsize=1 << 12)
def _authority(name: str, keys: tuple[nouns.Key, ...]) -> AuthorityDocument:
    return read_authority(payloads.authority_json(name, keys), name=name)


@lru_cache(maxsize=1 << 12)
def _withdrawals(data: bytes) -> WithdrawalsDocument:
    return read_withdrawals(data)


def _operator(operator: nouns.Operator) -> OperatorTrust:
    return OperatorTrust(
        {
            name: tuple(_grant(grant) for grant in theirs)
            for name, theirs in operator.grants.items()
        },
        operator.required_roles,
        operator.jurisdiction_roles,
        tuple(
            Floor(each.environments, each.jurisdictions, each.roles, each.sector)
            for each in operator.floors
        ),
        ADAPTED_NAMES,
        operator.specified,
    )


@cache
def _grant(grant: nouns.Grant) -> Grant:
    return Grant(
        role=grant.role,
        jurisdictions=grant.jurisdictions,
        sectors=grant.sectors,
        models=grant.models,
        environments=grant.environments,
        base_models=grant.base_models,
        trust_domains=grant.trust_domains,
        sandbox=grant.sandbox,
        silence=grant.silence,  # type: ignore[arg-type]
    )
