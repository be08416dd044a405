"""What a withdrawal may name: a misspelt subject would withdraw nothing and nobody would notice."""

from __future__ import annotations

import re

from sidecar.authority.errors import AuthorityError
from sidecar.core.documents import WithdrawalKind

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
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


def normalised(kind: WithdrawalKind, subject: str) -> str:
    """Return ``subject`` in the form in which the gate looks for it.

    Digests are accepted with and without ``sha256:``.

    Raises:
        AuthorityError: It cannot be the name of such a thing.
    """
    found = _DIGEST.fullmatch(subject)
    if kind is WithdrawalKind.KEY:
        if found is None:
            raise AuthorityError("a key is withdrawn by its fingerprint: sha256: and 64 hex digits")
        return f"sha256:{found[1]}"
    if kind in _BY_DIGEST:
        if found is None:
            raise AuthorityError(f"{kind} is withdrawn by its SHA-256: 64 lower-case hex digits")
        return found[1]
    if kind is WithdrawalKind.ENVIRONMENT:
        if found is None and not subject.startswith("spiffe://"):
            raise AuthorityError(
                "an environment is withdrawn by its SPIFFE ID, a pattern over it, or the digest of "
                "its declaration"
            )
        return found[1] if found else subject
    if kind in {WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL} and "/" not in subject.strip("/"):
        raise AuthorityError(f"{kind} is withdrawn as provider/id, for example openai/{subject}")
    if not subject:
        raise AuthorityError(f"{kind}: say which")
    return subject
