"""Runs a long command and shows its progress: seconds passed, and a summary of its log."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from sidecar.opa.errors import ProgramError

_TICK_SECONDS = 1.0
_QUIET_TICK_SECONDS = 10.0  # a log file needs no line a second

Summary = Callable[[str], str]


def run_shown(
    command: Sequence[str],
    *,
    label: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    summary: Summary = lambda _log: "",
    out: TextIO | None = None,
) -> None:
    """Run `command` with its output in `log`, ticking on `out` until it ends.

    Args:
        command: Program and arguments; never a shell line.
        label: What is being done, for the person who waits.
        log: File that receives both output streams.
        environment: The whole environment of the command; inherited where None.
        summary: Makes a few words of progress from the log's text.
        out: Where to show progress; standard error where None.

    Raises:
        ProgramError: The command could not be started or failed; names its last line and the log.
    """
    ticker = _Ticker(label=label, log=log, summary=summary, out=out or sys.stderr)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
            )
        except OSError as error:
            raise ProgramError(f"{label}: {command[0]} cannot be run ({error})") from error
        try:
            ticker.watch(child)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode != 0:
        lines = ticker.read().strip().splitlines() or ["no output"]
        raise ProgramError(f"{label} failed: {lines[-1].strip()} (all of it: {log})")
    ticker.done()


@dataclass(slots=True, kw_only=True)
class _Ticker:
    """Shows one running command on one line (a terminal) or a line now and then (a log)."""

    label: str
    log: Path
    summary: Summary
    out: TextIO
    started: float = field(default_factory=time.monotonic)

    def watch(self, child: subprocess.Popen[bytes]) -> None:
        tick = _TICK_SECONDS if self.out.isatty() else _QUIET_TICK_SECONDS
        while True:
            words = ", ".join(filter(None, (self._passed(), self.summary(self.read()))))
            self._show(f"{self.label}: {words}", end="")
            try:
                child.wait(timeout=tick)
            except subprocess.TimeoutExpired:
                continue
            return

    def done(self) -> None:
        self._show(f"{self.label}: done in {self._passed()}", end="\n")

    def read(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _passed(self) -> str:
        return f"{time.monotonic() - self.started:.0f} s"

    def _show(self, line: str, *, end: str) -> None:
        self.out.write(f"\r\x1b[K{line}{end}" if self.out.isatty() else f"{line}\n")
        self.out.flush()
