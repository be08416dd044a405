"""Shows how far long work has come, on the error stream of a terminal, once it takes a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sidecar.cli.plain_console import PlainConsole

_PATIENCE_SECONDS = 1.0
"""Work that ends sooner shows nothing."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while work goes on that calls what this yields with its number done, and of all.

    Args:
        what: What is done, such as "verifying evidence".
    """
    console = PlainConsole(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task, began = bar.add_task(what), time.monotonic()

    def advanced(done: int, of: int) -> None:
        bar.update(task, completed=done, total=of)
        if not bar.live.is_started and time.monotonic() - began >= _PATIENCE_SECONDS:
            bar.start()

    try:
        yield advanced
    finally:
        bar.stop()
