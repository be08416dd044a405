"""Forget bindings of deployments that only renewed another one and have ended.

A binding that is kept in force by short windows leaves a record every hour. Of a run of equal
statements the first and the last say everything: since when, and until when. What lies between
them, has ended and was never withdrawn is removed from the home, so that neither the home nor the
time that a signing takes grows with time. Evidence that was handed out is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from sidecar.authority.home import Home
from sidecar.authority.open_home import locked_home
from sidecar.authority.records import Recorded
from sidecar.core.evidence import DeploymentBinding


def superfluous(recorded: Mapping[Path, Recorded], before: datetime) -> frozenset[Path]:
    """Return the records that lie within a run of equal bindings and ended before an instant.

    Args:
        recorded: Path → binding; of any deployments, in any order.
        before: Aware.
    """
    matters: dict[tuple[str, str], list[tuple[datetime, str, Path]]] = {}
    for path, each in recorded.items():
        binding = each.statement.predicate
        if isinstance(binding, DeploymentBinding):
            matter = (binding.provider, binding.deployment)
            rank = (binding.window.not_before, each.digest, path)
            matters.setdefault(matter, []).append(rank)
    return frozenset(
        path
        for ranked in matters.values()
        for path in _within(recorded, [path for _, _, path in sorted(ranked)], before)
    )


def _within(
    recorded: Mapping[Path, Recorded], ordered: list[Path], before: datetime
) -> Iterable[Path]:
    for earlier, path, later in zip(ordered, ordered[1:], ordered[2:], strict=False):
        stated = _stated(recorded[path])
        ended = recorded[path].statement.predicate.window.not_after < before
        if ended and stated == _stated(recorded[earlier]) == _stated(recorded[later]):
            yield path


def _stated(recorded: Recorded) -> object:
    """Return what a binding states, but for its window."""
    binding = recorded.statement.predicate
    assert isinstance(binding, DeploymentBinding)
    return recorded.statement.subject, binding.model, binding.declarations


def forget(home: Home, recorded: Mapping[Path, Recorded], before: datetime) -> frozenset[Path]:
    """Remove superfluous records from a home; returns their paths.

    Raises:
        AuthorityError: The home cannot be read.
        OSError: A record cannot be removed.
    """
    found = superfluous(recorded, before)
    if not found:
        return found
    with locked_home(home.path) as opened:
        withdrawn = {entry.subject for entry in opened.withdrawals.entries}
        removed = frozenset(path for path in found if recorded[path].digest not in withdrawn)
        for path in removed:
            path.unlink(missing_ok=True)
    return removed
