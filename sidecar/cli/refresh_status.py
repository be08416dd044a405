"""Shows which authorities were read before a command judged, and which could not be."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from sidecar.core.window import rfc3339
from sidecar.trust.refresher import AuthorityStatus


def to_json(statuses: tuple[AuthorityStatus, ...]) -> list[dict[str, Any]]:
    """Return each authority with its version, its end and its error, for programs."""
    return [
        {
            "name": status.name,
            "version": status.version,
            "expires": None if status.expires is None else rfc3339(status.expires),
            "error": status.error,
        }
        for status in statuses
    ]


def print_problems(console: Console, statuses: tuple[AuthorityStatus, ...]) -> None:
    """Name every authority that could not be refreshed."""
    for status in statuses:
        if status.error is not None:
            console.print(f"[yellow]{status.name}: {status.error}[/yellow]")
