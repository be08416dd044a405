"""Shows on a terminal how much of large files was hashed, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sidecar.binding import model_files
from sidecar.cli.plain_console import PlainConsole

_STEP_BYTES = 1 << 20


@contextmanager
def hashing(
    label: str, total: int, *, quiet: bool, verb: str = "Hashing"
) -> Iterator[model_files.Progress]:
    """Return what is called with each number of bytes that were read.

    Args:
        label: What is hashed, for people.
        total: Bytes to read.
        verb: What is done with it.
        quiet: Show nothing. Nothing is shown either where stderr is no terminal.
    """
    console = PlainConsole(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(f"{verb} {label}", total=total)
        pending = 0

        def advance(count: int) -> None:
            nonlocal pending
            pending += count
            # A line of a corpus costs less to read than to show.
            if pending >= _STEP_BYTES:
                bar.advance(task, pending)
                pending = 0

        yield advance
        bar.advance(task, pending)


def sizes(paths: Sequence[Path]) -> int:
    """Return the bytes of files together; one that is not there is reported when it is read."""
    return sum(path.stat().st_size for path in paths if path.is_file())
