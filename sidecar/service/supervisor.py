"""Starts and supervises the processes of one gate: a writer, a policies process, and workers.

Theory of operation. The supervisor does nothing else, so that nothing in it fails: it waits for
signals and for the time to look at the scoreboard. A process that ends is started again, at once
first and then with growing pauses; one that is silent for ``HUNG_SECONDS`` is killed. SIGHUP
restarts them one by one (``rolling``): each new process must do its work before the one that it
replaces is asked to stop, so that the port always has a listener. On SIGTERM the workers finish
what is in flight, then the others end.

The supervisor keeps the port: bound, never listening, so that a worker can bind it again. The
metrics address it listens at itself, so that a scrape waits while the writer is restarted.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sidecar.observe import summed_metrics
from sidecar.service.child import START_FAILED, fork
from sidecar.service.config import SidecarConfig
from sidecar.service.ready_file import ReadyFile, remove
from sidecar.service.scoreboard import Role, Scoreboard, Slot, SlotReading
from sidecar.service.setup import Setup
from sidecar.service.sockets import Sockets
from sidecar.service.startup import StartError, start_errors
from sidecar.trust.config import TrustConfig

log = logging.getLogger("sidecar.service")

HUNG_SECONDS = 30.0
_SPARE_SLOTS = 6
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_IDLE_SECONDS = 1.0
_BUSY_SECONDS = 0.02
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 5.0
_STOP_SECONDS = 15.0
"""How long a process may take to end, beyond the time of what is in flight."""
_HURRY_SECONDS = 5.0

Load = Callable[[], tuple[SidecarConfig, TrustConfig]]
Report = Callable[[StartError], None]


@dataclass(slots=True)
class _Process:
    """A process that was started.

    Attributes:
        pid: Its process id.
        slot: Its part of the scoreboard.
        started: When, by the monotonic clock.
        end_by: When it is killed, once it was asked to end.
        killed: Whether it was killed, because it did not answer or end.
    """

    pid: int
    slot: Slot
    started: float
    end_by: float | None = None
    killed: bool = False

    @property
    def reading(self) -> SlotReading:
        """Return what it states."""
        return self.slot.reading()


@dataclass(slots=True)
class _Place:
    """A process that should run, such as the second worker.

    Attributes:
        role: What it does.
        number: Of those of its role.
        current: The process that has the place.
        successor: The one that will replace it.
        due: When to start the next, where there is none.
        pause: Before the last start.
    """

    role: Role
    number: int
    current: _Process | None = None
    successor: _Process | None = None
    due: float = 0.0
    pause: float = 0.0

    @property
    def name(self) -> str:
        """Return its name in the log."""
        return f"worker {self.number}" if self.role is Role.WORKER else self.role.value

    @property
    def processes(self) -> tuple[_Process, ...]:
        """Return those that run."""
        return tuple(each for each in (self.current, self.successor) if each is not None)


class Supervisor:
    """The supervisor of one gate; run it in the main thread of a process without others.

    Args:
        load: Reads the configuration, at the start and for each restart.
        report: Tells the operator what is missing or wrong.

    Raises:
        StartError: The configuration, or an address in it, cannot be used.
    """

    def __init__(self, load: Load, report: Report) -> None:
        self._load, self._report = load, report
        with start_errors():
            config, trust = load()
        self._sockets = Sockets.bind(config)
        self._config, self._trust = self._sockets.named(config), trust
        self._board = Scoreboard(2 * config.workers + _SPARE_SLOTS)
        self._places = [_Place(Role.POLICIES, 1), _Place(Role.WRITER, 1)]
        self._places += [_Place(Role.WORKER, number + 1) for number in range(config.workers)]
        self._rolling: list[_Place] = []
        self._leaving: list[_Place] = []
        self._rolled_at = 0.0
        self._ready_file = ReadyFile(config.ready_file)
        self._announced = self._was_ready = False
        self._stopping = self._hurried = False
        self._status = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        gc.collect()
        gc.freeze()  # so that collections in the processes copy no page of what they share
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            while not self._done():
                self._supervise()
                found = signal.sigtimedwait(_SIGNALS, self._wait_seconds())
                if found is not None:
                    self._signalled(signal.Signals(found.si_signo))
        finally:
            for process in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            remove(self._config.ready_file)
            self._sockets.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self._status

    def _done(self) -> bool:
        return self._stopping and not any(self._processes())

    def _processes(self) -> Iterator[_Process]:
        for place in (*self._places, *self._leaving):
            yield from place.processes

    def _wait_seconds(self) -> float:
        """Return how long to wait for a signal: a second while nothing changes."""
        calm = self._was_ready and not self._stopping and not self._rolling
        calm = calm and not self._leaving and all(each.current for each in self._places)
        return _IDLE_SECONDS if calm else _BUSY_SECONDS

    def _signalled(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP and not self._stopping:
            self._restart()
        elif number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping and not self._hurried:
                log.warning("a second signal: stopping at once")
                self._hurried = True
                for process in self._processes():
                    process.end_by = None
                    self._end(process, _HURRY_SECONDS)
            if not self._stopping:
                log.info("stopping; what is in flight may take %d s", self._config.stop_seconds)
            self._stopping = True

    # ---- one round of supervision ----

    def _supervise(self) -> None:
        """Reap, kill, start, and replace processes as far as that is possible now."""
        now = time.monotonic()
        for place in (*self._places, *self._leaving):
            self._reap(place, now)
        self._leaving = [each for each in self._leaving if each.processes]
        for process in self._processes():
            self._kill_if_stuck(process, now)
        if self._stopping:
            self._stop()
            return
        for place in self._places:
            if place.current is None and now >= place.due:
                place.current = self._start(place)
        self._announce()
        if self._rolling:
            self._roll(self._rolling[0])

    def _start(self, place: _Place, *, replaces: bool = False) -> _Process | None:
        """Start a process for a place; ``None`` where that is not possible now."""
        slot = next((each for each in self._board.slots if not each.pid), None)
        if slot is None:
            log.error("%s is not started: every slot is in use", place.name)
            return None
        slot.begin(place.role, place.number)
        setup = Setup(self._config, self._trust, self._board, slot, self._sockets.metrics, replaces)
        try:
            pid = fork(setup, place.role, place.name, _SIGNALS, self._report)
        except OSError as error:
            log.error("%s is not started: %s", place.name, error.strerror)  # noqa: TRY400
            place.due = time.monotonic() + _LONGEST_PAUSE
            return None
        slot.take(pid)
        return _Process(pid, slot, time.monotonic())

    def _reap(self, place: _Place, now: float) -> None:
        for process in place.processes:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if not pid:
                continue
            code = os.waitstatus_to_exitcode(status)
            self._retire(process)
            expected = process.end_by is not None
            if process is place.successor:
                place.successor = None
                if not expected:
                    self._abandon(place, f"ended with status {code}")
                continue
            place.current, place.successor = place.successor, None
            if not expected:
                self._restart_later(place, process, code, now)

    def _restart_later(self, place: _Place, process: _Process, code: int, now: float) -> None:
        if code == START_FAILED and not self._was_ready:
            self._status, self._stopping = START_FAILED, True
            return
        steady = now - process.started > _STEADY_SECONDS
        place.pause = 0.0 if steady else min(max(place.pause * 2, 0.1), _LONGEST_PAUSE)
        place.due = now + place.pause
        log.error(
            "%s (pid %d) ended with status %d; it is restarted", place.name, process.pid, code
        )

    def _retire(self, process: _Process) -> None:
        """Keep what an ended process counted, so that no counter goes back."""
        retired = self._board.retired.metrics
        found = [summed_metrics.read(each.read()) for each in (retired, process.slot.metrics)]
        retired.write(summed_metrics.write(summed_metrics.counted(found)))
        process.slot.end()

    def _kill_if_stuck(self, process: _Process, now: float) -> None:
        silent = process.reading.silent
        late = process.end_by is not None and now > process.end_by
        if not process.killed and (late or (silent > HUNG_SECONDS and process.end_by is None)):
            process.killed = True
            log.error("process %d does not answer (%.0f s); it is killed", process.pid, silent)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _end(self, process: _Process, seconds: float) -> None:
        """Ask a process to end, once."""
        if process.end_by is None:
            process.end_by = time.monotonic() + seconds
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)

    @property
    def _end_seconds(self) -> float:
        return self._config.stop_seconds + _STOP_SECONDS

    def _stop(self) -> None:
        """End the workers, then what they need."""
        workers = [*self._leaving, *(each for each in self._places if each.role is Role.WORKER)]
        running = [process for place in workers for process in place.processes]
        for process in running or list(self._processes()):
            self._end(process, self._end_seconds)

    def _announce(self) -> None:
        readings = [each.current.reading for each in self._places if each.current is not None]
        if len(readings) < len(self._places):
            return
        workers = [each for each in readings if each.role is Role.WORKER]
        if not self._announced and all(each.listening for each in workers):
            self._announced = True
            log.info("gate on %s, metrics on %s", self._config.listen, self._config.metrics)
        if not self._was_ready and all(each.ready for each in readings):
            self._was_ready = True
            log.info("ready: %d workers", len(workers))
        if self._was_ready:
            self._ready_file.write(self._config.listen, self._config.metrics)

    # ---- a restart, one process after the other ----

    def _restart(self) -> None:
        """Read the configuration again and begin to replace every process."""
        try:
            with start_errors():
                config, trust = self._load()
            config = self._sockets.named(config)
            if config.workers < 2 or 2 * config.workers + _SPARE_SLOTS > len(self._board.slots):
                raise StartError(f"workers: {config.workers}: so many need a restart of the gate")
        except StartError as error:
            log.error("nothing is restarted: %s", error)  # noqa: TRY400 - the message is enough
            return
        log.info("restarting one process after the other")
        self._config, self._trust = config, trust
        self._resize(config.workers)
        self._rolling, self._rolled_at = list(self._places), time.monotonic()

    def _resize(self, wanted: int) -> None:
        workers = [each for each in self._places if each.role is Role.WORKER]
        for place in workers[wanted:]:
            self._places.remove(place)
            self._leaving.append(place)
            for process in place.processes:
                self._end(process, self._end_seconds)
        for number in range(len(workers), wanted):
            self._places.append(_Place(Role.WORKER, number + 1))

    def _roll(self, place: _Place) -> None:
        """Take the next step of replacing one process."""
        current, successor = place.current, place.successor
        if place not in self._places:
            self._rolling.remove(place)
        elif current is None or current.started > self._rolled_at:
            # The successor took the place, or a process started since to replace a dead one did.
            if current is not None and successor is None and current.reading.ready:
                self._rolling.remove(place)
                if not self._rolling:
                    log.info("every process was restarted")
        elif successor is None:
            place.successor = self._start(place, replaces=True)
            if place.successor is None:
                self._abandon(place, "cannot be started")
        elif place.role is Role.WRITER:  # its successor waits for the lock that it holds
            self._end(current, self._end_seconds)
        elif successor.reading.ready:
            self._leaving.append(_Place(place.role, place.number, current))
            self._end(current, self._end_seconds)
            place.current, place.successor = successor, None

    def _abandon(self, place: _Place, why: str) -> None:
        """End a restart where a new process failed; those that are not replaced stay."""
        self._rolling = []
        log.error("the restart ends here: the new %s %s; the others stay", place.name, why)
