"""Parses large bodies in a process of its own: ``python -m sidecar.gate.worker``.

Input: a head (two lengths), a pickled task without its bytes, then the bytes. Output: a head and
the pickled result or refusal. The worker exits when its input ends, so it never outlives its gate.
It runs at a lower priority, so that large bodies do not slow small requests.
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
from sidecar.extract.batch_lines import Block, BlockCalls, read_block
from sidecar.extract.parsed_request import ParsedRequest, ReadOptions, Refusal, parse

log = logging.getLogger("sidecar.gate.worker_pool")

HEAD = struct.Struct(">IQ")


WorkerTask = ReadOptions | Block
"""How to read the bytes that follow: as a ``CheckRequest``, or as lines of a batch file."""

WorkerResult = ParsedRequest | BlockCalls | Refusal


_NICE = 5


def main() -> None:
    """Run tasks until the input ends."""
    os.nice(_NICE)
    gc.disable()  # a parsed body has no cycles, and searching for them would take most of the time
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(HEAD.size):
        size, length = HEAD.unpack(head)
        result = pickle.dumps(_result(source, size, length))
        sink.write(HEAD.pack(len(result), 0) + result)
        sink.flush()


def _result(source: BinaryIO, size: int, length: int) -> WorkerResult:
    task: WorkerTask = pickle.loads(source.read(size))  # noqa: S301 - from the gate itself
    data = source.read(length)
    try:
        if isinstance(task, Block):
            return read_block(replace(task, data=data))
        return parse(pb.CheckRequest.FromString(data), task)
    except AdmissibilityError as error:
        return error.reason, error.message
    except Exception:
        log.exception("a large body could not be parsed")
        return Reason.INTERNAL_ERROR, "the gate failed"


if __name__ == "__main__":
    main()
