"""The entries of a history: what each mapping may hold, with the defaults that keep one short."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> object:
    """Read ``90m``, ``6h`` or ``7d``."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value[-1:] in _UNITS and value[:-1].isdigit():
        return timedelta(seconds=int(value[:-1]) * _UNITS[value[-1]])
    raise ValueError("expected a duration such as 90m, 6h or 7d")


def _instant(value: object) -> object:
    """Accept YAML's own timestamps beside RFC 3339 text."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, Mapping) else value


Text = Annotated[str, Field(min_length=1, max_length=512)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1, max_length=256)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
Expected = str | dict[str, str]
_ALL: tuple[str, ...] = ("**",)


class Entry(BaseModel):
    """A mapping of the file; keys are written with hyphens."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.rstrip("_").replace("_", "-"),
    )


# ---- What there is when a history begins ---------------------------------------------------------


class GrantEntry(Entry):
    """One role of an authority and where it holds: everywhere, unless it is narrowed."""

    role: Text
    jurisdictions: Texts = _ALL
    sectors: Texts = _ALL
    models: Texts = _ALL
    environments: Texts = _ALL
    base_models: tuple[Text, ...] = ()
    trust_domains: tuple[Text, ...] = ()
    sandbox: tuple[Text, ...] = ()
    of_record: bool = False
    silence: Literal["denies", "ignored"] | None = None


Grants = Annotated[
    tuple[GrantEntry, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=16)
]


class FloorEntry(Entry):
    """What holds in some environments, whatever their customer declares."""

    environments: Texts
    jurisdictions: tuple[Text, ...] = ()
    sector: Text | None = None
    roles: tuple[Text, ...] = ()


class EnvironmentEntry(Entry):
    """An environment that its customer declares when the history begins."""

    by: Text
    id: Text | None = None
    jurisdictions: Texts
    sector: Text = "finance"
    purpose: Text = "customer-support"
    base_models: tuple[Text, ...] = ()


class QuestionEntry(Entry):
    """A call that is assessed after every step."""

    environment: Text
    model: Text | None = None
    deployment: Text | None = None
    operation: Text = "chat.completions"

    @model_validator(mode="after")
    def _one(self) -> QuestionEntry:
        if (self.model is None) == (self.deployment is None):
            raise ValueError("expected either a model or a deployment")
        return self


class HistoryEntry(Entry):
    """The whole file."""

    title: Text
    provider: Text = "openai"
    base: Text = "gpt-4o-2024-08-06"
    start: Instant = datetime(2026, 6, 1, 12, tzinfo=UTC)
    heartbeat: Duration = timedelta(days=1)
    authorities: Annotated[dict[Text, Grants], Field(min_length=1, max_length=64)]
    required_roles: tuple[Text, ...] = ()
    jurisdiction_roles: dict[Text, Texts] = {}
    floors: tuple[FloorEntry, ...] = ()
    environments: Annotated[dict[Text, EnvironmentEntry], Field(min_length=1, max_length=64)]
    setup: Annotated[tuple[dict[str, Any], ...], Field(max_length=1000)] = ()
    questions: Annotated[dict[Text, QuestionEntry], Field(min_length=1, max_length=16)]
    expect: Expected | None = None
    steps: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=1000)]

    @field_validator("heartbeat")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if not value:
            raise ValueError("expected a duration longer than 0")
        return value


# ---- What a step may do --------------------------------------------------------------------------


class Signed(Entry):
    """A statement by an authority, in force from now, or ``in`` a while, and ``for`` a while."""

    by: Text
    in_: Duration = timedelta(0)
    for_: Duration = timedelta(days=365)

    @field_validator("for_")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if not value:
            raise ValueError("expected a duration longer than 0")
        return value


class Declare(Signed):
    """A customer declares an environment again; what is left out stays as it was first declared."""

    environment: Text
    jurisdictions: Texts | None = None
    sector: Text | None = None
    purpose: Text | None = None
    base_models: tuple[Text, ...] | None = None


class Bind(Signed):
    """A producer binds a finished job into a manifest."""

    manifest: Text
    model: Text | None = None
    parent: Text | None = None
    supersedes: Text | None = None
    corpora: tuple[Text, ...] = ()
    jurisdictions: tuple[Text, ...] = ()
    environments: tuple[Text, ...] = ()
    operations: Texts = ("chat.completions",)
    requires: Texts = ("provider",)


class Judge(Signed):
    """An evaluator countersigns a result for all or some suites of a manifest."""

    manifest: Text
    suites: tuple[Text, ...] = ()


class Approve(Signed):
    """An authority approves a manifest in a role; the one of its first grant, if none is named."""

    manifest: Text
    as_: Text | None = None
    jurisdictions: tuple[Text, ...] = ()
    operations: Texts = ("chat.completions",)


class Deploy(Signed):
    """A provider states which model a deployment runs."""

    deployment: Text
    manifest: Text | None = None
    base: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Deploy:
        if (self.manifest is None) == (self.base is None):
            raise ValueError("expected either a manifest or a base model")
        return self


class EvidenceEntry(Entry):
    """Names evidence: by manifest, or by its subject and signer, the newest first."""

    manifest: Text | None = None
    approval: Text | None = None
    result: Text | None = None
    declaration: Text | None = None
    binding: Text | None = None
    of: Text | None = None


class Withdrawable(EvidenceEntry):
    """Names what is withdrawn; ``of`` is the author of another authority's statement."""

    corpus: Text | None = None
    run: Text | None = None
    suite: Text | None = None
    model: Text | None = None
    base_model: Text | None = None
    environment: Text | None = None
    key: Text | None = None
    authority: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Withdrawable:
        if len(self.named()) != 1:
            raise ValueError("expected exactly one thing that is withdrawn, such as 'corpus: NAME'")
        return self

    def named(self) -> dict[str, str]:
        """Return what is named, by kind."""
        given = self.model_dump(exclude={"by", "of", "because", "in_"}, exclude_none=True)
        return {kind.replace("_", "-"): str(name) for kind, name in given.items()}


class Withdraw(Withdrawable):
    """An authority publishes a withdrawal, in effect at once or ``in`` a while."""

    by: Text
    because: Text = "shown to be unfit"
    in_: Duration = timedelta(0)


class TakeBack(Withdrawable):
    """An authority publishes a version without that withdrawal, or without a suite's failure."""

    by: Text
    failure: Text | None = None


class Rotate(Entry):
    """An authority replaces its attestation key, at once or after an overlap."""

    authority: Text
    overlap: Duration | None = None


class Resign(Entry):
    """An authority adds its current key's signature to everything it signed."""

    by: Text


class Regrant(Entry):
    """The operator changes what an authority is granted; nothing, where no grants are given."""

    authority: Text
    grants: Grants | None = None
