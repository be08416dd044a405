"""A command that runs until it is stopped notes the signal without a lock."""

from __future__ import annotations

import os
import signal
import threading

from sidecar.cli.follow_bundle import until_signalled


def test_a_signal_ends_every_wait_from_then_on() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with until_signalled() as wait:
        assert wait(0) is False
        os.kill(os.getpid(), signal.SIGTERM)
        assert [wait(30), wait(30)] == [True, True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_many_signals_in_the_middle_of_waits_block_nothing() -> None:
    """An event's lock is held for moments of each wait: among so many signals, one meets it."""
    ended = threading.Event()

    def send() -> None:
        while not ended.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send, daemon=True)
    with until_signalled() as wait:
        sender.start()
        assert all(wait(30) for _ in range(2_000))
        ended.set()
        sender.join()
