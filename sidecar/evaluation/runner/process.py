"""Runs a plan in a child process, and reads what it reports and what it logged.

Theory of operation. The child (``child``) holds Inspect and none of this project. It gets a plan,
an environment without a single variable of this process, and a folder with an empty ``.env``, so
that no setting from elsewhere has a part in the run. It keeps its log in that folder; a run that
was killed goes on where it was. The child scores nothing: the answers are read from its log, and
must be exactly those that the plan asked for (``inspect_log``).

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.core.window import parse_instant, rfc3339
from sidecar.durable.files import write_atomically
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.runner.inspect_log import AnswerLog, read_log
from sidecar.evaluation.runner.plan import Bounds, Plan, Route

CHILD = Path(__file__).parent / "child.py"
_COMPLETE = "complete"
"""File in a run's folder: the name of the log that holds an answer to every case."""
_BEGUN = "begun"
"""Likewise: when the first of its cases was asked, RFC 3339."""
_LOCK_SECONDS = 5.0
_SHOWN_LINES = 3
_SHOWN_CHARS = 500


@dataclass(slots=True)
class Usage:
    """What a run used, as far as it was reported; calls of an earlier, killed run are not in it.

    ``begun`` is when its first case was asked, in an earlier run if it goes on where that was.
    """

    begun: datetime
    done: int = 0
    total: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


OnProgress = Callable[[Usage], None]


def run(
    python: Path,
    plan: Plan,
    runs: Path,
    route: Route,
    bounds: Bounds,
    on_progress: OnProgress = lambda _: None,
    *,
    now: datetime,
    restart: bool = False,
) -> tuple[AnswerLog, Usage]:
    """Put every case to the model; return the answers.

    Args:
        python: Interpreter of the environment that holds Inspect.
        plan: What is asked.
        runs: Folder of all runs.
        route: Where, and with which credential.
        bounds: How hard it is tried.
        on_progress: Called after each answer and each call.
        now: The reference time.
        restart: Forget the answers of earlier runs of this plan.

    Raises:
        EvaluationError: Not every case has an answer, or the log is not of this plan.
    """
    folder = plan.folder(runs)
    with _locked(folder) as lock:
        begun = None if restart else _begun(folder, now - bounds.reuse, now)
        if begun is None:
            (folder / _COMPLETE).unlink(missing_ok=True)
            shutil.rmtree(folder / "logs", ignore_errors=True)
            write_atomically(folder / _BEGUN, rfc3339(now).encode(), mode=0o600)
        usage = Usage(begun or now, total=len(plan.samples))
        if (folder / _COMPLETE).exists():
            # Nothing is left to ask: the log is read, as it would be after the child.
            usage.done = usage.total
            on_progress(usage)
            return read_log(_log_path(folder, (folder / _COMPLETE).read_text("utf-8")), plan), usage
        (folder / ".env").touch()
        write_atomically(folder / "plan.json", plan.write(folder, route, bounds), mode=0o600)
        end = _child(python, folder, lock, usage, on_progress)
        path = _log_path(folder, str(end["log"]))
        log = read_log(path, plan)
        write_atomically(folder / _COMPLETE, path.name.encode(), mode=0o600)
    return log, usage


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


def _child(
    python: Path, folder: Path, lock: int, usage: Usage, on_progress: OnProgress
) -> dict[str, Any]:
    """Run the child; return its last event."""
    variables = {
        "HOME": str(folder.absolute()),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    end: dict[str, Any] = {}
    with (
        (folder / "output.txt").open("wb") as output,
        subprocess.Popen(
            [str(python), "-I", str(CHILD), str(folder.absolute() / "plan.json")],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            pass_fds=(lock,),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                end = _event(json.loads(line), usage) or end
                on_progress(usage)
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
    if status != 0 or not end.get("good"):
        told = _short(end["error"]) if end.get("error") else _last_lines(folder / "output.txt")
        raise EvaluationError(
            f"the run did not end well ({told}); the same command goes on where it was"
        )
    return end


def _event(event: dict[str, Any], usage: Usage) -> dict[str, Any] | None:
    match event["event"]:
        case "sample":
            usage.done += not event["error"]
        case "usage":
            usage.calls += 1
            usage.input_tokens += event["input"]
            usage.output_tokens += event["output"]
            usage.seconds += event["seconds"]
        case _:
            return event
    return None


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
