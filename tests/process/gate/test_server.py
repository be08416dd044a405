"""The gate over real gRPC: whatever happens, the reply is a denial or a proven allow."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from types import ModuleType
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.facts import Facts
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import Verdict
from sidecar.extract import check_request
from sidecar.extract.parsed_request import THRESHOLD
from sidecar.gate import assessments, check_response
from sidecar.gate import pipeline as pipeline_module
from sidecar.gate.authorization import SERVICE, Authorization, Limits
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import GateServer
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.outcome import STAGES
from sidecar.opa.client import Address, Opa
from tests.support.gate.bench import SETTINGS, Book, Broken, Gate, Stuck, reason_of, running
from tests.support.gate.requests import as_check_request, get_request, json_body
from tests.support.simulator.constants import BASE, ENV, MODEL, NOW


async def asked(gate: Gate, **changes: Any) -> str:
    token = gate.issuer.jwt_svid(ENV, NOW)
    return reason_of(await gate.ask(as_check_request(**{"credential": token, **changes})))


def test_an_admissible_call_is_admitted_by_real_opa(opa_address: Address) -> None:
    async def story() -> None:
        opa = Opa(opa_address, connections=4)
        async with running(opa) as gate:
            assert await asked(gate) == "admitted"
            assert await asked(gate, body=json_body(model=BASE)) == "admitted"
            outcome = gate.book.ended[0]
            assert outcome is not None
            assert tuple(outcome.stages) == STAGES
            assert outcome.decision.revision == opa_address.revision
        await opa.close()

    asyncio.run(story())


def test_each_step_refuses_with_its_own_reason(opa_address: Address) -> None:
    async def story() -> dict[str, str]:
        opa = Opa(opa_address, connections=4)
        async with running(opa) as gate:
            found = {
                "body": await asked(gate, body=b"{"),
                "route": await asked(gate, path="/v1/files"),
                "nobody": await asked(gate, credential=None),
                "forged": await asked(gate, credential="a.b.c"),
                "elsewhere": await asked(gate, credential=gate.issuer.jwt_svid(ENV + "2", NOW)),
                "unbound": await asked(gate, body=json_body(model="ft:other")),
                "unlisted": await asked(gate, body=json_body(model="gpt-4.1-mini")),
                "operation": reason_of(
                    await gate.ask(
                        get_request(
                            f"/v1/models/{MODEL}", credential=gate.issuer.jwt_svid(ENV, NOW)
                        )
                    )
                ),
            }
        await opa.close()
        return found

    assert asyncio.run(story()) == {
        "body": "malformed_request",
        "route": "unsupported_operation",
        "nobody": "credential_missing",
        "forged": "credential_invalid",
        "elsewhere": "environment_unknown",
        "unbound": "manifest_missing",
        "unlisted": "base_model_not_listed",
        "operation": "operation_not_covered",
    }


def test_opa_away_is_policy_unavailable() -> None:
    async def story() -> str:
        opa = Opa(Address("unix:///nowhere/opa.sock", "r"), connections=1)
        async with running(opa) as gate:
            reason = await asked(gate)
        await opa.close()
        return reason

    assert asyncio.run(story()) == "policy_unavailable"


def named(gate: Gate) -> list[tuple[str, ...]]:
    """What the log has of each refused request, however early it was refused."""
    return [
        (each.decision.reason, each.provider, each.method, each.path, each.request_id)
        for each in gate.book.ended
        if each is not None
    ]


def test_before_the_first_trust_state_everything_is_stale_and_named_in_the_log() -> None:
    async def story() -> list[tuple[str, ...]]:
        async with running(Broken(RuntimeError()), published=False) as gate:
            await asked(gate, path="/v1/chat/completions?a=b")
            await asked(gate, headers=[("x-request-id", "r1")], body=b"x" * THRESHOLD)
            return named(gate)

    request = ("trust_stale", "openai", "POST", "/v1/chat/completions")
    assert asyncio.run(story()) == [(*request, "1234"), (*request, "r1")]


def test_a_refusal_before_the_request_is_parsed_has_the_form_of_its_route_too() -> None:
    async def story() -> list[str]:
        async with running(Broken(RuntimeError()), published=False) as gate:
            route: dict[str, Any] = {
                "path": "/model/m/converse",
                "provider": "mine",
                "api": "bedrock",
            }
            answers = [
                await gate.ask(as_check_request(**route)),
                await gate.ask(as_check_request(**route, body=b"x" * (THRESHOLD + 1))),
                await gate.ask(pb.CheckRequest()),
            ]
        return [next(iter(json.loads(each.denied_response.body))) for each in answers]

    assert asyncio.run(story()) == ["message", "message", "error"]


# ---- whatever breaks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), RecursionError(), MemoryError(), KeyError("secret")], ids=repr
)
@pytest.mark.parametrize(
    ("module", "stage"),
    [(pipeline_module, "parse"), (assessments, "assess"), (assessments, "prove")],
    ids=["parse", "assess", "prove"],
)
def test_a_stage_that_raises_is_a_denial_without_its_details(
    module: ModuleType,
    stage: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(module, stage, broken)

    async def story() -> pb.CheckResponse:
        async with running(Broken(error)) as gate:
            token = gate.issuer.jwt_svid(ENV, NOW)
            return await gate.ask(as_check_request(credential=token))

    with caplog.at_level(logging.ERROR):
        reply = asyncio.run(story())
    assert reason_of(reply) == "internal_error"
    assert "secret" not in reply.denied_response.body
    headers = {h.header.key: h.header.value for h in reply.denied_response.headers}
    assert f"decision {headers['x-admissibility-decision-id']} failed" in caplog.text


@pytest.mark.parametrize("place", ["read", "respond"])
def test_reading_or_writing_that_raises_is_a_denial(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret")

    module = check_request if place == "read" else check_response
    monkeypatch.setattr(module, place, broken)

    async def story() -> str:
        async with running(Broken(RuntimeError())) as gate:
            return await asked(gate)

    assert asyncio.run(story()) == "internal_error"


def test_an_observer_that_raises_is_a_denial() -> None:
    class Torn(Book):
        def end(self, outcome: object) -> None:
            raise OSError("no space")

    async def story() -> str:
        async with running(Broken(RuntimeError()), book=Torn()) as gate:
            return await asked(gate)

    assert asyncio.run(story()) == "internal_error"


def test_an_engine_that_says_admitted_as_an_error_admits_nothing() -> None:
    async def story() -> str:
        async with running(Broken(AdmissibilityError(Reason.ADMITTED, "trick"))) as gate:
            return await asked(gate)

    assert asyncio.run(story()) == "internal_error"


def test_what_cannot_be_recorded_is_not_admitted(opa_address: Address) -> None:
    async def story() -> tuple[str, str]:
        opa = Opa(opa_address, connections=4)
        async with running(opa) as gate:
            gate.book.recordable = False
            found = await asked(gate), await asked(gate, credential=None)
        await opa.close()
        return found

    assert asyncio.run(story()) == ("internal_error", "credential_missing")


# ---- time and load -------------------------------------------------------------------------------


def test_a_decision_that_takes_too_long_is_a_denial() -> None:
    async def story() -> str:
        async with running(Stuck(), deadline=0.05) as gate:
            return await asked(gate)

    assert asyncio.run(story()) == "deadline_exceeded"


def test_too_many_at_once_are_refused_at_once() -> None:
    async def story() -> tuple[str, str, list[tuple[str, ...]]]:
        engine = Stuck()
        async with running(engine, max_concurrent=1) as gate:
            first = asyncio.create_task(asked(gate))
            await asyncio.wait_for(engine.asked.wait(), 30)
            second = await asked(gate)  # answered while the first still hangs
            assert not first.done()
            engine.free.set()
            await first
            third = await asked(gate)
            return second, third, named(gate)

    request = ("openai", "POST", "/v1/chat/completions", "1234")
    reasons = ("overloaded", "internal_error", "internal_error")
    assert asyncio.run(story()) == (*reasons[:2], [(reason, *request) for reason in reasons])


def test_a_question_that_envoy_gives_up_is_given_up() -> None:
    async def story() -> list[object]:
        engine, book = Stuck(), Book()
        async with running(engine, book=book) as gate:
            token = gate.issuer.jwt_svid(ENV, NOW)
            call = gate.stub.Check(as_check_request(credential=token))
            await asyncio.wait_for(engine.asked.wait(), 30)
            call.cancel()
            await asyncio.wait_for(book.over.wait(), 30)
        return list(book.ended)

    assert asyncio.run(story()) == [None]


# ---- a trust state that changes meanwhile --------------------------------------------------------


class Meanwhile:
    """Real OPA, but something happens while it thinks."""

    def __init__(self, opa: Opa, happens: Any) -> None:
        self.opa, self.happens, self.asked = opa, happens, 0

    def identity(self) -> None:
        return None

    async def ask(self, facts: Facts) -> Verdict:
        verdict = await self.opa.ask(facts)
        self.asked += 1
        if self.asked == 1:
            self.happens()
        return verdict


def test_a_withdrawal_during_the_question_to_opa_denies(opa_address: Address) -> None:
    async def story() -> tuple[str, int]:
        opa = Opa(opa_address, connections=4)
        engine = Meanwhile(opa, lambda: None)
        async with running(engine) as gate:

            def withdraw() -> None:
                gate.world.parties["regulator"].withdraw("model", f"openai/{MODEL}")
                gate.holder.publish(gate.world.state(epoch=2))

            engine.happens = withdraw
            reason = await asked(gate)
        await opa.close()
        return reason, engine.asked

    assert asyncio.run(story()) == ("withdrawn", 1)


def test_a_harmless_change_during_the_question_asks_again(opa_address: Address) -> None:
    async def story() -> tuple[str, int, int]:
        opa = Opa(opa_address, connections=4)
        engine = Meanwhile(opa, lambda: None)
        async with running(engine) as gate:
            engine.happens = lambda: gate.holder.publish(gate.world.state(epoch=2))
            reason = await asked(gate)
            outcome = gate.book.ended[0]
            assert outcome is not None
        await opa.close()
        return reason, engine.asked, outcome.decision.epoch

    assert asyncio.run(story()) == ("admitted", 2, 2)


# ---- health and limits ---------------------------------------------------------------------------


def test_health_is_answered_by_service_name_and_in_general() -> None:
    async def story() -> list[int]:
        async with running(Broken(RuntimeError())) as gate:
            stub = health_pb2_grpc.HealthStub(gate.channel)
            found: list[int] = []
            for ready in (False, True, False):
                if found:
                    await gate.server.set_ready(ready=ready)
                for name in ("", SERVICE):
                    request = health_pb2.HealthCheckRequest(service=name)
                    found.append((await stub.Check(request)).status)
            return found

    assert asyncio.run(story()) == [2, 2, 1, 1, 2, 2]


def test_a_body_too_large_is_refused_by_the_gate() -> None:
    async def story() -> str:
        async with running(Broken(RuntimeError())) as gate:
            return await asked(gate, body=b"x" * 70_000)

    assert asyncio.run(story()) == "body_incomplete"


def test_a_port_in_use_is_an_error() -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            pipeline = Pipeline(SETTINGS, SnapshotHolder(), Broken(RuntimeError()))
            service = Authorization(pipeline, Limits(1.0, 1), Book())
            server = GateServer(service, max_body_bytes=1024, reuse_port=False)
            with pytest.raises(
                OSError,
                match=f"^cannot listen on {address}: it is in use, invalid or not permitted$",
            ):
                await server.start(address)
            await server.stop(0)

    asyncio.run(story())


def test_the_state_is_swapped_whole() -> None:
    holder = SnapshotHolder()
    assert holder.published is None
    with pytest.raises(AdmissibilityError) as caught:
        holder.current()
    assert caught.value.reason is Reason.TRUST_STALE
