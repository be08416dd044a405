"""A load that does not go on is an error with its reason; the benchmark once waited for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.bench.loading import until_loaded
from tests.bench.wrk import VoidError


def _status(manifests: int, waiting: int, *not_ready: str) -> dict[str, Any]:
    evidence: dict[str, Any] = {"manifests": manifests, "waiting": waiting, "rejected": 0}
    evidence |= {"problems": [], "rejections": []}
    return {"ready": not not_ready, "not_ready": [*not_ready], "evidence": evidence}


class _Time:
    """A clock that sleeping sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 60 * seconds


def _wait(statuses: Iterator[dict[str, Any]], manifests: int) -> float:
    time = _Time()
    until_loaded(lambda: next(statuses), manifests, time.read, time.sleep)
    return time.now


def test_a_load_is_waited_for_while_it_goes_on() -> None:
    loading = (_status(number, 9 - number, "the gate is starting") for number in range(9))
    ready = iter([*loading, _status(8, 1), _status(9, 0)])
    assert _wait(ready, 9) == 300.0


def test_a_load_that_does_not_go_on_is_an_error_with_its_reason() -> None:
    def forever() -> Iterator[dict[str, Any]]:
        while True:
            yield _status(3, 0, "not read yet: regulator")

    with pytest.raises(VoidError, match=r"9 manifests expected, found .*3.*not read yet: regul"):
        _wait(forever(), 9)


def test_a_ready_gate_that_knows_too_few_is_an_error() -> None:
    def forever() -> Iterator[dict[str, Any]]:
        while True:
            yield _status(1, 0)

    with pytest.raises(VoidError, match=r"found .*1"):
        _wait(forever(), 2)
