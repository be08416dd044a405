r"""Matches the raw path to an operation, decoding only ids, exactly once.

Envoy passes ``..%2f``, ``//``, ``;x``, ``%63``, ``/../`` and ``\`` through unchanged, and each
upstream interprets them differently. So a path is either exactly a route of the table, or another
path without special characters (refused by name), or it is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from urllib.parse import unquote

from sidecar.core.refusals import malformed, unsupported
from sidecar.extract.query import queried
from sidecar.providers import PROVIDERS
from sidecar.providers.error_shapes import OPENAI, ErrorShape
from sidecar.providers.json_paths import FoundValue, Meaning, Owned, Role, Stored
from sidecar.providers.operation import Kind, Operation
from sidecar.providers.provider import Provider

_METHOD = re.compile(r"[A-Z]{1,16}")
_SPECIAL = re.compile(r"[^A-Za-z0-9._~:@,=+-]")
_MAX_SEGMENT_CHARS = 512
_ENCODED = re.compile(r"(?:[A-Za-z0-9._:@-]|%[0-9A-Fa-f]{2}){1,1024}")
_PATH_MODEL = re.compile(r"[A-Za-z0-9._:@-]{1,512}")
_PATH_ARN = re.compile(r"arn:[a-z0-9-]{1,32}:[A-Za-z0-9._:/@-]{1,512}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_NAMING = frozenset({"model", "deployment"})
_RESOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_SEGMENT = re.compile(r"/((?:\{[^}]*\}|[^/{}])+)")
_PARAMETER = re.compile(r"\{(?P<name>\w+)(?:=(?P<path>[^}]+))?\}(?::(?P<verb>\w+))?")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a route.

    Attributes:
        literal: The text that it must equal; empty for a parameter.
        name: Name of the parameter that it belongs to; empty for none.
        verb: The text after a colon at its end (google.api.http); empty for none.
        part: Whether the parameter has further segments.
        ends: Whether it is the parameter's last segment.
    """

    literal: str = ""
    name: str = ""
    verb: str = ""
    part: bool = False
    ends: bool = False


@cache
def segments_of(route: str) -> tuple[Segment, ...]:
    """Return the segments of a row's route, with ``{name=a/*}`` split."""
    found: list[Segment] = []
    for text in _SEGMENT.findall(route):
        parameter = _PARAMETER.fullmatch(text)
        if parameter is None:
            found.append(Segment(text))
            continue
        name, verb = parameter["name"], parameter["verb"] or ""
        *before, last = (parameter["path"] or "*").split("/")
        part = bool(before)
        found += [Segment("" if each == "*" else each, name, part=True) for each in before]
        found.append(Segment("" if last == "*" else last, name, verb, part, ends=True))
    return tuple(found)


@dataclass(slots=True)
class _Step:
    literal: dict[str, _Step] = field(default_factory=dict)
    verbs: dict[str, _Step] = field(default_factory=dict)
    parameter: _Step | None = None
    rows: dict[str, Operation] = field(default_factory=dict)

    def below(self, segment: Segment) -> _Step:
        """Return the step for a segment of a route, added if it is new."""
        if segment.literal:
            return self.literal.setdefault(segment.literal, _Step())
        if segment.verb:
            return self.verbs.setdefault(segment.verb, _Step())
        self.parameter = self.parameter or _Step()
        return self.parameter

    def find(self, text: str) -> _Step | None:
        """Return the step for a segment of a request: a literal of the table is never an id."""
        if text in self.literal:
            return self.literal[text]
        stem, colon, verb = text.rpartition(":")
        if colon and stem and verb in self.verbs:
            return self.verbs[verb]
        return self.parameter if text else None


class Routes:
    """The routes of one table, as a tree of segments."""

    def __init__(self, api: Provider) -> None:
        self.api = api
        self._root = _Step()
        for row in api.operations:
            step = self._root
            for segment in segments_of(row.route):
                step = step.below(segment)
            if row.method in step.rows:
                raise ValueError(f"{row.method} {row.route} is in the table twice")
            step.rows[row.method] = row

    def match(self, method: str, path: str) -> tuple[Operation, tuple[FoundValue, ...]]:
        """Find the operation, and the values that path and query name.

        Args:
            method: HTTP method as sent.
            path: Raw path and query as sent.

        Raises:
            AdmissibilityError: ``malformed_request`` outside the grammar, ``ambiguous_model`` for
                a query that names a model where the operation reads none,
                ``unsupported_operation`` for everything the table does not have.
        """
        route, mark, query = path.partition("?")
        if not _METHOD.fullmatch(method) or not route.startswith("/"):
            raise malformed(
                "the method must be capital letters, and the target a path that begins with /"
            )
        segments = route.split("/")[1:]
        rows = self._rows(segments)
        operation = rows.get(method)
        if operation is None:
            if route != "/" and not rows:
                for number, segment in enumerate(segments, 1):
                    _check_plain(segment, number)
            raise unsupported(
                f"{method} {route[:200]} is not in the gate's table of operations for this route"
                + _hint(self, method, route, rows)
            )
        found = self._parameters(operation, segments)
        return operation, (*found, *(queried(operation, query) if mark else ()))

    def row(self, method: str, path: str) -> Operation | None:
        """Return the row of a raw path and query; ``None`` if the table has none."""
        return self._rows(path.partition("?")[0].split("/")[1:]).get(method)

    def _rows(self, segments: list[str]) -> Mapping[str, Operation]:
        step = self._root
        for segment in segments:
            below = step.find(segment)
            if below is None:
                return {}
            step = below
        return step.rows

    def _parameters(self, operation: Operation, segments: list[str]) -> list[FoundValue]:
        found: list[FoundValue] = []
        parts: list[str] = []
        pairs = zip(segments_of(operation.route), segments, strict=True)
        for number, (want, text) in enumerate(pairs, 1):
            if not want.name:
                continue
            given = text.removesuffix(f":{want.verb}") if want.verb else text
            where = f"{{{want.name}}} in the path"
            if want.part:
                if not _RESOURCE.fullmatch(given):
                    raise malformed(
                        f"path segment {number}: a resource name has only letters, digits and"
                        " . _ @ -, unescaped"
                    )
                parts.append(given)
                if want.ends:
                    found.append(FoundValue(Role.MODEL, "/".join(parts), where))
            elif want.name in _NAMING:
                found.append(FoundValue(Role.MODEL, self._decoded(given, number), where))
            else:
                identity = self._identity(given, number)
                if want.name != "id":
                    owned = operation.kind is Kind.MODELLESS
                    role: Meaning = Owned(want.name) if owned else Stored(want.name)
                    found.append(FoundValue(role, identity, where))
        return found

    def _identity(self, segment: str, number: int) -> str:
        """Return an id; at a provider whose ids may be ARNs, an ARN decoded."""
        if _ID.fullmatch(segment):
            return segment
        if self.api.slashes and (found := self._decoded(segment, number)).startswith("arn:"):
            return found
        raise malformed(f"path segment {number}: an id has only letters, digits and _ -, unescaped")

    def _decoded(self, segment: str, number: int) -> str:
        problem = malformed(
            f"path segment {number}: a model id has only letters, digits and . _ : @ -, unescaped"
            " or percent-encoded once"
        )
        if not _ENCODED.fullmatch(segment):
            raise problem
        model = unquote(segment, errors="replace")
        plain = _PATH_MODEL.fullmatch(model) or (self.api.slashes and _PATH_ARN.fullmatch(model))
        if not plain or "//" in model or {".", ".."} & set(re.split("[/:]", model)):
            raise problem
        return model


ROUTES: Mapping[str, Routes] = {name: Routes(api) for name, api in PROVIDERS.items()}
"""Every table, ready for matching."""

_BASES = ("/v1", "/openai/v1", "/openai")
"""What the base URL of a client ends in, and is often left out of it."""


def _hint(table: Routes, method: str, route: str, rows: Mapping[str, Operation]) -> str:
    """Return what is known of a path that has no row, as the end of a sentence; often empty."""
    if rows:
        return f"; there it takes {' and '.join(sorted(rows))}"
    for base in _BASES:
        if table.row(method, base + route) is not None:
            return (
                f"; {base}{route[:200]} is: put {base} before it, as the end of an SDK's base URL"
            )
    for name, other in ROUTES.items():
        row = other.row(method, route)
        if row is not None and not row.never:
            title = other.api.title
            return f", which is set to api {table.api.name}; it is one of {title} (api {name})"
    return ""


_REMEMBERED_CHARS = 256
"""Longest target whose match is remembered, so that what clients send bounds the memory used."""


def route(api: str, method: str, path: str) -> tuple[Operation, tuple[FoundValue, ...]]:
    """Match as ``Routes.match`` of an API in ``ROUTES``; a match of a short path is remembered.

    Raises:
        AdmissibilityError: As ``Routes.match``; a refusal is not remembered.
    """
    if len(path) <= _REMEMBERED_CHARS:
        return _match(api, method, path)
    return ROUTES[api].match(method, path)


@lru_cache(maxsize=1024)
def _match(api: str, method: str, path: str) -> tuple[Operation, tuple[FoundValue, ...]]:
    return ROUTES[api].match(method, path)


def error_shape(api: str, method: str, path: str) -> ErrorShape:
    """Return the form of errors of a request, which may be one that the gate refuses.

    Args:
        api: Name of the upstream's table; OpenAI's form if there is none of that name.
        method: HTTP method as sent.
        path: Raw path and query as sent.
    """
    routes = ROUTES.get(api)
    if routes is None:
        return OPENAI
    row = routes.row(method, path)
    return routes.api.errors if row is None or row.errors is None else row.errors


def _check_plain(segment: str, number: int) -> None:
    if segment in {"", ".", ".."}:
        raise malformed(f"path segment {number} is {segment!r}; send the path normalized")
    special = _SPECIAL.search(segment)
    if special is not None:
        raise malformed(f"path segment {number}: character {special[0]!a} is not allowed here")
    if len(segment) > _MAX_SEGMENT_CHARS:
        raise malformed(f"path segment {number} has more than {_MAX_SEGMENT_CHARS} characters")
