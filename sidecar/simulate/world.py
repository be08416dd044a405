"""The world of a history: authorities, a folder of evidence, a gate, and the time.

The gate does what the control path does. It reads every authority whose mirror answers and keeps
the last verified view of every other one, through restarts; it forgets nothing that evidence
showed once. Only the operator ends a view, by taking the last grant away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.grants import CUSTOMER, Floor, Grant, OperatorTrust
from sidecar.core.memory import NOTHING, Remembered
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView, TrustState
from sidecar.core.spiffe_id import check_spiffe_id
from sidecar.core.trust_state import build
from sidecar.providers import ADAPTED_NAMES, PROVIDERS
from sidecar.providers.provider import NameKind
from sidecar.simulate.entries import EnvironmentEntry, FloorEntry, GrantEntry, QuestionEntry
from sidecar.simulate.history_file import History, HistoryError
from sidecar.simulate.party import EvidenceFile, Party

STEP = timedelta(minutes=1)
"""Time that every step takes, so that a later statement begins later."""


@dataclass(slots=True)
class SimulatedGate:
    """A gate's state: views, authorities heard since its start, memory and trust state."""

    views: dict[str, AuthorityView] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    memory: Remembered = NOTHING
    state: TrustState | None = None
    epoch: int = 0


@dataclass(slots=True)
class World:
    """Everything a history changes.

    Attributes:
        history: What is played.
        now: The time.
        parties: Authorities by name.
        operator: Grants, floors and required roles as they are now.
        environments: Name → how it was first declared, with its SPIFFE ID.
        files: The folder: payload digest → file.
        lost: Files that were taken out of the folder, the last one last.
        manifests: Name → the manifest's file.
        subjects: Name of a corpus, suite or run → the subject by which it is withdrawn.
        hanging: Authorities whose mirror hangs.
        silent: Authorities that sign no new timestamp.
    """

    history: History
    now: datetime
    parties: dict[str, Party]
    operator: OperatorTrust
    environments: dict[str, EnvironmentEntry]
    files: dict[str, EvidenceFile] = field(default_factory=dict)
    lost: list[EvidenceFile] = field(default_factory=list)
    manifests: dict[str, EvidenceFile] = field(default_factory=dict)
    subjects: dict[tuple[str, str], str] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    gate: SimulatedGate = field(default_factory=SimulatedGate)

    @classmethod
    def of(cls, history: History) -> World:
        """Return the world before anything was signed.

        Raises:
            HistoryError: An environment's customer is unknown or not granted it.
        """
        settings = history.settings
        operator = OperatorTrust(
            {name: granted(name, entries) for name, entries in settings.authorities.items()},
            settings.required_roles,
            dict(settings.jurisdiction_roles),
            floors(settings.floors),
            ADAPTED_NAMES,
        )
        parties = {name: Party.new(name, settings.start) for name in settings.authorities}
        environments = {
            name: _environment(history, name, entry)
            for name, entry in settings.environments.items()
        }
        return cls(history, settings.start, parties, operator, environments)

    def put(self, file: EvidenceFile) -> None:
        """Put a file into the folder; signatures of one payload add up."""
        known = self.files.get(file.digest)
        if known is not None:
            ids = {keyid for keyid, _ in file.signatures}
            kept = tuple(each for each in known.signatures if each[0] not in ids)
            file = replace(known, signatures=(*kept, *file.signatures))
        self.files[file.digest] = file

    def refresh(self) -> None:
        """Let the gate read every authority that answers, and build its next trust state."""
        heartbeat = self.history.settings.heartbeat
        for name, party in self.parties.items():
            if name not in self.silent:
                party.publish(self.now, heartbeat)
            if name not in self.hanging and name in self.operator.grants:
                self.gate.views[name] = party.view(self.now)
                self.gate.heard.add(name)
        self.gate.epoch += 1
        self.gate.state = build(
            epoch=self.gate.epoch,
            operator=self.operator,
            views=[
                replace(view, heard_since_start=name in self.gate.heard)
                for name, view in self.gate.views.items()
            ],
            evidence=[file.envelope for file in self.files.values()],
            memory=self.gate.memory,
        )
        self.gate.memory = self.gate.state.memory

    def ask(self, question: QuestionEntry) -> Assessment:
        """Assess one question now, against the gate's trust state."""
        if self.gate.state is None:
            raise ValueError("the gate has read nothing yet")
        environment = self.environments[question.environment]
        call = self._call(question)
        spiffe_id = environment.id or ""
        credential = Credential(
            spiffe_id=spiffe_id,
            trust_domain=check_spiffe_id(spiffe_id),
            kind="x509-svid",
            expires=self.now + timedelta(hours=1),
            authority=environment.by,
        )
        return assess(call, credential, self.gate.state, self.now)

    def _call(self, question: QuestionEntry) -> Call:
        """Return the call of a question; a model's name is read as the gate reads it in a request.

        Raises:
            HistoryError: It is the name of a router, which the gate refuses.
        """
        provider = self.history.settings.provider
        table = PROVIDERS.get(provider)
        if question.deployment is not None:
            name = question.deployment
            return Call(provider, question.operation, (name,), deployments=(name,))
        name = self.model(question.model or "")
        if table is None:
            return Call(provider, question.operation, (name,))
        models = table.named(name)
        kinds = {each: table.names(each) for each in models}
        if NameKind.CHOOSER in kinds.values():
            raise HistoryError(1, f"questions: {name} is a router that chooses models; name one")
        deployments = tuple(each for each in models if kinds[each] is NameKind.DEPLOYMENT)
        return Call(provider, question.operation, models, deployments=deployments)

    def model(self, name: str) -> str:
        """Return the model id of a manifest's name; any other text is a model id already."""
        file = self.manifests.get(name)
        return name if file is None else self.subjects["model", name]


def floors(entries: tuple[FloorEntry, ...]) -> tuple[Floor, ...]:
    """Return the operator's floors."""
    return tuple(
        Floor(entry.environments, entry.jurisdictions, entry.roles, entry.sector)
        for entry in entries
    )


def granted(name: str, entries: tuple[GrantEntry, ...]) -> tuple[Grant, ...]:
    """Return an authority's grants; a customer's include the trust domain of its name."""
    return tuple(
        Grant(
            role=entry.role,
            jurisdictions=entry.jurisdictions,
            sectors=entry.sectors,
            models=entry.models,
            environments=entry.environments,
            base_models=entry.base_models,
            trust_domains=entry.trust_domains
            or ((f"{name}.example",) if entry.role == CUSTOMER else ()),
            sandbox=entry.sandbox,
            of_record=entry.of_record,
            silence=entry.silence,
        )
        for entry in entries
    )


def _environment(history: History, name: str, entry: EnvironmentEntry) -> EnvironmentEntry:
    line = history.line("environments", name)
    if entry.by not in history.settings.authorities:
        known = ", ".join(history.settings.authorities)
        raise HistoryError(line, f"{entry.by!r} is not an authority; expected one of {known}")
    spiffe_id = entry.id or f"spiffe://{entry.by}.example/env/{name}"
    try:
        check_spiffe_id(spiffe_id)
    except EvidenceError as error:
        raise HistoryError(line, f"{spiffe_id!r} is {error}") from error
    return entry.model_copy(update={"id": spiffe_id})
