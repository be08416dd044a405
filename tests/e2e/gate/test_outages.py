"""A gate or a policy engine that is slow, dead or lying: a refusal each time, never a pass."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta

from admissibility_devtools.demo.authorities import PROD, now
from admissibility_devtools.demo.stage import AUDIENCE
from sidecar.opa.location import opa_path
from tests.support.site.processes import children, stalled
from tests.support.site.site import Site
from tests.support.site.stand import Stand
from tests.support.site.talk import Seen, Talk, credential_line, told, until


def unanswered(talk: Talk) -> Seen:
    """What one call is told, and what reached the upstream since; there can be no probe."""
    mark = len(talk.upstream.received)
    verdict = talk.verdict()
    return Seen(verdict, tuple(talk.upstream.received[mark:]))


def test_a_stalled_gate_is_a_503_and_the_late_answer_lets_nothing_through(
    stand: Stand, talk: Talk
) -> None:
    mark = len(talk.upstream.received)
    with stalled(stand.gate_pid):
        assert unanswered(talk) == Seen((503, ""), ())
    assert until(talk.verdict, (200, "admitted")) == (200, "admitted")
    assert len(talk.upstream.received) == mark + 1


def test_a_killed_gate_is_a_503_and_a_new_one_is_found_again(site: Site) -> None:
    site.start().front()
    assert site.talk.verdict() == (200, "admitted")
    site.stop_gate(signal.SIGKILL)
    assert unanswered(site.talk) == Seen((503, ""), ())
    site.settings["listen"] = site.listen
    site.start()
    assert until(site.talk.verdict, (200, "admitted")) == (200, "admitted")


def test_a_stalled_policy_engine_is_a_503_with_its_code(stand: Stand, talk: Talk) -> None:
    # Of another instant than any other credential here, so that no lease answers the call.
    token = stand.stage.issuer.svid(PROD, AUDIENCE, now() - timedelta(seconds=7))
    unleased = replace(talk, credential=credential_line(token))
    with stalled(stand.stage.opa_pid()):
        assert unanswered(unleased) == Seen((503, "deadline_exceeded"), ())
        assert told(talk.call(b"{")) == (400, "malformed_request")
    assert until(talk.verdict, (200, "admitted")) == (200, "admitted")


def test_a_killed_policy_engine_is_a_503_until_the_gate_restarted_it(site: Site) -> None:
    program, hold = site.folder / "opa", site.folder / "hold"
    program.write_text(
        f'#!/bin/sh\nwhile [ -e {hold} ]; do sleep 0.05; done\nexec {opa_path()} "$@"\n'
    )
    program.chmod(0o755)
    site.settings["opa"] = {"managed": {"binary": str(program)}}
    site.start().front()
    (child,) = children(site.pid, "opa")
    hold.touch()  # no other one comes up before the first call is in
    os.kill(child, signal.SIGKILL)
    seen = [unanswered(site.talk)]
    hold.unlink()
    while seen[-1].verdict != (200, "admitted") and len(seen) < 10_000:
        seen.append(unanswered(site.talk))
    refusals = {(entry.verdict, entry.reached) for entry in seen[:-1]}
    assert (refusals, seen[-1].verdict) == (
        {((503, "policy_unavailable"), ())},
        (200, "admitted"),
    )
    assert children(site.pid, "opa") not in ([child], [])
