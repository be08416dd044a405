"""Opens the registry of stored objects that ``sidecar.yaml`` configures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sidecar.ext_proc.processor import Processor, ProcessorLimits
from sidecar.extract.batch_lines import BlockReader
from sidecar.gate.clock import Reading
from sidecar.gate.lifecycle import Observer
from sidecar.gate.pipeline import Pipeline
from sidecar.observe.metrics import Metrics
from sidecar.providers import INPUT_KINDS
from sidecar.registry.keys import open_or_create
from sidecar.registry.objects import Objects
from sidecar.registry.store import RegistrationStore
from sidecar.service.config import RegistrationSettings, SidecarConfig

log = logging.getLogger("sidecar.service")

_SWEEP_SECONDS = 3600.0
_BATCHES_HELD = 8
"""How many batch files of the largest size may be buffered at once."""


async def start_objects(
    config: SidecarConfig, metrics: Metrics, stack: AsyncExitStack, *, sweep: bool = True
) -> Objects | None:
    """Open the registry; ``None`` if registration is off.

    Args:
        config: From ``config.load``.
        metrics: Counts the results of look-ups and registrations.
        stack: Closes the registry on exit.
        sweep: Whether to remove expired registrations; one process of a gate does.

    Raises:
        RegistryError: The key or the folder cannot be used.
    """
    wanted = config.registration
    if wanted is None:
        return None
    store = await asyncio.to_thread(_open, wanted)
    objects = Objects(
        store,
        timedelta(days=wanted.expires_days),
        metrics.registration_looked_up,
        metrics.registration_written,
        unregistered_inputs=wanted.passes_unregistered_inputs,
    )
    stack.callback(objects.close)
    if sweep:
        _start_sweeper(store, stack)
    log.info(
        "registration on: %s, key %s, for %d days",
        wanted.folder,
        store.key.public.fingerprint,
        wanted.expires_days,
    )
    return objects


async def start_sweeping(config: SidecarConfig, stack: AsyncExitStack) -> None:
    """Remove expired registrations for the processes of a gate that use the registry.

    Raises:
        RegistryError: The key or the folder cannot be used.
    """
    if config.registration is not None:
        _start_sweeper(await asyncio.to_thread(_open, config.registration), stack)


def _start_sweeper(store: RegistrationStore, stack: AsyncExitStack) -> None:
    sweeper = asyncio.create_task(_sweep(store), name="sweeper")
    stack.push_async_callback(_cancelled, sweeper)


@contextmanager
def read_only(config: SidecarConfig) -> Iterator[Objects | None]:
    """Open the registry for a dry run, without writing; ``None`` if registration is off.

    If the gate has not created it yet, it is a temporary, empty one: a dry run creates no key.

    Raises:
        RegistryError: The key or the folder cannot be used.
    """
    wanted = config.registration
    if wanted is None:
        yield None
        return
    with TemporaryDirectory(prefix="admit-") as nowhere:
        if not wanted.key.exists() or not wanted.folder.exists():
            empty = {"key": Path(nowhere, "key.pem"), "folder": Path(nowhere, "registrations")}
            wanted = wanted.model_copy(update=empty)
        objects = Objects(
            _open(wanted),
            timedelta(days=wanted.expires_days),
            keeping=False,
            unregistered_inputs=wanted.passes_unregistered_inputs,
        )
        try:
            yield objects
        finally:
            objects.close()


def processor(
    config: SidecarConfig,
    pipeline: Pipeline,
    observer: Observer,
    clock: Callable[[], Reading],
    reader: BlockReader,
) -> Processor:
    """Return the service for Envoy's external processing."""
    limits = ProcessorLimits()
    if config.registration is not None:
        longest = config.registration.max_batch_bytes
        limits = ProcessorLimits(max_batch_bytes=longest, held_bytes=_BATCHES_HELD * longest)
    return Processor(pipeline, observer, limits, clock, reader)


def _open(wanted: RegistrationSettings) -> RegistrationStore:
    kept = INPUT_KINDS if wanted.passes_unregistered_inputs else frozenset[str]()
    return RegistrationStore.at(wanted.folder, open_or_create(wanted.key), kept)


async def _sweep(store: RegistrationStore) -> None:
    """Remove expired registrations, now and every hour."""
    while True:
        try:
            gone = await asyncio.to_thread(store.sweep, datetime.now(UTC))
        except OSError as error:
            log.warning("expired registrations cannot be removed: %s", error)
        else:
            log.info("removed %d expired registrations", gone)
        await asyncio.sleep(_SWEEP_SECONDS)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
