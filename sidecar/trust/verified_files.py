"""Remembers what became of each file of evidence, so that every signature is tried once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.trust_state import AuthorityView, Rejected, public_keys
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile, verify_file


@dataclass(slots=True)
class _File:
    tried: set[PublicKey]
    verified: VerifiedFile | None = None
    error: str = ""


@dataclass(slots=True)
class VerifiedFiles:
    """The files that are there now, with the keys that were tried on each."""

    _files: dict[bytes, _File] = field(default_factory=dict)

    def verified(
        self, views: Iterable[AuthorityView], evidence: frozenset[bytes]
    ) -> tuple[list[VerifiedFile], list[Rejected]]:
        """Try the keys that are new on each file and forget the files that are gone."""
        keys = {key for view in views for key in public_keys(view)}
        self._files = {data: self._files.get(data) or _File(set()) for data in evidence}
        for data, file in self._files.items():
            _try(data, file, keys)
        files = [file.verified for file in self._files.values() if file.verified is not None]
        rejected = [
            Rejected(hashlib.sha256(data).hexdigest(), file.error)
            for data, file in self._files.items()
            if file.verified is None
        ]
        return files, rejected


def _try(data: bytes, file: _File, keys: set[PublicKey]) -> None:
    fresh = keys - file.tried
    if not fresh and file.error:
        return
    file.tried |= fresh
    try:
        if file.verified is None:
            file.verified = verify_file(data, fresh)
        elif fresh:
            more = dsse.verified_by(dsse.parse(data), fresh)
            file.verified = replace(file.verified, fingerprints=file.verified.fingerprints | more)
    except EvidenceError as error:
        if not file.error or str(error) != UNKNOWN_SIGNER:
            file.error = str(error)
