"""Nouns of the reference model: plain strings, whole hours and frozen tuples.

Nothing here comes from the product. An instant is a number of hours; a piece of evidence is known
by the hex SHA-256 of its payload, a key by a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Span:
    """The hours from ``begins`` on, until before ``ends``."""

    begins: int
    ends: int

    def holds(self, now: int) -> bool:
        return self.begins <= now < self.ends


# ---- What an authority publishes ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    span: Span
    active: bool = True


@dataclass(frozen=True, slots=True)
class Withdrawal:
    kind: str
    subject: str
    effective: int | None = None
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """``artifact``, ``model`` (with its provider) and ``run``: none in entries of old releases."""

    manifest: str
    suite: str
    result: str
    artifact: str | None = None
    model: str | None = None
    run: str | None = None


def artifact(model: str) -> str:
    """The digest of what every manifest of a model is of."""
    return hashlib.sha256(f"job {model}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Supersession:
    manifest: str
    by: str


@dataclass(frozen=True, slots=True)
class Documents:
    """Everything one authority publishes; ``expires`` is that of its TUF metadata."""

    keys: tuple[Key, ...]
    expires: int
    withdrawals: tuple[Withdrawal, ...] = ()
    failures: tuple[Failure, ...] = ()
    supersessions: tuple[Supersession, ...] = ()

    def with_expiry(self, expires: int) -> Documents:
        return self if self.expires == expires else replace(self, expires=expires)


# ---- What the operator says ---------------------------------------------------------------------

EVERYTHING = ("**",)


@dataclass(frozen=True, slots=True)
class Grant:
    """One role and where it holds; ``silence`` is ``denies``, ``ignored`` or the role's default."""

    role: str
    jurisdictions: tuple[str, ...] = EVERYTHING
    sectors: tuple[str, ...] = EVERYTHING
    models: tuple[str, ...] = EVERYTHING
    environments: tuple[str, ...] = EVERYTHING
    base_models: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()
    sandbox: tuple[str, ...] = ()
    silence: str | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    environments: tuple[str, ...]
    jurisdictions: tuple[str, ...] = ()
    sector: str | None = None
    roles: tuple[str, ...] = ()


@dataclass(slots=True)
class Operator:
    grants: dict[str, tuple[Grant, ...]] = field(default_factory=dict)
    floors: tuple[Floor, ...] = ()
    required_roles: tuple[str, ...] = ()
    jurisdiction_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    specified: bool = False


# ---- Evidence -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suite:
    """A declared suite of the envelope, known by its digest."""

    kind: str
    digest: str
    jurisdiction: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """An environment pattern a manifest was made for."""

    pattern: str
    jurisdictions: tuple[str, ...]
    sector: str
    purpose: str
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    environment: str
    jurisdictions: tuple[str, ...]
    sector: str
    purpose: str
    base_models: tuple[str, ...]
    span: Span
    tuning_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Specification:
    """What a customer declares before a model is tuned; ``extends`` is an older one's digest."""

    models: tuple[str, ...]
    places: tuple[Place, ...]
    suites: tuple[Suite, ...]
    span: Span
    extends: str | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A regulator excuses one rule of the policies for an environment, and nothing else."""

    environment: str
    rule: str
    jurisdiction: str
    span: Span


@dataclass(frozen=True, slots=True)
class Manifest:
    model: str
    base: str
    parent: str | None
    supersedes: str | None
    corpora: tuple[str, ...]
    evaluations: tuple[str, ...]
    graders: tuple[str, ...]
    used: tuple[str, ...]
    run: str
    suites: tuple[Suite, ...]
    places: tuple[Place, ...]
    required: tuple[str, ...]
    span: Span
    specification: str | None = None
    shutdown: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    model: str
    manifest: str
    outcome: str
    suites: tuple[Suite, ...]
    score: float
    span: Span


@dataclass(frozen=True, slots=True)
class Approval:
    model: str
    manifest: str
    role: str
    jurisdictions: tuple[str, ...]
    environments: tuple[str, ...]
    operations: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Binding:
    deployment: str
    model: str
    manifest: str | None
    span: Span


Content = Declaration | Specification | Waiver | Manifest | Result | Approval | Binding

RUN_BEGAN = -900
"""The hour at which every tuning run began."""

KIND_OF: dict[type, str] = {
    Declaration: "environment",
    Specification: "specification",
    Waiver: "waiver",
    Manifest: "manifest",
    Result: "result",
    Approval: "approval",
    Binding: "deployment-binding",
}
"""The withdrawal kind under which each piece of evidence is withdrawn by its digest."""


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of evidence: its digest, what it states, and the keys that signed it."""

    digest: str
    content: Content
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """May this environment use this model (or deployment), and ``others``, in this operation?

    ``tunes``: they would be tuned, under the specification of this digest. ``sandbox``: over the
    route on which models need not be active yet. ``modelless``: the operation can reach no model,
    and only the environment is asked about.
    """

    environment: str
    model: str
    operation: str = "chat.completions"
    deployment: str | None = None
    others: tuple[str, ...] = ()
    tunes: str | None = None
    sandbox: bool = False
    modelless: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that the call names."""
        return () if self.modelless else (self.deployment or self.model, *self.others)


# ---- The whole ----------------------------------------------------------------------------------


@dataclass(slots=True)
class World:
    """What the gate has: the operator's file, views of authorities, a folder, its own memory.

    Attributes:
        provider: Provider of every model.
        credentials: Environment → the authority that vouches for its credential.
        published: Authority → what it publishes now.
        views: Authority → what this gate verified last; never removed.
        heard: Authorities that were heard since this gate started.
        files: Every file in the folder: an item as signed in that file.
        items: The files merged, as ``merge`` last did.
        of_kind: What ``items`` state → those that state it, in their order.
        replaced: (environment, manifest digest): replaced by a complete successor, for ever.
        memory: Every item that was ever verified, with every signature seen.
        withdrawn: Every item that was there when somebody withdrew it by its digest.
        declared: (environment, author, sector, jurisdiction) of every declaration ever verified.
    """

    operator: Operator = field(default_factory=Operator)
    credentials: dict[str, str] = field(default_factory=dict)
    published: dict[str, Documents] = field(default_factory=dict)
    views: dict[str, Documents] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    files: list[Item] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    of_kind: dict[type, list[Item]] = field(default_factory=dict)
    replaced: set[tuple[str, str]] = field(default_factory=set)
    memory: dict[str, Item] = field(default_factory=dict)
    withdrawn: dict[str, Item] = field(default_factory=dict)
    declared: set[tuple[str, str, str, str]] = field(default_factory=set)

    def merge(self) -> None:
        """Make one item per digest of the files, with every signature that any file holds."""
        found: dict[str, Item] = {}
        for file in self.files:
            known = found.setdefault(file.digest, file)
            if not file.keys <= known.keys:
                found[file.digest] = Item(file.digest, file.content, known.keys | file.keys)
        self.items = list(found.values())
        self.of_kind = {}
        for item in self.items:
            self.of_kind.setdefault(type(item.content), []).append(item)


@lru_cache(maxsize=1 << 16)
def covers(patterns: tuple[str, ...], name: str) -> bool:
    """Tell whether a pattern covers the name: ``*`` within a segment, ``**`` across segments."""
    return any(_covers(pattern, name) for pattern in patterns)


def _covers(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern == name and name != ""
    head, _, tail = pattern.partition("*")
    if not name.startswith(head):
        return False
    across = tail.startswith("*")
    rest, tail = name[len(head) :], tail[1:] if across else tail
    if tail == "":
        return across or "/" not in rest
    return any(
        _covers(tail, rest[at:]) for at in range(len(rest) + 1) if across or "/" not in rest[:at]
    )


def failed(failure: Failure, item: Item) -> bool:
    """Whether a failure is of the model of a manifest, be it under this manifest or another."""
    made = item.content
    assert isinstance(made, Manifest)
    return (
        failure.manifest == item.digest
        or failure.artifact == artifact(made.model)
        or (failure.model, failure.run) == (f"openai/{made.model}", made.run)
    )
