"""Looks up several objects in one turn of a thread; every function blocks on the file system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sidecar.core.call import Reference
from sidecar.registry.errors import RegistryResult, UnregisteredError
from sidecar.registry.record import Key, Registration
from sidecar.registry.store import RegistrationStore

UNKNOWN = frozenset({RegistryResult.MISSING, RegistryResult.EXPIRED})
"""Results for an object that is registered for no environment now."""


def look_up(
    store: RegistrationStore,
    keys: Mapping[Reference, Key],
    environment: str,
    now: datetime,
    passing: frozenset[RegistryResult],
) -> dict[Reference, RegistryResult]:
    """Look up objects until one is neither registered nor passed; return the result of each."""
    results: dict[Reference, RegistryResult] = {}
    for reference, key in keys.items():
        try:
            store.find(key, environment, now)
            results[reference] = RegistryResult.FOUND
        except UnregisteredError as error:
            results[reference] = error.result
            if error.result not in passing:
                break
    return results


def find_each(
    store: RegistrationStore, keys: Sequence[Key], environment: str, now: datetime
) -> tuple[list[Registration], UnregisteredError | None]:
    """Look up objects until one has no valid registration."""
    found: list[Registration] = []
    for key in keys:
        try:
            found.append(store.find(key, environment, now))
        except UnregisteredError as error:
            return found, error
    return found, None
