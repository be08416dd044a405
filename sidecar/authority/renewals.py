"""Forgets bindings of deployments that only prolonged another one and have ended.

A binding that is kept in force by short windows leaves a record every hour. Of a run of equal
statements the first and the last show everything: since when, and until when. What lies between
them and has ended is removed from the home, so that neither the home nor the time that a signing
takes grows with time. It permits nothing any more, and a withdrawal of a later binding does not
name it. Evidence that was handed out is not touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from sidecar.authority import journal
from sidecar.authority.open_home import Home
from sidecar.authority.records import RecordedStatement
from sidecar.core.predicates import DeploymentBinding


def forget_renewals(
    home: Home, recorded: Mapping[Path, RecordedStatement], before: datetime
) -> frozenset[Path]:
    """Remove the records within a run of equal bindings that ended before an instant.

    Args:
        home: The home.
        recorded: Path → record of its bindings, of any deployments, in any order.
        before: Aware.

    Returns:
        The paths that were removed.

    Raises:
        AuthorityError: The home cannot be locked.
        OSError: A record cannot be removed.
    """
    found = frozenset(_superfluous(recorded, before))
    if found:
        with journal.locked(home.path):
            for path in found:
                path.unlink(missing_ok=True)
    return found


def _superfluous(recorded: Mapping[Path, RecordedStatement], before: datetime) -> Iterator[Path]:
    matters: dict[tuple[str, str], list[tuple[datetime, str, Path]]] = {}
    for path, each in recorded.items():
        binding = _binding(each)
        ranked = matters.setdefault((binding.provider, binding.deployment), [])
        ranked.append((binding.window.not_before, each.digest, path))
    for ranked in matters.values():
        ordered = [path for _, _, path in sorted(ranked)]
        for earlier, path, later in zip(ordered, ordered[1:], ordered[2:], strict=False):
            stated = [_stated(recorded[each]) for each in (earlier, path, later)]
            ended = _binding(recorded[path]).window.not_after < before
            if ended and stated[0] == stated[1] == stated[2]:
                yield path


def _stated(recorded: RecordedStatement) -> object:
    """Return what a binding states, but for its window."""
    binding = _binding(recorded)
    return recorded.statement.subject, binding.model, binding.declarations


def _binding(recorded: RecordedStatement) -> DeploymentBinding:
    binding = recorded.statement.predicate
    assert isinstance(binding, DeploymentBinding)
    return binding
