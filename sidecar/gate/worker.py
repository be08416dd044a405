"""The worker process ``python -m sidecar.gate.worker``: parses large bodies, one at a time.

Input: a head (two lengths), a pickled question without its bytes, then the bytes. Output: a head
and the pickled answer or refusal. The worker ends with its input, so it never outlives its gate. It
runs at a lower priority, so that large bodies slow no small request.
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

from sidecar._pb import ext_authz_pb2 as pb
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
        return parse(pb.CheckRequest.FromString(data), question)
    except AdmissibilityError as error:
        return error.reason, error.message
    except Exception:
        log.exception("a large body could not be read")
        return Reason.INTERNAL_ERROR, "the gate failed"


if __name__ == "__main__":
    main()
