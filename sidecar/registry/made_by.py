"""Finds the calls by which models made the content of stored objects."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core.call import Call
from sidecar.providers import FILE
from sidecar.registry.record import AdmittedUse, Registration


def made_by(provider: str, entries: Iterable[Registration]) -> tuple[Call, ...]:
    """Return the calls by which models made what objects hold, as they were admitted.

    A file of the caller's own calls was made by none. What a tuning job writes is not an answer.
    """
    return tuple(
        dict.fromkeys(
            as_call(provider, use)
            for entry in entries
            if entry.kind != FILE or holds_no_calls(entry)
            for use in entry.uses
            if use.models and not use.tuned
        )
    )


def holds_no_calls(entry: Registration) -> bool:
    """Return whether an object is a file of another purpose, or one that the provider wrote.

    The uses of a file of calls are those of its lines, and each of them has a model.
    """
    return entry.kind == FILE and not all(use.models or use.tuned for use in entry.uses)


def as_call(provider: str, use: AdmittedUse) -> Call:
    """Return the call that a use was registered for, without what it referred to."""
    return Call(
        provider,
        use.operation,
        use.models,
        modalities=use.modalities,
        tool_types=use.tool_types,
        tuned=use.tuned,
        deployments=use.deployments,
    )
