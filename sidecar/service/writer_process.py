"""Follows the authorities for every worker: the one process of a machine that writes the store.

It runs the control path, puts each epoch in force once it is committed (``trust.epoch_page``), and
answers at the metrics address for all processes. Where another gate's writer has the state folder,
it stands by and takes the folder over when that one ends; workers of both read what is in force.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sidecar.core.snapshot import TrustState
from sidecar.gate.clock import Clock
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.metrics import Metrics
from sidecar.observe.unknown_keys import UnknownKeys
from sidecar.service.followed import PoliciesRecord, alive
from sidecar.service.http import Endpoint
from sidecar.service.process_status import Processes
from sidecar.service.registry import start_sweeping
from sidecar.service.scoreboard import Role
from sidecar.service.setup import BEAT_SECONDS, Setup
from sidecar.service.signed_status import StatusSigner
from sidecar.service.startup import (
    StartError,
    cancel,
    keep_time,
    make_metrics,
    read_clock,
    started_clock,
    stop_signals,
    until,
)
from sidecar.service.status import GateStatus, Status
from sidecar.service.trust_log import TrustLog
from sidecar.trust.config import make_private
from sidecar.trust.control import Committed, ControlPath
from sidecar.trust.epoch_page import BEAT_SECONDS as PAGE_SECONDS
from sidecar.trust.epoch_page import EpochPage
from sidecar.trust.writer_lock import WriterLock

log = logging.getLogger("sidecar.service")

_UNREADY_SECONDS = 0.02
_STANDBY_SECONDS = 0.1
_KEEP_SECONDS = 10.0


async def run(setup: Setup) -> None:
    """Write until SIGTERM or SIGINT.

    Raises:
        StartError: The page of epochs cannot be made.
        LatestTimeError: The latest time cannot be read.
        RegistryError: The status key cannot be used.
        TrustConfigError: The state folder cannot be used.
    """
    stopped, _ = stop_signals()
    trust = setup.trust
    make_private(trust)
    try:
        page = EpochPage(trust.state_dir)
        lock = WriterLock(trust.state_dir)
        if not lock.acquire():
            log.info("another process writes %s; this one takes over when it ends", trust.state_dir)
        while not lock.acquire():
            setup.slot.beat(ready=False)
            if await until(stopped, _STANDBY_SECONDS):
                return
    except OSError as error:
        raise StartError(f"{trust.state_dir}: {error.strerror}") from error
    async with AsyncExitStack() as stack:
        async with alive(setup.slot):  # the whole store is checked, which takes a while
            writer = await asyncio.to_thread(_started, setup, page, lock)
        await _answer(writer, stack)
        heart = Heartbeat(writer.control, page)
        writer.control.start()
        stack.push_async_callback(asyncio.to_thread, writer.control.stop)
        heart.start()
        stack.push_async_callback(asyncio.to_thread, heart.stop)
        stack.callback(keep_time, trust.state_dir, writer.clock, writer.holder)
        kept = time.monotonic()
        while not stopped.is_set():
            if writer.update_status():
                heart.wake()
            if time.monotonic() - kept >= _KEEP_SECONDS:
                kept = time.monotonic()
                keep_time(trust.state_dir, writer.clock, writer.holder)
            await until(stopped, BEAT_SECONDS if writer.opened else _UNREADY_SECONDS)
        writer.gate_status.stopping = True


class Heartbeat:
    """The thread that states that everything known is in force, once every authority was asked.

    Args:
        control: Is held at rest for each statement.
        page: States it.
    """

    def __init__(self, control: ControlPath, page: EpochPage) -> None:
        self._control, self._page = control, page
        self._written = True
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; returns once it has ended."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Have the next statement made at once."""
        self._wake.set()

    def _run(self) -> None:
        swept = time.monotonic()
        while not self._stop.is_set():
            self._wake.wait(PAGE_SECONDS)
            self._wake.clear()
            try:
                # A new writer may have missed a change until it has asked every authority.
                if self._control.asked():
                    self._control.at_rest(self._beat)
                if time.monotonic() - swept >= _KEEP_SECONDS:
                    swept = time.monotonic()
                    self._control.forget_readers()
            except Exception:
                log.exception("no heartbeat; workers rely on nothing without one")

    def _beat(self, committed: Committed) -> None:
        if self._page.restored() or committed.written is not self._written:
            publish(self._page, committed)
        self._written = committed.written
        self._page.beat()


def publish(page: EpochPage, committed: Committed) -> None:
    """Put in force what the store has."""
    page.publish(committed.epoch, committed.store, written=committed.written)


@dataclass(slots=True)
class _Writer:
    """The parts of a started writer."""

    setup: Setup
    page: EpochPage
    holder: SnapshotHolder
    control: ControlPath
    gate_status: GateStatus
    status: Status
    metrics: Metrics
    processes: Processes
    clock: Clock
    opened: bool

    def update_status(self) -> bool:
        """Open the epochs once every authority was asked, and state how the gate is.

        Returns:
            Whether they were opened just now.
        """
        before = self.opened
        if not self.opened and self.control.first_refresh_done():
            self.opened = True
            self.page.open()
        status, board = self.gate_status, self.setup.board
        reading = read_clock(self.clock, self.holder.published)
        if bool(reading.problem) != bool(status.clock_problem):
            log.warning("%s", reading.problem or "the clock is relied on again")
        self.metrics.clock_sound.set(not reading.problem)
        status.clock_problem = reading.problem
        record = PoliciesRecord.of(board)
        status.engine_up, status.revision = record.up, record.revision
        status.policy_error = record.error
        status.started = self.opened and any(each.working for each in board.running(Role.WORKER))
        self.metrics.ready.set(status.ready)
        self.setup.slot.beat(ready=self.opened)
        return self.opened and not before


def _started(setup: Setup, page: EpochPage, lock: WriterLock) -> _Writer:
    """Open the store and make every part; nothing runs yet."""
    trust, board = setup.trust, setup.board
    continues = page.continues()
    page.begin(continues=continues)
    holder, trust_log = SnapshotHolder(opened=False), TrustLog()
    gate_status = GateStatus(listen=setup.config.listen, metrics=setup.config.metrics)

    def put_in_force(state: TrustState) -> None:
        publish(page, control.committed())  # first: nothing may come before its effect
        holder.publish(state)
        trust_log.publish(state)

    control = ControlPath(trust, put_in_force, lock=lock, continues=continues)
    if continues:
        publish(page, control.committed())
    processes = Processes(board)
    status = Status(
        holder,
        gate_status,
        control.statuses,
        control.evidence,
        trust.operator.grants,
        processes=processes,
        withdrew=trust_log.withdrew,
    )
    metrics = make_metrics(trust.operator, status.reading, UnknownKeys())
    clock = started_clock(trust.state_dir)
    gate_status.clock_problem = clock.read().problem
    return _Writer(
        setup, page, holder, control, gate_status, status, metrics, processes, clock, continues
    )


async def _answer(writer: _Writer, stack: AsyncExitStack) -> None:
    """Answer at the metrics address, publish the signed status, and sweep registrations."""
    setup, config = writer.setup, writer.setup.config
    signer = StatusSigner.of(writer.status, config.gate_name, setup.trust.state_dir)
    render = writer.processes.exposition(writer.metrics.registry)
    endpoint = Endpoint(writer.status, render, signer)
    stack.push_async_callback(endpoint.stop)
    await endpoint.accept(setup.endpoint)
    await start_sweeping(config, stack)
    if config.status_folder is not None:
        publisher = asyncio.create_task(signer.publish(config.status_folder), name="status")
        stack.push_async_callback(cancel, publisher)
