"""What a process states is read whole, and ends with it."""

from __future__ import annotations

import os

from sidecar.service.scoreboard import METRICS_BYTES, Role, Scoreboard


def test_a_record_is_read_whole_while_another_process_writes_it() -> None:
    slot = Scoreboard(1).slots[0]
    pid = os.fork()
    if not pid:
        for number in range(20_000):
            slot.metrics.write(bytes([number % 200]) * (1 + number % 500))
        os._exit(0)
    found = {len({*slot.metrics.read()}) for _ in range(2_000)}
    assert os.waitpid(pid, 0)[1] == 0
    assert found <= {0, 1}
    assert slot.metrics.read() == bytes([19_999 % 200]) * (1 + 19_999 % 500)


def test_a_record_that_does_not_fit_leaves_the_one_before() -> None:
    slot = Scoreboard(1).slots[0]
    assert slot.metrics.write(b"first")
    assert not slot.metrics.write(b" " * (METRICS_BYTES + 1))
    assert slot.metrics.read() == b"first"


def test_a_slot_shows_its_process_until_that_has_ended() -> None:
    board = Scoreboard(2)
    slot = board.slots[1]
    slot.begin(Role.WORKER, 1)
    assert [*board.running()] == []
    slot.take(7)
    slot.beat(ready=True, listening=True, epoch=3, flying=2)
    slot.metrics.write(b"counts")
    (found,) = board.running(Role.WORKER)
    assert (found.pid, found.ready, found.listening, found.epoch, found.in_flight) == (
        7,
        True,
        True,
        3,
        2,
    )
    assert [*board.running(Role.WRITER)] == []
    slot.end()
    assert [*board.running()] == []
    slot.begin(Role.WRITER, 1)
    assert slot.metrics.read() == b""
    assert not slot.reading().ready


def test_the_policies_in_force_are_those_of_one_process() -> None:
    board = Scoreboard(2)
    assert board.policies is None
    board.put_policies_in_force(board.slots[1])
    assert board.policies is board.slots[1]
