"""A reader as operators have one: python-tuf's own client, pinned to a first root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from sidecar.core.documents import (
    AUTHORITY_FILE,
    TRUST_DOMAINS_FILE,
    WITHDRAWALS_FILE,
    AuthorityDocument,
    TrustDomain,
    WithdrawalsDocument,
    read_authority,
    read_trust_domains,
    read_withdrawals,
)

NOW = datetime.now(UTC).replace(microsecond=0)
"""python-tuf's client looks at the real clock, so these tests publish at the real time."""


class _Files(FetcherInterface):
    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("file://"))
        if not path.exists():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


class Reader:
    """Follows one repository from one pinned root; keeps its state in ``folder``."""

    def __init__(self, root: bytes, repository: Path, folder: Path) -> None:
        self._root = root
        self._base = f"file://{repository}"
        self._folder = folder
        (folder / "targets").mkdir(parents=True)

    def read(self) -> dict[str, bytes]:
        """Refresh and download both documents."""
        updater = self._updater()
        updater.refresh()
        found = {}
        for name in (AUTHORITY_FILE, WITHDRAWALS_FILE):
            info = updater.get_targetinfo(name)
            assert info is not None
            found[name] = Path(updater.download_target(info)).read_bytes()
        return found

    def _updater(self) -> Updater:
        return Updater(
            str(self._folder),
            f"{self._base}/metadata/",
            str(self._folder / "targets"),
            f"{self._base}/targets/",
            fetcher=_Files(),
            bootstrap=self._root,
        )

    def kept(self) -> dict[str, Any]:
        """The four signed parts of what was read last, by role."""
        roles = ("root", "timestamp", "snapshot", "targets")
        return {
            role: json.loads((self._folder / f"{role}.json").read_bytes())["signed"]
            for role in roles
        }

    def trust_domains(self) -> tuple[TrustDomain, ...] | None:
        """What the delegated role publishes, found as python-tuf finds it; None for nothing."""
        updater = self._updater()
        updater.refresh()
        info = updater.get_targetinfo(TRUST_DOMAINS_FILE)
        if info is None:
            return None
        return read_trust_domains(Path(updater.download_target(info)).read_bytes()).trust_domains

    def documents(self, name: str) -> tuple[AuthorityDocument, WithdrawalsDocument]:
        """Both documents, as the gate reads them."""
        found = self.read()
        return (
            read_authority(found[AUTHORITY_FILE], name=name),
            read_withdrawals(found[WITHDRAWALS_FILE]),
        )
