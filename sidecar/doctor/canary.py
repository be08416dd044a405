"""Sends a canary: a request that must be denied by the gate itself.

Envoy skips ext_authz where a route disables it, where the filter is off, or where the request has
no route at first. Only a request shows that. The canary has no credential and names a model that
does not exist, so that it costs nothing if it is forwarded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sidecar.core.reasons import Reason
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import NoAnswerError, Reply, ask
from sidecar.doctor.installation import Installation

MODEL = "admissibility-canary"
_BOUNDARY = "admissibility-canary"
_REASON = "x-admissibility-reason"
_DECISION = "x-admissibility-decision-id"
_SEALED, _SEALED_CODE = b"RBAC: access denied", b"rbac_access_denied"
"""Envoy's reply where an RBAC filter denies: its own text, and its response code details, which the
reference configurations write in the API's form of errors."""
_OURS = frozenset(
    {
        Reason.POLICY_UNAVAILABLE,
        Reason.DEADLINE_EXCEEDED,
        Reason.OVERLOADED,
        Reason.INTERNAL_ERROR,
        Reason.TRUST_STALE,
    }
)


@dataclass(frozen=True, slots=True)
class Canary:
    """One kind of route, and a request that it matches."""

    name: str
    path: str
    content_type: str
    body: bytes


CANARIES = (
    Canary(
        "canary: a call",
        "/v1/chat/completions",
        "application/json",
        json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}]}).encode(),
    ),
    Canary(
        "canary: an upload",
        "/v1/files",
        f"multipart/form-data; boundary={_BOUNDARY}",
        (
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f"--{_BOUNDARY}--\r\n"
        ).encode(),
    ),
)


def call(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check the route of ordinary calls."""
    return (_sent(installation, CANARIES[0]),)


def upload(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check the route of uploads, which Envoy does not buffer."""
    return (_sent(installation, CANARIES[1]),)


def _sent(installation: Installation, canary: Canary) -> Diagnosis:
    try:
        reply = ask(
            installation.gateway,
            canary.path,
            method="POST",
            headers={"Content-Type": canary.content_type},
            body=canary.body,
        )
    except NoAnswerError as error:
        remedy = "Start Envoy, or correct --gateway (TLS: --ca)."
        return fail(canary.name, str(error), remedy, _unreached(canary))
    return _judged(canary, reply)


def _unreached(canary: Canary) -> tuple[str, ...]:
    """Return the checks that explain a missing response: Envoy, or the first canary."""
    first = CANARIES[0].name
    return ("Envoy",) if canary.name == first else ("Envoy", first)


def _judged(canary: Canary, reply: Reply) -> Diagnosis:
    reason = reply.headers.get(_REASON)
    outcome = f"POST {canary.path} got {reply.status}"
    if reply.status < 400:
        return fail(
            canary.name,
            f"{outcome}: it was NOT denied",
            "This route is not checked: enable ext_authz on it.",
        )
    if reply.status == 403 and reason is None and _sealed(reply.body):
        return fail(
            canary.name,
            f"{outcome} from an RBAC filter, such as the seal: the gate did not admit or deny it",
            "Nothing passes on this route: enable ext_authz on it.",
            ("gate", "ext_authz", "gate cluster"),
        )
    if reason is None or _DECISION not in reply.headers or _code(reply) != reason:
        return fail(
            canary.name,
            f"{outcome}, but not from the gate",
            "This route is not checked: enable ext_authz on it.",
            ("gate", "ext_authz", "gate cluster"),
        )
    if reason in _OURS:
        return warn(
            canary.name, f"{outcome} {reason}", "Denied, but not for its own sake; see above."
        )
    return ok(canary.name, f"{outcome} {reason} from the gate")


def _sealed(body: bytes) -> bool:
    return body == _SEALED or _SEALED_CODE in body


def _code(reply: Reply) -> object:
    """Return the reason code of a denial, which the gate writes in header and body."""
    try:
        return reply.json()["error"]["code"]
    except (NoAnswerError, KeyError, TypeError):
        return None
