"""The impact is what the predicate answers with the withdrawal, no more and no less."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sidecar.cli import impact_view
from sidecar.core.call import Call
from sidecar.core.documents import WithdrawalKind
from sidecar.impact import logged_calls
from sidecar.impact.compare import ImpactError
from sidecar.impact.logged_calls import CallCount, LoggedCalls
from sidecar.impact.possible_calls import EnvironmentCall
from tests.support.simulator.constants import BASE, CHILD, DAY, ENV, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import sha, stamp
from tests.support.simulator.world import World, admitted_world, parties_world, tuned_on_world
from tests.unit.impact.asking import impact_of

LAB = "spiffe://lab.example/env/evaluation"
SUPPORT, TUNED_ON, UNADAPTED = f"openai/{MODEL}", f"openai/{CHILD}", f"openai/{BASE}"


def line(**changes: Any) -> bytes:
    fields = {
        "id": "1",
        "time": stamp(NOW - DAY),
        "outcome": "allow",
        "provider": "openai",
        "operation": "chat.completions",
        "models": [MODEL],
        "tuned": [],
        "specification": None,
        "environment": ENV,
        "deployments": [],
    }
    return json.dumps({**fields, **changes}).encode() + b"\n"


def logged(*lines: bytes, since: datetime = NOW - 30 * DAY) -> LoggedCalls:
    found = LoggedCalls(since)
    for each in lines:
        found.add(each)
    return found


@pytest.mark.parametrize(
    ("kind", "subject", "models"),
    [
        (WithdrawalKind.CORPUS, sha(f"training of {CHILD}"), {TUNED_ON}),
        (WithdrawalKind.CORPUS, sha(f"training of {MODEL}"), {SUPPORT, TUNED_ON}),
        (WithdrawalKind.MODEL, TUNED_ON, {TUNED_ON}),
        (WithdrawalKind.BASE_MODEL, "openai/gpt-4o-*", {SUPPORT, TUNED_ON, UNADAPTED}),
        (WithdrawalKind.CORPUS, sha("something else"), set()),
    ],
)
def test_what_is_downstream_of_the_subject_stops_and_nothing_else(
    kind: WithdrawalKind, subject: str, models: set[str]
) -> None:
    world = tuned_on_world()
    found = impact_of(world, kind, subject)
    assert set(found.models) == models
    assert found.environments == ((ENV,) if models else ())
    assert found.jurisdictions == (("eu",) if models else ())
    # The same withdrawal, published: the gate denies exactly the models that were listed.
    world.parties["regulator"].withdrawals.append(
        {"kind": kind.value, "subject": subject, "reason": "found to be tainted"}
    )
    names = {SUPPORT: MODEL, TUNED_ON: CHILD, UNADAPTED: BASE}
    assert {name for name, model in names.items() if world.ask(model).reason} == models


def test_an_environment_stops_with_its_calls_that_name_no_model() -> None:
    found = impact_of(admitted_world(), WithdrawalKind.ENVIRONMENT, "spiffe://acme.example/**")
    assert [stop.models for stop in found.stops] == [(), (SUPPORT,), (UNADAPTED,)]


def test_a_withdrawal_of_an_authority_without_a_grant_in_scope_stops_nothing() -> None:
    found = impact_of(admitted_world(), WithdrawalKind.MODEL, SUPPORT, authority="stranger")
    assert (found.stops, found.granted) == ((), True)


def test_an_older_approval_of_the_author_is_reached_too() -> None:
    world = admitted_world()
    world.approve(
        "regulator",
        label="older",
        conditions=["other"],
        window={"notBefore": stamp(NOW - 20 * DAY), "notAfter": stamp(NOW + 10 * DAY)},
    )
    found = impact_of(world, WithdrawalKind.APPROVAL, world.digests["approval:regulator"])
    assert found.models == (SUPPORT,)
    assert impact_of(world, WithdrawalKind.APPROVAL, world.digests["older"]).models == ()


def test_what_is_denied_already_does_not_stop() -> None:
    world = admitted_world()
    entry = {"kind": "model", "subject": SUPPORT, "reason": "new findings"}
    world.parties["provider"].withdrawals.append(entry)
    found = impact_of(world, WithdrawalKind.CORPUS, sha(f"training of {MODEL}"))
    assert (found.models, found.denied) == ((), {"withdrawn": 2})
    assert impact_of(world, WithdrawalKind.MODEL, SUPPORT, authority="provider").published


def test_an_authority_that_was_never_read_is_an_error() -> None:
    with pytest.raises(
        ImpactError, match=r"'nobody': nothing can be added .* read were those of: c"
    ):
        impact_of(admitted_world(), WithdrawalKind.MODEL, SUPPORT, authority="nobody")


def lab_world() -> World:
    """A bound model without results and approvals, and an evaluator's sandbox for it."""
    world = parties_world()
    for name in ("provider", "producer"):
        world.grants[name] = tuple(
            replace(each, environments=("spiffe://**",)) for each in world.grants[name]
        )
    world.join(
        "lab",
        grant("evaluator", environments=("spiffe://acme.example/**",), sandbox=(LAB,)),
        grant("customer", environments=(LAB,), trust_domains=("lab.example",), models=("none",)),
    )
    world.declare(LAB, label="lab", signer="lab", purpose="evaluation", sector="laboratory")
    world.bind()
    return world


def test_an_evaluators_calls_of_a_model_that_is_not_active_yet_stop_too() -> None:
    logs = logged(line(environment=LAB, sandbox=True))
    for calls in (None, logs):
        found = impact_of(
            lab_world(), WithdrawalKind.CORPUS, sha(f"training of {MODEL}"), calls=calls
        )
        assert [(stop.models, stop.environment) for stop in found.stops] == [((SUPPORT,), LAB)]
    assert found.callers == {LAB: CallCount(1, NOW - DAY, NOW - DAY)}


@pytest.mark.parametrize(
    ("kind", "subject"),
    [(WithdrawalKind.SPECIFICATION, ""), (WithdrawalKind.BASE_MODEL, UNADAPTED)],
)
def test_tuning_that_a_specification_permits_stops_too(kind: WithdrawalKind, subject: str) -> None:
    world = admitted_world()
    world.declare(baseModels=[], tuningModels=["openai/gpt-4o-*"])
    world.specify()
    found = impact_of(world, kind, subject or world.digests["specification"])
    (tuning,) = [stop for stop in found.stops if stop.models == (UNADAPTED,)]
    assert (tuning.environment, tuning.operations) == (ENV, ("fine_tuning.jobs.create",))


def test_callers_are_counted_by_their_admitted_calls_in_the_period() -> None:
    calls = logged(
        line(),
        line(time=stamp(NOW - 3 * DAY)),
        line(models=[MODEL, BASE]),
        line(models=[BASE]),
        line(outcome="deny"),
        line(time=stamp(NOW - 31 * DAY)),
        line(models=[MODEL + "…"]),
        line(models=[f"m{number}" for number in range(64)]),
        line(environment=None),
        b'{"time":"2026-05-31T00:00:00Z","level":"info"}\n',
        line(time="2026-05-31T00:00:00"),
        b"[1]\n",
        b"not JSON\n",
    )
    assert (calls.decisions, calls.older, calls.incomplete, calls.others) == (8, 1, 3, 4)
    found = impact_of(admitted_world(), WithdrawalKind.MODEL, SUPPORT, calls=calls)
    assert found.callers == {ENV: CallCount(3, NOW - 3 * DAY, NOW - DAY)}
    assert [stop.models for stop in found.stops] == [(SUPPORT,), (SUPPORT, UNADAPTED)]


def test_a_logged_call_is_asked_about_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    tuning = line(
        operation="fine_tuning.jobs.create", models=[BASE], tuned=[BASE], specification="ab" * 32
    )
    deployed = line(models=["support-prod"], deployments=[{"name": "support-prod", "model": MODEL}])
    path.write_bytes(tuning + deployed + line(models=[], operation="files.list") + b"{" * 2_000_000)
    found = logged_calls.read([path, path], NOW - 2 * DAY)
    job = Call("openai", "fine_tuning.jobs.create", (), tuned=(BASE,), specification="ab" * 32)
    assert {use.call for use in found.uses} == {
        job,
        Call("openai", "chat.completions", ("support-prod",), deployments=("support-prod",)),
        Call("openai", "files.list", (), modelless=True),
    }
    assert found.uses[EnvironmentCall(ENV, job)].calls == 2
    assert (found.files, found.others) == (2, 2)


def test_the_tables_fit_80_columns_and_name_what_stops() -> None:
    stream = io.StringIO()
    found = impact_of(admitted_world(), WithdrawalKind.MODEL, SUPPORT, calls=logged(line()))
    impact_view.show(Console(file=stream, width=80), found)
    assert [each.rstrip() for each in stream.getvalue().splitlines()] == [
        f"model {SUPPORT}, withdrawn by regulator: 1 model would stop in 1 environment (eu); "
        "of 4 calls that are admissible now, 2 would be denied",
        "",
        f"model {SUPPORT}",
        f"  environment    {ENV}",
        "  jurisdictions  eu",
        "  operations     chat.completions, responses",
        "  reason         withdrawn",
        "",
        f"caller {ENV}",
        "  calls  1",
        "  first  2026-05-31T12:00:00Z",
        "  last   2026-05-31T12:00:00Z",
    ]


def test_what_counts_under_another_name_of_the_model_is_shown_with_it() -> None:
    world = admitted_world()
    assert impact_of(world, WithdrawalKind.BASE_MODEL, "openai/other").stopped == 0
    found = impact_of(world, WithdrawalKind.BASE_MODEL, "openai/other", further=(UNADAPTED,))
    assert SUPPORT in found.models
    assert found.entry.subject == "openai/other"
