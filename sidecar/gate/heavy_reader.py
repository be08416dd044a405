"""``python -m sidecar.gate.heavy_reader``: reads large bodies for the gate, one after the other.

A question is a head (two lengths), the pickled request without its body, and the body; an answer is
a head and the pickled call, or the refusal. The end of the input is the end of the reader, so it
never outlives its gate. It runs at a lower priority: whoever sends megabytes can wait a little.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import struct
import sys
from dataclasses import dataclass, replace
from typing import BinaryIO

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate.extract import extract
from sidecar.gate.http_request import HttpRequest

log = logging.getLogger("sidecar.gate.heavy")

HEAD = struct.Struct(">IQ")
Answer = Call | tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class Question:
    """What ``extract`` is asked; the body travels beside it."""

    request: HttpRequest
    max_bytes: int
    opened: frozenset[str] = frozenset()


_NICE = 5


def main() -> None:
    """Answer until the input ends."""
    os.nice(_NICE)
    gc.disable()  # a parsed body has no cycles, and looking for them is most of the work
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(HEAD.size):
        size, length = HEAD.unpack(head)
        answer = pickle.dumps(_answer(source, size, length))
        sink.write(HEAD.pack(len(answer), 0) + answer)
        sink.flush()


def _answer(source: BinaryIO, size: int, length: int) -> Answer:
    question: Question = pickle.loads(source.read(size))  # noqa: S301 - from the gate itself
    request = replace(question.request, raw_body=source.read(length))
    try:
        return extract(request, max_bytes=question.max_bytes, opened=question.opened)
    except AdmissibilityError as error:
        return error.reason, error.message
    except Exception:
        log.exception("a large body could not be read")
        return Reason.INTERNAL_ERROR, "the gate failed"


if __name__ == "__main__":
    main()
