"""Binders as processes of their own, and what they know."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.binder import config as binder_config
from sidecar.binder.job_records import JobRecords, Progress
from tests.process.cli.admit import PROGRAM
from tests.support.site.talk import until


class Serving:
    """A binder in a process of its own, and what it logged so far."""

    def __init__(self, config: Path, **variables: str) -> None:
        self.log = config.with_suffix(".log")
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [PROGRAM, "binder", "serve", "--config", config, "--log-format", "json"],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=config.parent,
                env={"PATH": os.environ["PATH"], **variables},
            )

    def lines(self) -> list[dict[str, str]]:
        found = self.log.read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in found if line.endswith(b"\n")]

    def url(self, what: str) -> str:
        """Where it listens, as its first line states."""

        def listening() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return any("admin on" in line["message"] for line in self.lines())

        assert until(listening, expected=True)
        line = next(each["message"] for each in self.lines() if "admin on" in each["message"])
        return line.partition(f"{what} on ")[2].split(",")[0].strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def binders(*configs: Path, **variables: str) -> Iterator[list[Serving]]:
    running = [Serving(each, **variables) for each in configs]
    try:
        yield running
    finally:
        for each in running:
            each.kill()


def bound(config: Path) -> list[str]:
    """The jobs that a binder has bound, by its records.

    Read here and not by `admit binder jobs`: tests ask until it is so, and each asks that once.
    """
    found = JobRecords(binder_config.load(config).state).all()
    return [each.job for each in found if each.progress is Progress.BOUND]
