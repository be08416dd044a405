"""Questions that wait together are asked together, and each has an answer of its own or none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.facts import Facts
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import Verdict
from sidecar.opa.client import DECISION, DECISIONS, MAX_TOGETHER, Address, Opa
from tests.process.opa.child import child
from tests.process.policies.opa import OpaServer, build_bundle, copy_policies
from tests.process.policies.samples import sample_environment, sample_facts
from tests.support.site.opa_double import REVISION, OpaDouble, Reply, honest, opa_double
from tests.support.site.processes import stop

Answer = Verdict | str


def question(number: int, nonce: str = "", **environment: Any) -> Facts:
    """A question like no other of another number."""
    facts = sample_facts(
        environment=sample_environment(**environment), nonce=nonce or f"n-{number}"
    )
    return replace(facts, request=replace(facts.request, tool_types=(f"type-{number}",)))


async def answer(opa: Opa, facts: Facts) -> Answer:
    try:
        return await opa.ask(facts)
    except AdmissibilityError as error:
        return error.message if error.reason is Reason.POLICY_UNAVAILABLE else error.reason


def outcome(given: Answer) -> bool | str:
    return given.allow if isinstance(given, Verdict) else given


def run(address: Address, story: Callable[[Opa], Awaitable[None]], connections: int = 1) -> None:
    async def whole() -> None:
        opa = Opa(address, connections=connections)
        try:
            assert await opa.ask_several()
            await story(opa)
        finally:
            await opa.close()

    asyncio.run(whole())


async def ask_all(opa: Opa, questions: list[Facts]) -> list[bool | str]:
    """Ask at once; the first goes out alone, and the others wait together."""
    return [outcome(each) for each in await asyncio.gather(*(answer(opa, q) for q in questions))]


def test_each_question_is_decided_as_if_it_were_asked_alone(opa_address: Address) -> None:
    questions = [
        question(0),
        question(1),
        question(2, jurisdictions=("atlantis",)),
        question(3, purpose="social-scoring"),
        question(4, jurisdictions=("eu", "us", "uk"), sector="finance"),
        question(5, declarations={}),
    ]

    async def story(opa: Opa) -> None:
        together = await asyncio.gather(*(opa.ask(each) for each in questions))
        alone = [await opa.ask(each) for each in questions]
        assert list(together) == alone
        assert {each.allow for each in alone} == {True, False}

    run(opa_address, story)


def test_a_question_that_breaks_the_evaluation_denies_itself_alone(opa_address: Address) -> None:
    """OPA reports an error for all of a query, so each is asked by itself."""
    broken = sample_facts(now="2026-02-31T00:00:00Z", nonce="broken")

    async def story(opa: Opa) -> None:
        found = await ask_all(opa, [question(0), question(1), broken, question(2)])
        assert found == [True, True, "policy engine: it answered 500", True]

    run(opa_address, story)


def test_policies_without_the_entry_point_are_asked_one_by_one(tmp_path: Path) -> None:
    policies = copy_policies(tmp_path)
    (policies / "admission" / "batch" / "batch.rego").unlink()
    (policies / "admission" / "batch" / "batch_test.rego").unlink()

    async def story(address: Address) -> tuple[bool, list[bool | str]]:
        opa = Opa(address, connections=1)
        try:
            return await opa.ask_several(), await ask_all(opa, [question(n) for n in range(4)])
        finally:
            await opa.close()

    with OpaServer(build_bundle(tmp_path, tree=policies), tmp_path) as server:
        found = asyncio.run(story(Address(f"unix://{server.socket}", REVISION)))
    assert found == (False, [True] * 4)


def test_an_opa_that_dies_in_the_middle_denies_all_that_it_was_asked_and_recovers(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with child(tmp_path, []) as process:
            opa = Opa(process.address, connections=1)
            assert await opa.ask_several()
            assert process.pid is not None
            stop(process.pid)
            asked = [asyncio.create_task(answer(opa, question(n))) for n in range(5)]
            await asyncio.sleep(0.05)
            first = process.pid
            os.kill(first, signal.SIGKILL)
            for each in await asyncio.gather(*asked):
                assert isinstance(each, str)
                assert each.startswith("policy engine: no answer (")
            async with asyncio.timeout(30):
                while process.pid in (first, None) or not await opa.healthy():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            revised = Opa(process.address, connections=1)
            assert await revised.ask_several()
            await revised.close()
            await opa.close()

    asyncio.run(story())


@dataclass
class Held:
    """An OPA that answers a query when it is let go, and notes what each asked."""

    double: OpaDouble
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda answers: answers
    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    seen: list[list[str]] = field(default_factory=list)

    def answer(self, asked: dict[str, Any]) -> Reply:
        questions = asked.get("questions")
        if questions == {}:
            return 200, b'{"result": {}}'
        self.seen.append([asked["nonce"]] if questions is None else list(questions))
        self.let.acquire()
        if questions is None:
            return 200, json.dumps({"result": honest(asked)}).encode()
        answers = {nonce: honest(facts) for nonce, facts in questions.items()}
        return 200, json.dumps({"result": self.change(answers)}).encode()

    @property
    def address(self) -> Address:
        return Address(self.double.address, REVISION)

    async def until(self, number: int) -> None:
        """Wait until so many queries have come."""
        async with asyncio.timeout(20):
            while len(self.seen) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with _held(tmp_path) as made:
        yield made


@contextmanager
def _held(folder: Path) -> Iterator[Held]:
    with opa_double(folder) as double:
        made = Held(double)
        double.answer = made.answer
        try:
            yield made
        finally:
            made.let.release(1000)


def asking(opa: Opa, *questions: Facts) -> list[asyncio.Task[Answer]]:
    return [asyncio.create_task(answer(opa, each)) for each in questions]


def test_what_waits_while_a_query_is_under_way_goes_out_together_and_bounded(held: Held) -> None:
    async def story(opa: Opa) -> None:
        asked = asking(opa, *(question(n) for n in range(MAX_TOGETHER + 3)))
        held.let.release(10)
        assert all(outcome(each) is True for each in await asyncio.gather(*asked))

    run(held.address, story)
    names = [f"n-{number}" for number in range(MAX_TOGETHER + 3)]
    assert held.seen == [names[:1], names[1 : MAX_TOGETHER + 1], names[MAX_TOGETHER + 1 :]]
    paths = [path for path, _ in held.double.asked]
    assert paths == [DECISIONS, DECISION, DECISIONS, DECISIONS]


def test_equal_questions_are_one_with_the_time_of_the_newest(held: Held) -> None:
    def at(second: str, nonce: str) -> Facts:
        return replace(question(1, nonce), now=f"2026-09-01T12:00:{second}Z")

    async def story(opa: Opa) -> None:
        first = asking(opa, question(0))
        await held.until(1)
        asked = asking(opa, at("00", "a"), at("01.5", "b"), at("01", "c"), question(2))
        await asyncio.sleep(0)
        held.let.release(10)
        given = await asyncio.gather(*first, *asked)
        assert [each.nonce for each in given if isinstance(each, Verdict)] == [
            *("n-0", "b", "b", "b", "n-2")
        ]

    run(held.address, story)
    assert held.seen == [["n-0"], ["b", "n-2"]]
    assert held.double.asked[-1][1]["questions"]["b"]["now"] == "2026-09-01T12:00:01.5Z"


def test_an_answer_never_comes_from_a_query_that_was_under_way_before(held: Held) -> None:
    async def story(opa: Opa) -> None:
        first = asking(opa, question(1, "first"))
        await held.until(1)
        second = asking(opa, question(1, "second"))
        held.let.release()
        await asyncio.gather(*first)
        await held.until(2)
        assert not second[0].done()
        held.let.release()
        await asyncio.gather(*second)

    run(held.address, story)
    assert held.seen == [["first"], ["second"]]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "absent": (lambda answers: answers.pop("n-2"), "the decision is undefined"),
    "of another question": (
        lambda answers: answers.update({"n-2": answers["n-1"]}),
        "the answer is to another question",
    ),
    "of another shape": (
        lambda answers: answers["n-2"].update(allow="yes"),
        "the answer has another shape",
    ),
    "of another revision": (
        lambda answers: answers["n-2"].update(revision="r-9"),
        "the answer is of another policy revision",
    ),
    "without a jurisdiction": (
        lambda answers: answers["n-2"].update(jurisdictions={}),
        "not every jurisdiction answered",
    ),
    "null": (lambda answers: answers.update({"n-2": None}), "the answer has another shape"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_denies_its_own_question_alone(held: Held, what: str) -> None:
    spoil, why = WRONG[what]

    def change(answers: dict[str, Any]) -> dict[str, Any]:
        spoil(answers)
        return answers

    async def story(opa: Opa) -> None:
        held.change = change
        held.let.release(10)
        found = await ask_all(opa, [question(n) for n in range(4)])
        assert found == [True, True, f"policy engine: {why}", True]

    run(held.address, story)
    assert len(held.seen) == 2


def test_a_question_that_nobody_waits_for_any_more_is_not_asked(held: Held) -> None:
    async def story(opa: Opa) -> None:
        first = asking(opa, question(0))
        await held.until(1)
        gone, kept = asking(opa, question(1), question(2))
        await asyncio.sleep(0)
        gone.cancel()
        held.let.release(10)
        await asyncio.gather(*first, kept)

    run(held.address, story)
    assert held.seen == [["n-0"], ["n-2"]]


def test_a_query_that_hangs_ends_with_the_last_call_that_waits_for_it(held: Held) -> None:
    async def story(opa: Opa) -> None:
        first = asking(opa, question(0))
        await held.until(1)
        late = asking(opa, question(1))
        await asyncio.sleep(0)
        first[0].cancel()
        await held.until(2)
        held.let.release(2)
        assert outcome(await late[0]) is True

    run(held.address, story)
    assert held.seen == [["n-0"], ["n-1"]]


def test_no_more_queries_are_under_way_than_connections(held: Held) -> None:
    async def story(opa: Opa) -> None:
        asked = asking(opa, *(question(n) for n in range(6)))
        await held.until(2)
        await asyncio.sleep(0.02)
        assert sorted(held.seen) == [["n-0"], ["n-1"]]  # each over a connection of its own
        held.let.release(10)
        await asyncio.gather(*asked)

    run(held.address, story, connections=2)
    assert held.seen[2:] == [["n-2", "n-3", "n-4", "n-5"]]


def test_callers_that_were_answered_together_are_asked_about_together_again(held: Held) -> None:
    async def whole() -> None:
        opa = Opa(held.address, connections=1, gather_seconds=60)
        assert await opa.ask_several()
        held.let.release(10)
        first, *others = asking(opa, *(question(n) for n in range(3)))
        await first
        await asyncio.gather(*asking(opa, question(3)), *others)
        others = asking(opa, question(4), question(5))
        await asyncio.sleep(0.02)
        assert len(held.seen) == 2
        await asyncio.gather(*asking(opa, question(6)), *others)
        await opa.close()

    asyncio.run(whole())
    assert held.seen == [["n-0"], ["n-1", "n-2", "n-3"], ["n-4", "n-5", "n-6"]]


def test_one_caller_after_another_waits_for_nobody(held: Held) -> None:
    async def whole() -> None:
        opa = Opa(held.address, connections=1, gather_seconds=60)
        assert await opa.ask_several()
        held.let.release(10)
        async with asyncio.timeout(20):
            for number in range(3):
                await asyncio.gather(*asking(opa, question(number)))
        await opa.close()

    asyncio.run(whole())
    assert held.seen == [["n-0"], ["n-1"], ["n-2"]]


def test_closing_denies_what_is_under_way_and_what_waits(held: Held) -> None:
    async def story() -> None:
        opa = Opa(held.address, connections=1)
        asked = asking(opa, question(0), question(1))
        await held.until(1)
        await opa.close()
        late = asking(opa, question(2))
        assert [await each for each in (*asked, *late)] == [
            "policy engine: the query was given up",
            "policy engine: the client is closed",
            "policy engine: the client is closed",
        ]

    asyncio.run(story())
