"""Ends a program of this repository on SIGTERM as on Ctrl-C: whatever it started is ended, too."""

from __future__ import annotations

import signal
from types import FrameType


def unwind_on_sigterm() -> None:
    """Raise ``KeyboardInterrupt`` at the first SIGTERM; later ones would interrupt the clean-up."""
    signal.signal(signal.SIGTERM, _unwind)


def _unwind(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
