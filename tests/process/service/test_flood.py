"""A flood of malformed requests: each gets its 4xx and its code, and the gate stays as it was.

``make test`` sends 40,000, ``make soak`` 100,000: the same check, held longer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from tests.contract.differential import bodies, forms
from tests.contract.differential.paths import TRICKS as PATHS
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import Lines, as_check_request, get_request

NUMBER = int(os.environ.get("ADMIT_FLOOD", "10000"))
AT_ONCE = 32
_PATIENCE_SECONDS, _STEADY = 20.0, 10
GROWTH_KIB = 28 << 10
"""What the allocators may still take once the first of the flood has gone by: threads that meet get
an arena each, some 18 MiB in all, once. Three kibibytes kept of each request would be more than
that after 10,000; the 100,000 of `make soak` show a third of one."""


HEADERS: dict[str, Lines] = {
    "partial": [("x-envoy-auth-partial-body", "true")],
    "two lengths": [("content-length", "1"), ("content-length", "2")],
    "no number": [("content-length", "0x10")],
    "gzip": [("content-encoding", "gzip")],
    "upgrade": [("upgrade", "websocket"), ("connection", "upgrade")],
    "two types": [("content-type", "application/json"), ("content-type", "text/plain")],
    "chunked twice": [("transfer-encoding", "chunked, chunked")],
    "other model": [("x-model", "gpt-4.1")],
    "other path": [("x-original-url", "/v1/files")],
    "imitated": [("x-admissibility-\u00e9", "x")],
    "two credentials": [("x-environment-credential", "a.b.c"), ("x-environment-credential", "d")],
    "no credential": [("x-environment-credential", "not.a.token")],
}


def malformed() -> Iterator[pb.CheckRequest]:
    """Every malformed request of the tables, once."""
    for body in bodies.TRICKS.values():
        yield as_check_request(
            path="/v1/responses", body=body, drop=() if body else ("content-type",)
        )
    for content_type, body in forms.TRICKS.values():
        yield as_check_request(
            path="/v1/audio/transcriptions",
            body=body or b" ",
            drop=("content-type",),
            headers=[("content-type", content_type)],
        )
    for path in PATHS.values():
        yield get_request(path, drop=(":path",))
        yield as_check_request(path=path, drop=(":path",))
    for lines in HEADERS.values():
        yield as_check_request(headers=lines)
    yield as_check_request(method="post", drop=(":method",))
    yield as_check_request(provider=None)
    yield pb.CheckRequest()


async def flood(address: str, messages: Iterator[pb.CheckRequest]) -> Counter[tuple[int, str]]:
    """Send them, some at once; count each status with its code."""
    found: Counter[tuple[int, str]] = Counter()
    async with grpc.aio.insecure_channel(address) as channel:
        stub = rpc.AuthorizationStub(channel)

        async def send() -> None:
            for message in messages:
                reply = await stub.Check(message, timeout=20)
                found[reply.denied_response.status.code, reason_of(reply)] += 1

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return found


def resident(running: Running) -> int:
    """Kibibytes of the gate and of every process it started, but OPA, which is asked nothing."""
    pid = running.pid
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return sum(_resident(pid) for pid in pids if _name(pid) != "opa")


def settled(running: Running) -> int:
    """The same once nothing is starting any more: readers start at their own, lower priority."""
    end, readings = time.monotonic() + _PATIENCE_SECONDS, [resident(running)]
    while len(set(readings[-_STEADY:])) > 1 or len(readings) < _STEADY:
        if time.monotonic() > end:
            break
        time.sleep(0.1)
        readings.append(resident(running))
    return readings[-1]


def _resident(pid: int) -> int:
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1])


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_a_flood_of_malformed_requests_is_refused_each_with_a_code(site: Site) -> None:
    every = list(malformed())
    begin = max(10_000, NUMBER // 10)
    # The deadline is for a machine that does nothing else; here the rest of the suite may run.
    site.configure(deadline_ms=20_000)
    with site.start() as running:
        endless = cycle(every)
        found = asyncio.run(flood(running.listen, islice(endless, begin)))
        before = settled(running)
        found += asyncio.run(flood(running.listen, islice(endless, NUMBER - begin)))
        after = settled(running)
        said = running.log.read_text()
        assert running.stop() == 0
    assert found.total() == NUMBER
    assert [answer for answer in found if answer[0] not in range(400, 500)] == []
    assert "Traceback" not in said
    assert after - before < GROWTH_KIB, (before, after)
    logged = [json.loads(line) for line in site.log.read_text().splitlines()]
    assert Counter(entry["reason"] for entry in logged) == Counter(
        {reason: sum(n for (_, r), n in found.items() if r == reason) for _, reason in found}
    )
    slowest = max(entry["duration_us"] for entry in logged) / 1000
    sys.stderr.write(
        f"{NUMBER} refused; memory {before} → {after} KiB; the slowest took {slowest:.0f} ms\n"
    )
