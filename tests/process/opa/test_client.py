"""The question to OPA, against a real OPA and against servers that answer anything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from sidecar.core.facts import Facts, to_input
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import MAX_ANSWER_BYTES, MAX_VERDICT_BYTES, Verdict
from sidecar.opa.client import DECISION, Address, Opa
from tests.process.policies.samples import sample_facts

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(address: Address, facts: Facts) -> Verdict | tuple[Reason, str]:
    async def story() -> Verdict | tuple[Reason, str]:
        opa = Opa(address, connections=2)
        try:
            return await opa.ask(facts)
        except AdmissibilityError as error:
            return error.reason, error.message
        finally:
            await opa.close()

    return asyncio.run(story())


def unavailable(why: str) -> tuple[Reason, str]:
    return Reason.POLICY_UNAVAILABLE, f"policy engine: {why}"


def test_real_opa_answers_an_admissible_call(opa_address: Address) -> None:
    verdict = ask(opa_address, sample_facts())
    assert isinstance(verdict, Verdict)
    assert (verdict.allow, verdict.nonce, verdict.revision) == (
        True,
        sample_facts().nonce,
        opa_address.revision,
    )


def test_real_opa_names_an_unknown_jurisdiction(opa_address: Address) -> None:
    environment = replace(sample_facts().environment, jurisdictions=("atlantis",))
    verdict = ask(opa_address, sample_facts(environment=environment))
    assert isinstance(verdict, Verdict)
    assert (verdict.allow, verdict.reason()) == (False, Reason.JURISDICTION_UNKNOWN)


def test_policies_of_another_revision_do_not_count(opa_address: Address) -> None:
    expected = unavailable("the answer is of another policy revision")
    assert ask(replace(opa_address, revision="r-2"), sample_facts()) == expected


def test_nobody_there_is_unavailable() -> None:
    expected = unavailable("no answer (FileNotFoundError)")
    assert ask(Address("unix:///nowhere/opa.sock", "r-1"), sample_facts()) == expected


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ask_handler(handler: Handler) -> Verdict | tuple[Reason, str]:
    async def story() -> Verdict | tuple[Reason, str]:
        async with serving(handler) as url:
            opa = Opa(Address(url, "r-1"), connections=2)
            try:
                return await opa.ask(sample_facts())
            except AdmissibilityError as error:
                return error.reason, error.message
            finally:
                await opa.close()

    return asyncio.run(story())


GOOD: dict[str, Any] = {
    "allow": True,
    "nonce": sample_facts().nonce,
    "revision": "r-1",
    "violations": [],
    "warnings": [],
    "jurisdictions": {"eu": {"allow": True, "violations": []}},
    "lease_seconds": 30,
}


def answering(status: int, body: bytes, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


def test_the_question_is_put_at_the_fixed_path_with_strict_errors() -> None:
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path_qs, await request.json()))
        return web.json_response({"result": GOOD})

    assert isinstance(ask_handler(handler), Verdict)
    expected = json.loads(json.dumps({"input": to_input(sample_facts())}))
    assert seen == [("POST", DECISION, expected)]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"{}", "the decision is undefined"),
        (200, b"", "the answer: not JSON: Expecting value at character 0"),
        (200, b'{"result":true}', "the answer has another shape"),
        (500, json.dumps({"result": GOOD}).encode(), "it answered 500"),
        (401, b"{}", "it answered 401"),
        (204, b"", "it answered 204"),
        (
            200,
            b" " * (MAX_VERDICT_BYTES + 1),
            "the answer: 1048577 bytes, at most 1048576 are read",
        ),
        (
            200,
            b" " * (MAX_ANSWER_BYTES + 1),
            "the answer cannot be read: the response is too long",
        ),
        (
            200,
            json.dumps({"result": {**GOOD, "nonce": "other"}}).encode(),
            "the answer is to another question",
        ),
    ],
)
def test_anything_but_a_good_answer_is_unavailable(status: int, body: bytes, why: str) -> None:
    assert ask_handler(answering(status, body)) == unavailable(why)


def test_a_redirect_is_not_followed() -> None:
    handler = answering(307, b"", Location="/elsewhere")
    assert ask_handler(handler) == unavailable("it answered 307")


def test_a_kept_connection_to_an_opa_that_was_restarted_is_tried_again() -> None:
    """The first connection dies under the question, as when OPA was restarted in between."""
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(1)
        if len(asked) == 2 and request.transport is not None:
            request.transport.abort()
        return web.json_response({"result": GOOD})

    async def story() -> list[bool]:
        async with serving(handler) as url:
            opa = Opa(Address(url, "r-1"), connections=1)
            found = [(await opa.ask(sample_facts())).allow for _ in range(2)]
            await opa.close()
            return found

    assert (asyncio.run(story()), len(asked)) == ([True, True], 3)


def test_a_connection_that_dies_twice_is_an_answer() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    answer = ask_handler(handler)
    assert isinstance(answer, tuple)
    assert answer[0] is Reason.POLICY_UNAVAILABLE
    assert answer[1].startswith("policy engine: no answer (")


def test_health_is_what_opa_says(opa_address: Address) -> None:
    async def story() -> list[bool]:
        found = []
        for address in (opa_address, Address("unix:///nowhere/opa.sock", "r")):
            opa = Opa(address, connections=1)
            found.append(await opa.healthy())
            await opa.close()
        return found

    assert asyncio.run(story()) == [True, False]
