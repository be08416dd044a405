"""Writes authorities' views as records of the store, a record for each document.

A heartbeat changes a view's expiry and version; its documents may be large and are not written
again.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any

from sidecar.core import wire
from sidecar.core.documents import AuthorityDocument, TrustDomainsDocument, WithdrawalsDocument
from sidecar.core.snapshot import AuthorityView
from sidecar.core.window import rfc3339

_DOCUMENTS = {
    "document": AuthorityDocument,
    "withdrawals": WithdrawalsDocument,
    "trust_domains": TrustDomainsDocument,
}
_HEAD = "head"


def write(name: str, before: AuthorityView | None, view: AuthorityView | None) -> dict[str, Any]:
    """Return the records that change with a view: key → bytes, or ``None`` for one that goes."""
    found: dict[str, bytes | None] = {f"{name}/{_HEAD}": None if view is None else _head(view)}
    for part in _DOCUMENTS:
        old, new = getattr(before, part, None), getattr(view, part, None)
        if old is not new and old != new:
            found[f"{name}/{part}"] = None if new is None else wire.dump(new)
    return found


def read(
    records: Mapping[str, bytes], heard: Container[str] = frozenset()
) -> dict[str, AuthorityView]:
    """Return the views of the records that ``write`` returned.

    Args:
        records: Key → bytes.
        heard: The authorities that were heard since the start.
    """
    names = [key.removesuffix(f"/{_HEAD}") for key in records if key.endswith(f"/{_HEAD}")]
    return {name: _view(name, records, heard=name in heard) for name in names}


def keys(name: str) -> tuple[str, ...]:
    """Return the keys of every record that an authority's view may have."""
    return tuple(f"{name}/{part}" for part in (_HEAD, *_DOCUMENTS))


def _head(view: AuthorityView) -> bytes:
    head = [rfc3339(view.expires), view.version, view.withdrawals_sha256]
    return json.dumps(head).encode()


def _view(name: str, records: Mapping[str, bytes], *, heard: bool) -> AuthorityView:
    expires, version, *digest = json.loads(records[f"{name}/{_HEAD}"])
    documents: dict[str, Any] = {
        part: wire.load(kind, data)
        for part, kind in _DOCUMENTS.items()
        if (data := records.get(f"{name}/{part}")) is not None
    }
    return AuthorityView(
        name=name,
        expires=datetime.fromisoformat(expires),
        version=version,
        heard_since_start=heard,
        withdrawals_sha256=digest[0] if digest else "",
        **documents,
    )
