"""Defines what is remembered so that losing a file undoes nothing.

Evidence only adds agreement, so losing a file may only deny. Facts in evidence that work against
agreement are therefore remembered once seen, such as that a manifest took over from the one it
supersedes, or that an environment was declared for a jurisdiction. ``trust_state.build`` adds to
the memory; the control path persists it and hands it to the next build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

from pydantic import AwareDatetime, ConfigDict, Field

from sidecar.core import wire
from sidecar.core.documents import WithdrawalKind
from sidecar.core.reasons import EvidenceError
from sidecar.core.wire import WIRE, Hex64, Name

MAX_MEMORY_BYTES = 256 << 20
_MAX_ENTRIES = 1_000_000


class LineageNode(NamedTuple):
    """Something a decision relies on, named as a withdrawal would name it."""

    kind: WithdrawalKind
    subject: str


@dataclass(frozen=True, slots=True, order=True)
class Takeover:
    """That ``by`` took over from ``manifest`` (payload digests) in one environment, for good."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    manifest: Hex64
    by: Hex64
    environment: Name


@dataclass(frozen=True, slots=True, order=True)
class Successor:
    """What the lineage of a superseding manifest named.

    Attributes:
        manifest: The digest of the superseded manifest.
        by: The digest of the one that supersedes it.
        signers: Authority and key fingerprint of each signature under ``by``.
        nodes: Everything that ``by`` and its parents name, sorted.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    manifest: Hex64
    by: Hex64
    signers: Annotated[tuple[tuple[Name, Name], ...], Field(max_length=_MAX_ENTRIES)]
    nodes: Annotated[tuple[LineageNode, ...], Field(max_length=_MAX_ENTRIES)]


@dataclass(frozen=True, slots=True, order=True)
class Statements:
    """Digests of the approvals and results about a manifest that others build on."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    manifest: Hex64
    nodes: Annotated[tuple[LineageNode, ...], Field(max_length=_MAX_ENTRIES)]


@dataclass(frozen=True, slots=True, order=True)
class WithdrawnStatement:
    """A statement on a matter that some authority withdrew by its digest while it was known.

    Attributes:
        kind: Under which it was withdrawn.
        digest: Of its payload.
        author: One that signed it.
        matter: What it is about, as RFC 8785 canonical JSON.
        began: When its window began.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: WithdrawalKind
    digest: Hex64
    author: Name
    matter: str
    began: AwareDatetime


@dataclass(frozen=True, slots=True, order=True)
class DeclaredScope:
    """That ``author`` once declared the environment for one sector and jurisdiction."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    environment: Name
    author: Name
    sector: Name
    jurisdiction: Name


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered; every tuple is sorted and without repeats.

    ``adapted`` holds ``provider/id`` of models that have a manifest: without it, losing the
    manifest's file could make an adapted model pass as a base model. ``withdrawn`` keeps a
    withdrawal's reach to its author's older statements when the withdrawn one's file is lost.
    ``declared`` keeps an environment's objectors when it is declared again without them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:memory:v1"] = "urn:admissibility:memory:v1"
    takeovers: Annotated[tuple[Takeover, ...], Field(max_length=_MAX_ENTRIES)] = ()
    successors: Annotated[tuple[Successor, ...], Field(max_length=_MAX_ENTRIES)] = ()
    statements: Annotated[tuple[Statements, ...], Field(max_length=_MAX_ENTRIES)] = ()
    adapted: Annotated[tuple[Name, ...], Field(max_length=_MAX_ENTRIES)] = ()
    withdrawn: Annotated[tuple[WithdrawnStatement, ...], Field(max_length=_MAX_ENTRIES)] = ()
    declared: Annotated[tuple[DeclaredScope, ...], Field(max_length=_MAX_ENTRIES)] = ()
    critical: tuple[str, ...] = ()

    def write(self) -> bytes:
        """Write it as RFC 8785 canonical JSON."""
        return wire.write(self)


class Remembered(Protocol):
    """What is remembered, in whatever form it is held; see ``Memory``."""

    @property
    def takeovers(self) -> tuple[Takeover, ...]:
        """Every take-over, sorted."""
        ...

    @property
    def successors(self) -> tuple[Successor, ...]:
        """What the lineage of each superseding manifest named, sorted."""
        ...

    @property
    def statements(self) -> tuple[Statements, ...]:
        """Approvals and results about manifests that others build on, sorted."""
        ...

    @property
    def adapted(self) -> tuple[str, ...]:
        """``provider/id`` of models that have a manifest, sorted."""
        ...

    @property
    def withdrawn(self) -> tuple[WithdrawnStatement, ...]:
        """Statements that were withdrawn by digest, sorted."""
        ...

    @property
    def declared(self) -> tuple[DeclaredScope, ...]:
        """What each environment was ever declared for, sorted."""
        ...

    def write(self) -> bytes:
        """Write it as RFC 8785 canonical JSON; see ``Memory.write``."""
        ...


NOTHING = Memory()


def read(data: bytes) -> Memory:
    """Read what ``Memory.write`` wrote.

    Raises:
        EvidenceError: Malformed or larger than ``MAX_MEMORY_BYTES``; the state folder is damaged.
    """
    held = wire.read(Memory, data, max_bytes=MAX_MEMORY_BYTES, what="memory")
    # Fields have defaults for the writer; without this check ``{}`` would read as an empty memory.
    if held.write() != data:
        raise EvidenceError("memory: not the canonical JSON that a gate writes")
    return held
