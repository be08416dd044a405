"""Small things that several tests of authorities say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sidecar.authority.open_home import Home
from sidecar.core.documents import Withdrawal, WithdrawalsDocument
from tests.unit.authority.reader import Reader

Pin = Callable[[Home], Reader]
DAY = timedelta(days=1)


def withdrawn(*entries: Withdrawal) -> WithdrawalsDocument:
    return WithdrawalsDocument("urn:admissibility:withdrawals:v1", entries)


def key_file(home: Home, role: str) -> Path:
    """The private key file of a role; the first one, where it was rotated."""
    found: list[Path] = sorted((home.path / "keys").glob(f"{role}-*.pem"), key=_age)
    return found[0]


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns
