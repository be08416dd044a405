"""Normalises what a withdrawal names, and refuses a subject that can match nothing.

A misspelt subject would withdraw nothing, and nobody would notice.
"""

from __future__ import annotations

import re

from sidecar.authority.errors import AuthorityError
from sidecar.core.documents import WithdrawalKind

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_AUTHORITY = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ENVIRONMENT = re.compile(r"spiffe://[a-z0-9._*-]+(/[a-zA-Z0-9._*-]+)+|spiffe://[a-z0-9._-]*\*\*")
_BY_DIGEST = frozenset(
    {
        WithdrawalKind.MANIFEST,
        WithdrawalKind.APPROVAL,
        WithdrawalKind.RESULT,
        WithdrawalKind.WAIVER,
        WithdrawalKind.DEPLOYMENT_BINDING,
        WithdrawalKind.SPECIFICATION,
        WithdrawalKind.CORPUS,
        WithdrawalKind.EVALUATION,
    }
)
_EXACT = frozenset({WithdrawalKind.MODEL, WithdrawalKind.RUN, WithdrawalKind.AUTHORITY})


def normalised(kind: WithdrawalKind, subject: str) -> str:
    """Return ``subject`` in the form in which the gate looks for it.

    Digests are accepted with and without ``sha256:``.

    Raises:
        AuthorityError: Nothing of that kind can have this name; the text states what was expected.
    """
    found = _DIGEST.fullmatch(subject)
    if kind is WithdrawalKind.KEY:
        if found is None:
            raise AuthorityError(
                f"a key is withdrawn by its fingerprint, sha256: and 64 hex digits, not {subject!r}"
            )
        return f"sha256:{found[1]}"
    if kind in _BY_DIGEST:
        if found is None:
            raise AuthorityError(
                f"{kind} is withdrawn by its SHA-256, 64 lower-case hex digits, not {subject!r}"
            )
        return found[1]
    if kind is WithdrawalKind.ENVIRONMENT:
        return found[1] if found else _environment(subject)
    return _name(kind, subject)


def _name(kind: WithdrawalKind, subject: str) -> str:
    """Check the name of a model, a base model, a run or an authority."""
    if not subject:
        raise AuthorityError(f"{kind}: the name is empty; name the {kind}")
    if kind in _EXACT and "*" in subject:
        raise AuthorityError(
            f"{kind} {subject!r} matches nothing: a {kind} is named exactly. Patterns are for "
            "base-model and environment"
        )
    if kind in {WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL}:
        provider, _, model = subject.partition("/")
        if not (provider and model):
            raise AuthorityError(
                f"{kind} is withdrawn as provider/id, for example openai/{subject.strip('/')}"
            )
    if kind is WithdrawalKind.AUTHORITY and _AUTHORITY.fullmatch(subject) is None:
        raise AuthorityError(
            f"authority {subject!r} matches nothing: a name has lower-case letters, digits and "
            "hyphens"
        )
    return subject


def is_environment_pattern(text: str) -> bool:
    """Return whether some SPIFFE ID of a workload can match a pattern; ``**`` matches all."""
    segments = text.removeprefix("spiffe://").split("/")
    return text == "**" or (
        _ENVIRONMENT.fullmatch(text) is not None and not {".", ".."} & set(segments)
    )


def _environment(subject: str) -> str:
    if not subject.startswith("spiffe://"):
        raise AuthorityError(
            "an environment is withdrawn by its SPIFFE ID, a pattern over it, or the digest of "
            f"its declaration, not {subject!r}"
        )
    if not is_environment_pattern(subject):
        raise AuthorityError(
            f"environment {subject!r} matches nothing: a workload's SPIFFE ID is spiffe:// with a "
            "lower-case trust domain and a path of letters, digits, '.', '_' and '-'"
        )
    return subject
