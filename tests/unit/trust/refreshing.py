"""One authority refreshed from its repository: what the tests of that share."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import pytest

from sidecar.core.documents import read_authority, read_withdrawals
from sidecar.core.snapshot import AuthorityView
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.refresh import RefreshError, refresh
from tests.unit.trust.repository import Repository

KEY = "sha256:" + "a" * 64


def fresh(repo: Repository, state: Path, root: bytes | None = None) -> AuthorityView:
    return refresh(repo.trusted(root), DirectorySource(repo.folder), state).view


def refused(repo: Repository, state: Path, root: bytes | None = None) -> str:
    """Refresh, which must fail, in one line."""
    with pytest.raises(RefreshError) as caught:
        fresh(repo, state, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expected(repo: Repository, version: int, expires: datetime) -> AuthorityView:
    return AuthorityView(
        name=repo.name,
        document=read_authority(repo.documents["authority.json"], name=repo.name),
        withdrawals=read_withdrawals(repo.documents["withdrawals.json"]),
        expires=expires,
        version=version,
        withdrawals_sha256=hashlib.sha256(repo.documents["withdrawals.json"]).hexdigest(),
    )
