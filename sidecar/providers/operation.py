"""Defines one row of a provider's table of operations.

A row states everything that the gate needs to know about an operation. The code that reads rows is
the same for all of them (``router``, ``json_paths``, ``extractor``), so an operation is added by
adding its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from sidecar.providers.error_shapes import ErrorShape
from sidecar.providers.json_paths import Meaning, PathNode, Role, compile_paths

MAIN = frozenset(
    {
        "model",
        "modelId",
        "baseModelIdentifier",
        "baseModel",
        "base_model",
        "preTunedModel.tunedModelName",
        "preTunedModel.tuned_model_name",
        "pre_tuned_model.tunedModelName",
        "pre_tuned_model.tuned_model_name",
        "model in the query",
        "deployment in the query",
        "{model} in the path",
        "{deployment} in the path",
    }
)
"""Places that name the operation's main model; those of one request must be equal."""

_IN_PATH = re.compile(r"\{(?:model|deployment)(?:=[^}]*)?\}")


class Kind(Enum):
    """How the predicate treats an operation."""

    CALL = "runs or reads the models it names"
    TUNING = "makes a new model of the one it names"
    MODELLESS = "can neither name nor reach a model"


class Body(Enum):
    """How the gate treats a request's body."""

    NONE = "there must be none"
    READ = "read, in the forms that the row has places for"
    UNREAD = "may be there; holds nothing that could name a model"
    STREAMED = "passes Envoy unbuffered, so it never reaches the gate"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row.

    Attributes:
        name: Its name in manifests, approvals and policies.
        method: HTTP method.
        route: Path. ``{model}`` and ``{deployment}`` are segments that name what is run, ``{id}``
            is an id that is not checked, and any other name is the kind of an object that is
            stored upstream; where the operation is modelless, only its owner is asked about.
            As in google.api.http, ``{model=a/*/b/*}`` names a model by several segments, and
            ``:verb`` may end the last segment.
        reads: Places in a JSON body.
        form: Fields of a multipart body.
        query: Keys the query may have, once each; any other is refused.
        kind: See ``Kind``.
        body: See ``Body``; ``READ`` wherever there are places or fields.
        texts: Paths where a string may replace a list or an object.
        closed: Whether a key whose name could be that of a model or an adapter is refused at any
            depth, not only at the top, unless the row has it. So are those of a tuning job.
        untyped: Whether a body without Content-Type is JSON, as the provider documents.
        creates: The kind of object that the response names; ``None`` if later calls cannot use it.
        named_at: Key of the response that names the created object, as an id or a resource name.
        also: Further objects that the response names, which are the caller's too: place and kind.
        registered: Whether it is refused with registration off, because the object that it creates
            runs later, by requests that name no model.
        updates: Kinds of stored objects to which this call adds its models.
        fetches: Whether its response is what the models of its objects made, perhaps only now; so
            they are asked about, under the operations that they were registered for.
        streams: Whether the response is always a stream.
        upgrade: Whether it is a WebSocket handshake.
        shut: Why it is refused unless the operator opens it; empty if it is open.
        never: Why it is always refused; empty if it is not.
        errors: The form of its errors, where it is not the provider's.
        tree: The places in a JSON body, compiled.
        fields: The fields of a multipart body, compiled.
        top_keys: Keys at the top of a JSON body in which something is read.
        has_main: Whether there is a place that names the operation's main model.
    """

    name: str
    method: str
    route: str
    reads: Mapping[str, Meaning] = field(default_factory=dict)
    form: Mapping[str, Meaning] = field(default_factory=dict)
    query: Mapping[str, Meaning] = field(default_factory=dict)
    kind: Kind = Kind.CALL
    body: Body = Body.NONE
    texts: frozenset[str] = frozenset()
    closed: bool = False
    untyped: bool = False
    creates: str | None = None
    named_at: str = "id"
    also: Mapping[str, str] = field(default_factory=dict)
    registered: bool = False
    updates: frozenset[str] = frozenset()
    fetches: bool = False
    streams: bool = False
    upgrade: bool = False
    shut: str = ""
    never: str = ""
    errors: ErrorShape | None = None
    tree: PathNode = field(init=False, repr=False, compare=False)
    fields: PathNode = field(init=False, repr=False, compare=False)
    top_keys: frozenset[str] = field(init=False, repr=False, compare=False)
    has_main: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the paths once."""
        object.__setattr__(self, "tree", compile_paths(self.reads))
        object.__setattr__(self, "fields", compile_paths(self.form))
        tops = (place.partition(".")[0].removesuffix("[]") for place in self.reads)
        object.__setattr__(self, "top_keys", frozenset(tops))
        asked = {f"{key} in the query" for key in self.query}
        main = MAIN & {*self.reads, *self.form, *asked}
        object.__setattr__(self, "has_main", bool(_IN_PATH.search(self.route) or main))
        if self.reads or self.form:
            object.__setattr__(self, "body", Body.READ)
        if self.kind is Kind.TUNING:
            object.__setattr__(self, "closed", True)

    @property
    def path_decides(self) -> bool:
        """Return whether the upstream takes the deployment in the path, whatever a body names."""
        return "{deployment}" in self.route

    @property
    def only_reads(self) -> bool:
        """Return whether no key of its query could make the upstream run a model."""
        makes_nothing = self.kind is Kind.MODELLESS and self.creates is None
        return (makes_nothing or self.method in {"GET", "DELETE"}) and not self.upgrade


def modelless(
    name: str,
    method: str,
    route: str,
    *query: str,
    body: Body = Body.NONE,
    creates: str | None = None,
    also: Mapping[str, str] | None = None,
    reads: Mapping[str, Meaning] | None = None,
    form: Mapping[str, Meaning] | None = None,
    fetches: bool = False,
) -> Operation:
    """Return a row that can neither name nor reach a model; closed until the operator opens it."""
    return Operation(
        name,
        method,
        route,
        reads or {},
        form=form or {},
        query=dict.fromkeys(query, Role.WORD),
        kind=Kind.MODELLESS,
        body=body,
        creates=creates,
        also=also or {},
        fetches=fetches,
        shut="it names no model, so only the environment could be asked about",
    )


def never(name: str, method: str, route: str, why: str) -> Operation:
    """Return a row that is always refused."""
    return Operation(name, method, route, body=Body.UNREAD, never=why)


def answering(errors: ErrorShape, rows: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return the rows, with this form of errors where they have none of their own."""
    return tuple(replace(row, errors=row.errors or errors) for row in rows)


def prefixed(prefix: str, rows: Iterable[Operation], *query: str) -> tuple[Operation, ...]:
    """Return the rows below another path, with the version keys ``query`` in the query."""
    version: dict[str, Meaning] = dict.fromkeys(query, Role.VERSION)
    return tuple(
        replace(row, route=prefix + row.route, query={**row.query, **version}) for row in rows
    )
