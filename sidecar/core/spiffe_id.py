"""Checks SPIFFE IDs. Imports nothing heavy: processes that only parse requests need it too."""

from __future__ import annotations

import re

from sidecar.core.reasons import EvidenceError

_SPIFFE_ID = re.compile(r"spiffe://(?P<td>[a-z0-9._-]{1,255})(?P<path>(/[a-zA-Z0-9._-]+)+)")


def check_spiffe_id(text: str) -> str:
    """Return the trust domain of a workload's SPIFFE ID.

    SPIFFE-ID §2: no empty, ``.`` or ``..`` segment, no percent-encoding, no query or fragment, at
    most 2048 bytes; a workload's path is not the root (X509-SVID §4.1).

    Raises:
        EvidenceError: Not such an id.
    """
    found = _SPIFFE_ID.fullmatch(text)
    if found is None or len(text) > 2048:
        raise EvidenceError("not a workload's SPIFFE ID")
    if {".", ".."} & set(found["path"].split("/")):
        raise EvidenceError("a SPIFFE ID has no relative path segments")
    return found["td"]
