"""Runs plans in a child process, and reads what it reports and what it logged.

Theory of operation. The child (``child``) holds Inspect and none of this project. It gets plans, an
environment without a single variable of this process, and for each plan a folder with an empty
``.env``, so that no setting from elsewhere has a part in the run. It keeps its log in that folder;
a run that was killed goes on where it was. The child scores nothing: the answers are read from its
log, and must be exactly those that the plan asked for (``inspect_log``).

An evaluation that is due again has the plan of the last one, and its folder. So a folder states
when its run began, and its answers are used only for a while: what is asked once a quarter must not
be answered from the quarter before.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.core.window import parse_instant, rfc3339
from sidecar.durable.files import write_atomically
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.runner.inspect_log import AnswerLog, check_ended, read_log
from sidecar.evaluation.runner.plan import Bounds, Plan, Route

CHILD = Path(__file__).parent / "child.py"
_COMPLETE = "complete"
"""File in a run's folder: digest and name of the log that holds an answer to every case.

In the form of ``sha256sum``, so that ``sha256sum -c complete`` checks it there.
"""
_BEGUN = "begun"
"""Likewise: when the first of its cases was asked, RFC 3339."""
_PLAN = "plan.json"
_LOCK_SECONDS = 5.0
_SHOWN_LINES = 3
_SHOWN_CHARS = 500


@dataclass(slots=True)
class Usage:
    """What a run used: while it lasts, as far as it was reported; then, what its log states.

    ``begun`` is when its first case was asked, in an earlier run if it goes on where that was.
    Tokens and seconds are, in the end, those of every answer in the log; ``calls`` are of this run
    alone, with those that were refused or timed out and tried again, which state no tokens.
    """

    begun: datetime
    done: int = 0
    total: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


OnProgress = Callable[[Usage], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A plan, the route on which it is asked, and what to call after each answer and each call."""

    plan: Plan
    route: Route
    on_progress: OnProgress = lambda _: None


@dataclass(slots=True)
class _Run:
    """A job in its folder; ``log`` is there once every case has an answer."""

    job: Job
    folder: Path
    usage: Usage
    log: AnswerLog | None = None


def run_all(
    python: Path,
    jobs: Sequence[Job],
    runs: Path,
    bounds: Bounds,
    *,
    now: datetime,
    restart: bool = False,
) -> list[tuple[AnswerLog, Usage]]:
    """Put every case of each plan to its model, plan by plan in one child; return the answers.

    Args:
        python: Interpreter of the environment that holds Inspect.
        jobs: What is asked, and where.
        runs: Folder of all runs.
        bounds: How hard it is tried.
        now: The reference time.
        restart: Forget the answers of earlier runs of these plans.

    Raises:
        EvaluationError: Not every case has an answer that its model ended itself, or a log is not
            of its plan. What was answered before is kept.
    """
    with ExitStack() as locks:
        held, descriptors = [], []
        for job in jobs:
            folder = job.plan.folder(runs)
            descriptors.append(locks.enter_context(_locked(folder)))
            held.append(_begin(job, folder, bounds, now, restart=restart))
        pending = [run for run in held if run.log is None]
        if pending:
            _child(python, pending, descriptors)
    found = []
    for run in held:
        assert run.log is not None
        usage = run.usage
        usage.done, usage.seconds = usage.total, run.log.seconds
        usage.input_tokens, usage.output_tokens = run.log.input_tokens, run.log.output_tokens
        run.job.on_progress(usage)
        found.append((run.log, usage))
    return found


def _begin(job: Job, folder: Path, bounds: Bounds, now: datetime, *, restart: bool) -> _Run:
    """Prepare a folder, or read the log that an earlier run completed in it."""
    begun = None if restart else _begun(folder, now - bounds.reuse, now)
    if begun is None:
        (folder / _COMPLETE).unlink(missing_ok=True)
        shutil.rmtree(folder / "logs", ignore_errors=True)
        write_atomically(folder / _BEGUN, rfc3339(now).encode(), mode=0o600)
    run = _Run(job, folder, Usage(begun or now, total=len(job.plan.samples)))
    if (folder / _COMPLETE).exists():
        run.log = _completed(folder, job.plan)
        check_ended(job.plan.task, run.log)
    else:
        (folder / ".env").touch()
        plan = job.plan.write(folder, job.route, bounds)
        write_atomically(folder / _PLAN, plan, mode=0o600)
    return run


def _completed(folder: Path, plan: Plan) -> AnswerLog:
    """Read the log of a run that has ended, as it was then.

    Raises:
        EvaluationError: It was changed since.
    """
    digest, _, name = (folder / _COMPLETE).read_text("utf-8").strip().partition("  ")
    path = _log_path(folder, name)
    log = read_log(path, plan)
    if log.digest != digest:
        raise EvaluationError(
            f"{path}: was changed since the run ended: its SHA-256 is {log.digest}, and was"
            f" {digest or 'not noted'}; --restart asks everything again"
        )
    return log


def _begun(folder: Path, earliest: datetime, now: datetime) -> datetime | None:
    """Return when the run in a folder began; ``None`` unless it is there and not too old."""
    try:
        found = parse_instant((folder / _BEGUN).read_text("ascii"))
    except (OSError, ValueError):
        return None
    return found if earliest <= found <= now else None


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder; the child inherits the lock, so that it is held until the child ended."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as file:
        deadline = time.monotonic() + _LOCK_SECONDS  # a child that was killed takes a moment
        while not _lock(file.fileno()):
            if time.monotonic() > deadline:
                raise EvaluationError(
                    f"{folder}: another run of this plan is under way; wait for its end"
                )
            time.sleep(0.05)
        yield file.fileno()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _child(python: Path, pending: list[_Run], locks: list[int]) -> None:
    """Run the child until each run has its log."""
    home = pending[0].folder
    variables = {
        "HOME": str(home.absolute()),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    failed = ""
    with (
        (home / "output.txt").open("wb") as output,
        subprocess.Popen(
            [
                *(str(python), "-I", str(CHILD)),
                *(str(run.folder.absolute() / _PLAN) for run in pending),
            ],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            pass_fds=locks,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = json.loads(line)
                failed = _take(event, pending[event["plan"]]) or failed
        except BaseException:
            process.terminate()
            raise
    if failed or any(run.log is None for run in pending):
        reason = _short(failed) if failed else _last_lines(home / "output.txt")
        raise EvaluationError(
            f"the run did not end well ({reason}); the same command goes on where it was"
        )


def _take(event: dict[str, Any], run: _Run) -> str:
    """Take in one event of a run; return why it did not end well, empty unless it ended so.

    Raises:
        EvaluationError: The run ended well, and its log is not of its plan, or holds answers that
            the model did not end itself.
    """
    usage = run.usage
    match event["event"]:
        case "sample":
            usage.done += not event["error"]
        case "retry":
            usage.calls += 1
        case "usage":
            usage.calls += 1
            usage.input_tokens += event["input"]
            usage.output_tokens += event["output"]
            usage.seconds += event["seconds"]
        case _ if not event["good"]:
            return str(event["error"] or "no error is stated")
        case _:
            path = _log_path(run.folder, str(event["log"]))
            run.log = read_log(path, run.job.plan)
            line = f"{run.log.digest}  logs/{path.name}\n"
            write_atomically(run.folder / _COMPLETE, line.encode(), mode=0o600)
            check_ended(run.job.plan.task, run.log)
    run.job.on_progress(usage)
    return ""


def _log_path(folder: Path, name: str) -> Path:
    """Return the path of the log, which must lie in the run's own folder."""
    path = folder / "logs" / Path(name).name
    if not path.is_file():
        raise EvaluationError(f"{folder}: the run left no log")
    return path


def _short(error: str) -> str:
    """Return the last line of an error: Inspect puts the whole request before it."""
    last = error.replace("\\n", "\n").strip().splitlines()[-1]
    return last[:_SHOWN_CHARS]


def _last_lines(path: Path) -> str:
    lines = [line.strip() for line in path.read_text("utf-8", errors="replace").splitlines()]
    return " ".join([line for line in lines if line][-_SHOWN_LINES:]) or "no output"
