"""Writes questions as JSON for OPA, and does not write again what is the same object as before.

What an assessment proved is the same objects for each call that it admits (``core.reuse``), and
most of the JSON. A question is its *stem*, everything but the time and the nonce, and an end.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from sidecar.core.facts import Facts, plain

MAX_KEPT = 4096
"""Values whose JSON is kept; each is a few KiB."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


class FactsWriter:
    """Writes facts; to be used inside one event loop.

    Args:
        most: How many values are kept with their JSON; the least recently used is dropped.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        # The value is kept beside its JSON, so that no other object gets its identity.
        self._kept: OrderedDict[int, tuple[Any, str]] = OrderedDict()

    def stem(self, facts: Facts) -> str:
        """Return the JSON of facts up to their time and nonce; equal for equal questions."""
        return (
            f'{{"request":{self._once(facts.request)},'
            f'"environment":{self._once(facts.environment)},'
            f'"adaptations":{self._once(facts.adaptations)},'
            f'"deployments":{self._once(facts.deployments)},'
            f'"waivers":{self._once(facts.waivers)},'
        )

    def _once(self, value: Any) -> str:  # noqa: ANN401 - a dataclass, or a tuple of them
        if value == ():
            return "[]"
        found = self._kept.get(id(value))
        if found is None:
            found = self._kept[id(value)] = (value, _encode(plain(value)))
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(id(value))
        return found[1]


def whole(stem: str, now: str, nonce: str) -> str:
    """Return the JSON of the facts with this stem, at a time and with a nonce."""
    return f'{stem}"now":{_encode(now)},"nonce":{_encode(nonce)}}}'


def one(facts: str) -> bytes:
    """Return the body of a query about one question."""
    return f'{{"input":{facts}}}'.encode()


def several(questions: Iterable[tuple[str, str]]) -> bytes:
    """Return the body of a query about several: each nonce with its facts."""
    pairs = ",".join(f"{_encode(nonce)}:{facts}" for nonce, facts in questions)
    return f'{{"input":{{"questions":{{{pairs}}}}}}}'.encode()
