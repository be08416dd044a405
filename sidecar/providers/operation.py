"""One row of a provider's table of operations.

A row holds everything that the gate needs to know about an operation. The code that reads rows is
the same for all of them (``router``, ``json_paths``, ``extractor``), so an operation is added by
adding its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from sidecar.providers.json_paths import Node, Role, What, compile_places

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
"""Places that say which model the operation as a whole is for; those of one request agree."""

_IN_PATH = re.compile(r"\{(?:model|deployment)(?:=[^}]*)?\}")


class Kind(Enum):
    """What an operation is to the predicate."""

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
        name: As manifests, approvals and policies call it.
        method: HTTP method.
        route: Path. ``{model}`` and ``{deployment}`` stand for a segment that names what is run,
            ``{id}`` for one that names nothing of interest, any other word for an object that is
            stored upstream, of that kind. As in google.api.http, ``{model=a/*/b/*}`` names a model
            by several segments, and ``:verb`` may end the last segment.
        reads: Places in a JSON body.
        form: Fields of a multipart body.
        query: Keys the query may have, once each; any other is refused.
        kind: See ``Kind``.
        body: See ``Body``; ``READ`` wherever there are places or fields.
        texts: Places where a string may stand for a list.
        untyped: Whether a body without Content-Type is JSON, as the provider says it is to itself.
        creates: The kind of object that the answer names, if it may hold models later.
        registered: Whether it is refused where registration is off, because what it makes runs
            again by requests that name no model.
        feeds: Kinds of stored objects that take this call up, and so come to reach its models.
        streams: Whether the answer is a stream without being asked to be one.
        upgrade: Whether it begins a WebSocket.
        shut: Why it is refused unless the operator opens it; empty where it is open.
        never: Why it is refused always; empty where it is not.
    """

    name: str
    method: str
    route: str
    reads: Mapping[str, What] = field(default_factory=dict)
    form: Mapping[str, What] = field(default_factory=dict)
    query: Mapping[str, What] = field(default_factory=dict)
    kind: Kind = Kind.CALL
    body: Body = Body.NONE
    texts: frozenset[str] = frozenset()
    untyped: bool = False
    creates: str | None = None
    registered: bool = False
    updates: frozenset[str] = frozenset()
    streams: bool = False
    upgrade: bool = False
    shut: str = ""
    never: str = ""
    tree: Node = field(init=False, repr=False, compare=False)
    fields: Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the places once."""
        object.__setattr__(self, "tree", compile_places(self.reads))
        object.__setattr__(self, "fields", compile_places(self.form))
        if self.reads or self.form:
            object.__setattr__(self, "body", Body.READ)

    @property
    def has_main(self) -> bool:
        """Whether the row has a place that says which model the operation as a whole is for."""
        asked = {f"{key} in the query" for key in self.query}
        return bool(_IN_PATH.search(self.route) or MAIN & {*self.reads, *self.form, *asked})


def modelless(
    name: str,
    method: str,
    route: str,
    *query: str,
    body: Body = Body.NONE,
    creates: str | None = None,
) -> Operation:
    """A row for what can neither name nor reach a model; shut until the operator opens it."""
    return Operation(
        name,
        method,
        route,
        query=dict.fromkeys(query, Role.WORD),
        kind=Kind.MODELLESS,
        body=body,
        creates=creates,
        shut="it names no model, so only the environment could be asked about",
    )


def never(name: str, method: str, route: str, why: str) -> Operation:
    """A row for what is known and refused."""
    return Operation(name, method, route, body=Body.UNREAD, never=why)


def prefixed(prefix: str, rows: Iterable[Operation], *query: str) -> tuple[Operation, ...]:
    """The same rows below another path, with a version in the query if ``query`` names its key."""
    version: dict[str, What] = dict.fromkeys(query, Role.VERSION)
    return tuple(
        replace(row, route=prefix + row.route, query={**row.query, **version}) for row in rows
    )
