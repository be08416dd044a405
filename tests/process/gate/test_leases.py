"""Leases over real gRPC: an answer is reused only while nothing it rests on has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.core.facts import Facts
from sidecar.core.verdict import Verdict
from sidecar.extract.http_request import SPECIFICATION_HEADER
from sidecar.observe.decision_record import line, record
from sidecar.observe.lease_metrics import End
from tests.process.gate.lease_scene import FRESH, LEASE, REUSED, Agreeing, Scene, play
from tests.support.gate.requests import as_check_request, json_body
from tests.support.simulator.constants import BASE, DAY, ENV, NOW
from tests.support.simulator.predicates import window


def test_a_second_call_is_admitted_without_asking_and_has_its_own_record() -> None:
    async def story(scene: Scene) -> None:
        token = scene.gate.issuer.jwt_svid(ENV, NOW)
        replies = []
        for number in range(3):
            scene.time.at = NOW + timedelta(seconds=number)
            body = json_body(messages=[{"role": "user", "content": f"question {number}"}])
            replies.append(await scene.gate.ask(as_check_request(credential=token, body=body)))
        assert scene.engine.asked == 1
        outcomes = [each for each in scene.gate.book.ended if each is not None]
        ids = [outcome.decision.id for outcome in outcomes]
        assert len(set(ids)) == 3
        for reply, outcome in zip(replies, outcomes, strict=True):
            fields = reply.dynamic_metadata.fields
            headers = reply.ok_response.response_headers_to_add
            assert [each.header.value for each in headers] == [outcome.decision.id]
            assert fields["decision_id"].string_value == outcome.decision.id
            assert fields["admitted"].bool_value
            assert fields["lease_until"].string_value == "2026-06-01T12:00:30Z"
        assert replies[0].ok_response.headers_to_remove == replies[2].ok_response.headers_to_remove
        assert [each.decision.at for each in outcomes] == [
            NOW + timedelta(seconds=number) for number in range(3)
        ]

    play(story)


def test_the_log_line_of_a_leased_decision_is_that_of_any_other() -> None:
    async def story(scene: Scene) -> None:
        for _ in range(2):
            await scene.ask(headers=[("x-request-id", 'a"b\\é\n')])
        await scene.ask(headers=[("x-request-id", "r-3")])
        scene.publish(7)
        await scene.ask(headers=[("x-request-id", "r-4")])
        outcomes = [each for each in scene.gate.book.ended if each is not None]
        assert [each.shared is not None for each in outcomes] == [True] * 4
        for outcome in outcomes:
            assert line(outcome) == line(replace(outcome, shared=None))
        assert [line(each) for each in scene.gate.book.leased] == [
            line(outcome) for outcome in outcomes[2:]
        ]
        assert record(outcomes[-1])["epoch"] == 7

    play(story)


@pytest.mark.parametrize("name", ["x-admissibility-forged", SPECIFICATION_HEADER])
def test_a_header_of_ours_from_the_client_is_removed_on_a_leased_call_too(name: str) -> None:
    async def story(scene: Scene) -> None:
        token = scene.gate.issuer.jwt_svid(ENV, NOW)
        for headers in ([], [], [(name, "1")]):
            reply = await scene.gate.ask(as_check_request(credential=token, headers=headers))
        assert name in reply.ok_response.headers_to_remove
        assert scene.engine.asked == 1

    play(story)


def test_a_withdrawal_ends_it_at_once() -> None:
    async def story(scene: Scene) -> None:
        assert [await scene.asks(), await scene.asks()] == [FRESH, REUSED]
        world = scene.gate.world
        world.parties["regulator"].withdraw("manifest", world.digests["manifest"])
        scene.publish()
        assert await scene.ask() == "withdrawn"
        assert scene.pipeline.leases.counts.ends[End.TRUST] == 1

    play(story)


def test_unrelated_changes_and_heartbeats_end_nothing() -> None:
    async def story(scene: Scene) -> None:
        world = scene.gate.world
        world.parties["regulator"].withdraw("corpus", "f" * 64)
        scene.publish(2)
        assert await scene.asks() == FRESH
        world.parties["regulator"].withdraw("corpus", "e" * 64)
        world.declare("spiffe://acme.example/other", "other")
        world.parties["customer"].expires = NOW + 9 * DAY
        scene.publish(3)
        assert [await scene.asks(), await scene.asks()] == [REUSED, REUSED]
        assert scene.engine.asked == 1

    play(story)


def test_it_ends_when_what_was_absent_appears() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.asks() == FRESH
        scene.gate.world.waive("eu.rule")
        scene.publish()
        assert await scene.asks() == FRESH

    play(story)


def test_it_ends_with_the_time_that_the_policies_give() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask()
        scene.time.at = NOW + timedelta(seconds=LEASE - 1)
        assert await scene.asks() == REUSED
        scene.time.at = NOW + timedelta(seconds=LEASE)
        assert await scene.asks() == FRESH
        assert scene.pipeline.leases.counts.ends[End.EXPIRED] == 1

    play(story)


def test_it_never_lasts_longer_than_anything_it_rests_on() -> None:
    async def story(scene: Scene) -> None:
        soon = NOW + timedelta(seconds=5)
        scene.gate.world.parties["regulator"].expires = soon
        scene.publish()
        await scene.ask()
        scene.time.at = soon - timedelta(microseconds=1)
        assert await scene.asks() == REUSED
        scene.time.at = soon
        assert await scene.ask() == "trust_stale"

    play(story)


def test_a_withdrawal_that_takes_effect_later_ends_it_then() -> None:
    async def story(scene: Scene) -> None:
        world, soon = scene.gate.world, NOW + timedelta(seconds=5)
        world.parties["regulator"].withdraw("manifest", world.digests["manifest"], effective=soon)
        scene.publish()
        assert [await scene.asks(), await scene.asks()] == [FRESH, REUSED]
        scene.time.at = soon
        assert await scene.ask() == "withdrawn"

    play(story)


@pytest.mark.parametrize("engine", [Agreeing(0), Agreeing(allows=False)], ids=["0 s", "denied"])
def test_nothing_is_kept_that_the_policies_forbid_to_keep_or_deny(engine: Agreeing) -> None:
    async def story(scene: Scene) -> None:
        assert await scene.ask() == await scene.ask()
        assert (engine.asked, scene.pipeline.leases.counts.held) == (2, 0)

    play(story, engine)


def test_changed_policies_end_every_lease() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask()
        scene.engine.mark = object()
        assert await scene.asks() == FRESH
        assert scene.pipeline.leases.counts.ends[End.POLICIES] == 1
        scene.engine.mark = None  # an engine whose changes are not noticed
        assert [await scene.asks(), await scene.asks()] == [FRESH, FRESH]

    play(story)


def test_an_answer_that_came_from_replaced_policies_is_not_kept() -> None:
    class Replaced(Agreeing):
        async def ask(self, facts: Facts) -> Verdict:
            verdict = await super().ask(facts)
            self.mark = object()
            return verdict

    async def story(scene: Scene) -> None:
        assert [await scene.asks(), await scene.asks()] == [FRESH, FRESH]

    play(story, Replaced())


def test_an_unreliable_clock_ends_every_lease() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask()
        scene.time.problem = "the clock has jumped"
        assert await scene.ask() == "clock_unreliable"
        scene.time.problem = ""
        assert await scene.asks() == FRESH
        assert scene.pipeline.credentials.counts.ends[End.CLOCK] == 1

    play(story)


def test_a_clock_that_is_set_back_a_little_reuses_nothing_of_later() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask()
        scene.time.at = NOW - timedelta(seconds=5)
        assert await scene.asks() == FRESH

    play(story)


def test_a_structural_denial_is_kept_for_a_second_and_ends_with_what_it_read() -> None:
    async def story(scene: Scene) -> None:
        world = scene.gate.world
        approval = world.evidence.pop("approval:regulator")
        scene.publish(2)
        denied = [await scene.asks(), await scene.asks()]
        assert denied == [("approval_missing", True), ("approval_missing", False)]
        scene.time.at = NOW + timedelta(seconds=1)
        assert await scene.asks() == ("approval_missing", True)
        world.evidence["approval:regulator"] = approval
        scene.publish(3)
        assert await scene.asks() == FRESH

    play(story)


def test_a_denial_ends_when_a_window_begins() -> None:
    async def story(scene: Scene) -> None:
        world = scene.gate.world
        begins = NOW + timedelta(milliseconds=500)
        stamp = begins.isoformat().replace("+00:00", "Z")
        world.approve("regulator", window={**window(1, 9), "notBefore": stamp})
        scene.publish()
        assert await scene.ask() == "approval_not_in_window"
        scene.time.at = begins - timedelta(microseconds=1)
        assert await scene.asks() == ("approval_not_in_window", False)
        scene.time.at = begins
        assert await scene.asks() == FRESH

    play(story)


def test_what_is_malformed_unknown_or_unavailable_is_never_kept() -> None:
    async def story(scene: Scene) -> None:
        await scene.ask(body=b"{")
        await scene.ask(token="a.b.c")
        scene.gate.world.parties["regulator"].heard_since_start = False
        scene.publish()
        assert await scene.ask() == await scene.ask() == "trust_stale"
        assert scene.pipeline.leases.counts.held == 0

    play(story)


def test_each_caller_and_each_content_that_policies_see_has_its_own() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.asks() == FRESH
        tools = [{"type": "function", "function": {"name": "f"}}]
        for changes in (
            {"body": json_body(stream=True)},
            {"body": json_body(tools=tools)},
            {"body": json_body(model=BASE)},
            {"token": scene.gate.issuer.jwt_svid(ENV, NOW, exp=int(NOW.timestamp()) + 77)},
        ):
            assert await scene.asks(**changes) == FRESH
        assert scene.engine.asked == 5

    play(story)


def test_the_oldest_are_dropped_beyond_the_bound() -> None:
    async def story(scene: Scene) -> None:
        for seconds in range(9):
            expires = int(NOW.timestamp()) + 60 + seconds
            await scene.ask(token=scene.gate.issuer.jwt_svid(ENV, NOW, exp=expires))
        counts = scene.pipeline.leases.counts
        assert (counts.held, counts.ends[End.EVICTED]) == (8, 1)
        assert scene.pipeline.credentials.counts.held == 8

    play(story)


def test_whoever_is_denied_displaces_nothing_that_is_admitted() -> None:
    """A denied caller chooses the models that it names, and so as many leases as it likes."""

    async def story(scene: Scene) -> None:
        assert await scene.asks() == FRESH
        unknown = [json_body(model=f"ft:gpt-4o:acme:unknown:{number}") for number in range(9)]
        for body in unknown:
            assert await scene.asks(body=body) == ("manifest_missing", True)
        assert await scene.asks() == REUSED
        assert await scene.asks(body=unknown[-1]) == ("manifest_missing", False)
        counts = scene.pipeline.leases.counts
        assert (counts.held, counts.hits, counts.misses) == (9, 2, 10)
        assert counts.ends[End.EVICTED] == 1

    play(story)


def test_no_environment_displaces_the_leases_of_another() -> None:
    """A tenant that is admitted chooses what else a call offers, and so how many it has."""

    async def story(scene: Scene) -> None:
        other = "spiffe://acme.example/env/other"
        scene.gate.world.declare(other, "other")
        scene.publish()
        token = scene.gate.issuer.jwt_svid(other, NOW)
        bodies = [json_body(modalities=[f"m{number}"]) for number in range(20)]
        assert await scene.asks() == FRESH
        for body in bodies:
            assert await scene.asks(body=body, token=token) == FRESH
        assert await scene.asks() == REUSED
        assert await scene.asks(body=bodies[-7], token=token) == REUSED
        assert await scene.asks(body=bodies[-8], token=token) == FRESH
        counts = scene.pipeline.leases.counts
        assert (counts.held, counts.ends[End.EVICTED]) == (8, 14)

    play(story)


def test_a_credential_is_verified_once_until_its_roots_change_or_it_expires() -> None:
    async def story(scene: Scene) -> None:
        counts, world = scene.pipeline.credentials.counts, scene.gate.world
        token = scene.gate.issuer.jwt_svid(ENV, NOW)
        for _ in range(3):
            await scene.ask(token=token)
        assert (counts.hits, counts.misses) == (2, 1)
        world.parties["customer"].expires = NOW + 8 * DAY
        scene.publish(2)
        await scene.ask(token=token)
        assert counts.hits == 3
        world.parties["customer"].trust_domains = []
        scene.publish(3)
        assert await scene.ask(token=token) == "credential_key_unknown"
        assert scene.pipeline.credentials.counts.ends[End.TRUST] == 1
        world.parties["customer"].trust_domains = [scene.gate.issuer.document(NOW)]
        scene.publish(4)
        assert await scene.ask(token=token) == "admitted"
        scene.time.at = NOW + timedelta(days=1)
        assert await scene.ask(token=token) == "credential_expired"

    play(story)


def test_a_lease_whose_first_use_could_not_be_recorded_is_recorded_as_an_allow_later() -> None:
    async def story(scene: Scene) -> None:
        book, token = scene.gate.book, scene.gate.issuer.jwt_svid(ENV, NOW)
        scene.engine.lease_seconds = LEASE
        book.recordable = False
        assert await scene.ask(token=token) == "internal_error"
        assert await scene.ask(token=token) == "internal_error"
        book.recordable = True
        for _ in range(3):
            assert await scene.ask(token=token) == "admitted"
        for outcome in book.ended[-3:]:
            assert outcome is not None
            assert line(outcome) == line(replace(outcome, shared=None))
        assert scene.engine.asked == 1

    play(story)
