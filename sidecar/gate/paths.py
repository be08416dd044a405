r"""The route grammar: the raw path, decoded exactly once and only where an id may stand.

Envoy passes ``..%2f``, ``//``, ``;x``, ``%63``, ``/../`` and ``\`` through unchanged, and each
upstream makes its own sense of them. So a path is either exactly a route of the table, or another
plain path (refused by name), or it is malformed.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.strict_json import fold
from sidecar.gate.routes import MODEL_SEGMENT, OPERATIONS, OVERRIDES, Operation

_METHOD = re.compile(r"[A-Z]{1,16}")
_PLAIN = re.compile(r"[A-Za-z0-9._~:@,=+-]{1,512}")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._:@-]|%[0-9A-Fa-f]{2}){1,1024}")
_PATH_MODEL = re.compile(r"[A-Za-z0-9._:@-]{1,512}")


def match(method: str, path: str) -> tuple[Operation, str | None]:
    """Find the operation.

    Args:
        method: HTTP method as sent.
        path: Raw path and query as sent.

    Returns:
        The row, and the model id where the path names it.

    Raises:
        AdmissibilityError: ``malformed_request`` outside the grammar, ``ambiguous_model`` for a
            query that names a model beside the place that counts, ``unsupported_operation`` for
            everything the table does not have.
    """
    route, mark, query = path.partition("?")
    if not _METHOD.fullmatch(method) or not route.startswith("/"):
        raise _malformed("not a method and an absolute path")
    segments = route.split("/")[1:]
    known = False
    for operation in OPERATIONS:
        found, model = _matches(operation, segments)
        if found and operation.method == method:
            if mark:
                raise _query(query)
            return operation, model
        known = known or found
    if route != "/" and not known:
        for segment in segments:
            _check_plain(segment)
    raise AdmissibilityError(
        Reason.UNSUPPORTED_OPERATION, f"{method} {route[:200]} is not an operation of the gate"
    )


def _matches(operation: Operation, segments: list[str]) -> tuple[bool, str | None]:
    wanted = operation.route.split("/")[1:]
    if len(wanted) != len(segments):
        return False, None
    model = None
    for want, segment in zip(wanted, segments, strict=True):
        if want == MODEL_SEGMENT and segment:
            model = segment
        elif want != segment:
            return False, None
    return True, None if model is None else _decoded(model)


def _decoded(segment: str) -> str:
    if not _ENCODED.fullmatch(segment):
        raise _malformed("the model id in the path is not plainly written")
    model = unquote(segment, errors="replace")
    if not _PATH_MODEL.fullmatch(model) or model in {".", ".."}:
        raise _malformed("the model id in the path is not plainly written")
    return model


def _check_plain(segment: str) -> None:
    if not _PLAIN.fullmatch(segment) or segment in {".", ".."}:
        raise _malformed("the path is not plainly written")


def _query(query: str) -> AdmissibilityError:
    """No operation of the table has a query; one that names a model is told apart."""
    for pair in re.split("[&;]", query):
        key = fold(unquote_plus(pair.partition("=")[0], errors="replace")).rstrip("[]")
        if key == "model" or key in OVERRIDES:
            return AdmissibilityError(
                Reason.AMBIGUOUS_MODEL, "the query names a model beside the place that counts"
            )
    return _malformed("this operation has no query")


def _malformed(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.MALFORMED_REQUEST, why)
