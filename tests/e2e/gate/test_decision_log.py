"""The decision log of a running gate: rotated, removed, on a full disk; no allow without a line."""

from __future__ import annotations

import json
import resource
from pathlib import Path

from tests.support.site.site import Site
from tests.support.site.talk import decision_id, told, until

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def ids(path: Path) -> list[str]:
    """Ids of the decisions in a log, in order."""
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_no_call_is_admitted_without_a_line_whatever_happens_to_the_file(site: Site) -> None:
    site.start().front()
    path = site.gate.decisions
    older = path.with_suffix(".1")

    # An allow's line is there before its answer, so nothing is waited for.
    first = decision_id(site.talk.call())
    assert ids(path)[-1] == first
    path.rename(older)
    second = decision_id(site.talk.call())
    assert (ids(older)[-1], ids(path)) == (first, [second])
    path.unlink()
    third = decision_id(site.talk.call())
    assert ids(path) == [third]

    mark = len(site.talk.upstream.received)
    resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (path.stat().st_size + 100, -1))
    refused = site.talk.call()
    assert (told(refused), site.talk.verdict()) == ((503, "internal_error"),) * 2
    assert (ids(path), len(site.talk.upstream.received)) == ([third], mark)
    resource.prlimit(site.pid, resource.RLIMIT_FSIZE, UNLIMITED)

    # The denials that the full disk kept out are written first, then calls are admitted again.
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")
    assert ids(path)[:2] == [third, decision_id(refused)]
