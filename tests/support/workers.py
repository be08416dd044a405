"""Runs the tests in processes that are forked after one collection: ``-p tests.support.workers``.

Theory of operation. The modules of tests are imported and their items collected once, then
``--workers`` processes are forked. Each asks for one file of tests after another, so that what a
file shares is started once, and sends each report as it comes. An item that was given out and has
no report fails: a worker that dies loses nothing silently. A module that starts a thread when it is
imported would be forked in the midst of it, so that is an error.
"""

from __future__ import annotations

import atexit
import itertools
import os
import random
import signal
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, NoReturn

import pytest
from _pytest.capture import CaptureManager
from _pytest.tmpdir import TempPathFactory

Batch = Sequence[pytest.Item]
"""Items that one worker runs one after another."""
Message = tuple[str, Any]
"""The name of a pytest hook and its arguments, or one of the three below."""
WANT, END, ERROR = "want", "end", "error"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the number of workers, and what one of them is given at a time."""
    group = parser.getgroup("workers")
    group.addoption("--workers", type=int, default=0, help="processes that run the tests")
    group.addoption("--spread-tests", action="store_true", help="give out tests, not whole files")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all items in workers; without ``--workers``, leave them to pytest."""
    option = session.config.option
    if not option.workers or option.collectonly or session.testsfailed or not session.items:
        return None
    threads = len([*Path("/proc/self/task").iterdir()])
    if threads > 1:
        raise pytest.UsageError(f"threads started by imports of test modules: {threads - 1}")
    batches = _batches(session.items, whole_files=not option.spread_tests)
    _Run(session, batches).run(min(option.workers, len(batches)))
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


def _batches(items: Batch, *, whole_files: bool) -> tuple[Batch, ...]:
    files: dict[object, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path if whole_files else item.nodeid, []).append(item)
    return tuple(files.values())


# ---- The process that collected ------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    number: int
    pid: int
    pidfd: int
    """Readable once the process has ended, even if a child of its own holds the connection."""
    connection: Connection
    given: dict[str, pytest.Item] = field(default_factory=dict)
    """Items that were given out and have not finished, by node id."""


class _Run:
    def __init__(self, session: pytest.Session, batches: Sequence[Batch]) -> None:
        self.session = session
        self.batches = batches
        self.next = iter(range(len(batches)))
        self.workers: dict[Connection, _Worker] = {}

    def run(self, count: int) -> None:
        """Fork the workers and pass their reports on until each has ended."""
        base = self.session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        for number in range(count):
            (base / f"w{number}").mkdir()
            self._fork(number)
        try:
            while self.workers:
                ready = set(wait([*self.workers, *(one.pidfd for one in self.workers.values())]))
                for worker in list(self.workers.values()):
                    if worker.connection in ready:
                        self._receive(worker)
                    elif worker.pidfd in ready:
                        self._ended(worker)
        finally:
            for worker in self.workers.values():
                os.kill(worker.pid, signal.SIGINT)
                os.waitpid(worker.pid, 0)
        for item in (item for number in self.next for item in self.batches[number]):
            if not self._stopping():
                self._fail(item.nodeid, "no worker was left to run it")

    def _fork(self, number: int) -> None:
        here, there = Pipe()
        pid = os.fork()
        if not pid:
            here.close()
            for worker in self.workers.values():
                worker.connection.close()
            _Child(self.session, self.batches, there, number).main()
        there.close()
        self.workers[here] = _Worker(number, pid, os.pidfd_open(pid), here)

    def _receive(self, worker: _Worker) -> None:
        config = self.session.config
        try:
            name, data = worker.connection.recv()
        except (EOFError, OSError):
            name, data = END, None
        if name == WANT:
            number = None if self._stopping() else next(self.next, None)
            worker.given |= {} if number is None else {i.nodeid: i for i in self.batches[number]}
            with suppress(OSError):
                worker.connection.send(number)
        elif name == END:
            self._ended(worker)
        elif name == ERROR:
            self._fail(f"worker {worker.number}", data)
        elif name == "pytest_runtest_logreport":
            report = config.hook.pytest_report_from_serializable(config=config, data=data)
            config.hook.pytest_runtest_logreport(report=report)
        elif name == "pytest_warning_recorded":
            config.hook.pytest_warning_recorded.call_historic(kwargs=data)
        else:
            if name == "pytest_runtest_logfinish":
                worker.given.pop(data["nodeid"], None)
            getattr(config.hook, name)(**data)

    def _ended(self, worker: _Worker) -> None:
        del self.workers[worker.connection]
        worker.connection.close()
        os.close(worker.pidfd)
        _, status = os.waitpid(worker.pid, 0)
        if status and not self._stopping():
            self._fail(f"worker {worker.number}", f"it ended with wait status {status}")
        if not self._stopping():
            for nodeid in worker.given:
                self._fail(nodeid, f"worker {worker.number} ended before it had finished")

    def _stopping(self) -> bool:
        return bool(self.session.shouldfail or self.session.shouldstop)

    def _fail(self, nodeid: str, why: str) -> None:
        location = (nodeid.partition("::")[0], None, nodeid)
        report = pytest.TestReport(nodeid, location, {}, "failed", why, "call")
        self.session.config.hook.pytest_runtest_logreport(report=report)


# ---- A worker ------------------------------------------------------------------------------------


class _Child:
    """A forked process. It is a plugin of pytest, which sends what the terminal would show."""

    def __init__(
        self,
        session: pytest.Session,
        batches: Sequence[Batch],
        connection: Connection,
        number: int,
    ) -> None:
        self.session = session
        self.batches = batches
        self.connection = connection
        self.number = number

    def main(self) -> NoReturn:
        """Run batches until there are no more, and exit without the rest of the parent's stack."""
        status = 1
        try:
            self._separate()
            with suppress(KeyboardInterrupt):
                self._run()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self.session._setupstate.teardown_exact(None)
            self.session.config._ensure_unconfigure()
            atexit._run_exitfuncs()
            status = 0
        except BaseException:  # noqa: BLE001 - nothing may reach the parent's frames
            with suppress(OSError):
                self.connection.send((ERROR, traceback.format_exc()))
        finally:
            with suppress(OSError):
                self.connection.send((END, None))
            os._exit(status)

    def _separate(self) -> None:
        """Share nothing that is written: captured output, temporary folders, random numbers."""
        config = self.session.config
        random.seed()
        factory: TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]
        factory._basetemp = factory.getbasetemp() / f"w{self.number}"
        capture: CaptureManager = config.pluginmanager.getplugin("capturemanager")
        if capture.is_globally_capturing():
            capture.stop_global_capturing()
            capture.start_global_capturing()
            capture.suspend_global_capture()
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(self, "worker")

    def _run(self) -> None:
        for item, following in self._items():
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.session.shouldfail or self.session.shouldstop:
                return

    def _items(self) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
        """Yield each item with the next one, which is asked for before the last of a batch runs."""
        batch = self._batch()
        while batch:
            yield from itertools.pairwise(batch)
            after = self._batch()
            yield batch[-1], after[0] if after else None
            batch = after

    def _batch(self) -> Batch:
        self.connection.send((WANT, None))
        number = self.connection.recv()
        return () if number is None else self.batches[number]

    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        self.connection.send(("pytest_runtest_logstart", {"nodeid": nodeid, "location": location}))

    def pytest_runtest_logfinish(self, nodeid: str, location: object) -> None:
        self.connection.send(("pytest_runtest_logfinish", {"nodeid": nodeid, "location": location}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self.session.config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self.connection.send(("pytest_runtest_logreport", data))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: object
    ) -> None:
        warning = warnings.WarningMessage(
            str(warning_message.message),
            warning_message.category,
            warning_message.filename,
            warning_message.lineno,
        )
        data = {"warning_message": warning, "when": when, "nodeid": nodeid, "location": location}
        self.connection.send(("pytest_warning_recorded", data))
