"""``python -m sidecar.gate.worker``: reads large bodies for the gate, one after the other.

What it gets is a head (two lengths), a pickled question without its bytes, and the bytes; what it
says is a head and what was found, pickled, or the refusal. The end of the input is the end of the
reader, so it never outlives its gate. It runs at a lower priority: whoever sends megabytes can wait
a little.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import struct
import sys
from dataclasses import replace
from typing import BinaryIO

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import Block, Found, read
from sidecar.extract.parsed_request import ParsedRequest, ReadOptions, Refusal, parse

log = logging.getLogger("sidecar.gate.worker_pool")

HEAD = struct.Struct(">IQ")


Question = ReadOptions | Block
"""What is asked about the bytes that travel beside it: a ``CheckRequest``, or lines."""

Answer = ParsedRequest | Found | Refusal


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
    data = source.read(length)
    try:
        if isinstance(question, Block):
            return read(replace(question, data=data))
        return parse(data, question)
    except AdmissibilityError as error:
        return error.reason, error.message
    except Exception:
        log.exception("a large body could not be read")
        return Reason.INTERNAL_ERROR, "the gate failed"


if __name__ == "__main__":
    main()
