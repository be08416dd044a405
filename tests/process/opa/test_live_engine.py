"""Policies that change under load: one revision per answer, and the last good ones stay."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.core.verdict import Verdict
from sidecar.opa.bundle import Folder
from sidecar.opa.errors import PolicyError
from sidecar.opa.live_engine import EngineFactory, LivePolicies, Managed
from sidecar.opa.location import opa_path
from tests.process.policies.opa import copy_policies
from tests.process.policies.samples import sample_facts


@asynccontextmanager
async def live(
    tmp_path: Path, run_folder: Path
) -> AsyncIterator[tuple[Path, EngineFactory, LivePolicies]]:
    """Policies in force, their folder to change, and the room that makes engines of it."""
    policies = copy_policies(tmp_path)
    factory = EngineFactory(Managed(opa_path(), run_folder), 8, lambda: None)
    running = LivePolicies(await factory.engine(Folder(policies).read()))
    try:
        yield policies, factory, running
    finally:
        await running.close()


def change(policies: Path) -> None:
    """A change that allows as before, under another revision."""
    with (policies / "lib" / "dates" / "dates.rego").open("a") as file:
        file.write("\n# changed\n")


def alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


def test_questions_go_on_while_the_policies_change_and_each_answer_is_of_one_revision(
    tmp_path: Path,
    run_folder: Path,
) -> None:
    async def story() -> tuple[list[Verdict], tuple[str, str]]:
        async with live(tmp_path, run_folder) as (policies, factory, running):
            verdicts: list[Verdict] = []
            over = asyncio.Event()

            async def keep_asking() -> None:
                while not over.is_set():
                    verdicts.append(await running.ask(sample_facts()))

            askers = [asyncio.create_task(keep_asking()) for _ in range(4)]
            first = running.current().revision
            change(policies)
            running.swap(await factory.engine(Folder(policies).read()))
            second = running.current().revision
            async with asyncio.timeout(30):
                while not any(verdict.revision == second for verdict in verdicts):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            over.set()
            await asyncio.gather(*askers)  # an answer of another revision would raise here
            return verdicts, (first, second)

    verdicts, (first, second) = asyncio.run(story())
    assert all(verdict.allow for verdict in verdicts)
    assert {verdict.revision for verdict in verdicts} == {first, second}
    assert first != second


def test_a_question_in_flight_is_answered_by_the_engine_it_was_put_to(
    tmp_path: Path, run_folder: Path
) -> None:
    async def story() -> tuple[bool, bool]:
        async with live(tmp_path, run_folder) as (policies, factory, running):
            old = running.current()
            assert old.child is not None
            pid = old.child.pid
            change(policies)
            new = await factory.engine(Folder(policies).read())
            with old.question() as client:
                running.swap(new)
                await asyncio.sleep(0)  # the retiring task begins, and waits
                answered = (await client.ask(sample_facts())).revision == old.revision
                still_there = alive(pid)
            folder = old.folder
            assert folder is not None
            async with asyncio.timeout(30):
                while alive(pid) or folder.path.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return answered, still_there

    assert asyncio.run(story()) == (True, True)


def test_policies_that_do_not_compile_leave_nothing_behind(
    tmp_path: Path, run_folder: Path
) -> None:
    async def story() -> tuple[str, bool, bool]:
        async with live(tmp_path, run_folder) as (policies, factory, running):
            (policies / "lib" / "broken.rego").write_text("package lib.broken\n\nx := ")
            with pytest.raises(PolicyError) as caught:
                await factory.engine(Folder(policies).read())
            left = [run_folder / each for each in os.listdir(run_folder)]  # noqa: PTH208
            current = running.current().folder
            left_alone = current is not None and left == [current.path]
            verdict = await running.ask(sample_facts())
            return str(caught.value), left_alone, verdict.allow

    why, left, allowed = asyncio.run(story())
    assert why.startswith("OPA refuses the policies: ")
    assert "broken.rego:3: rego_parse_error" in why
    assert (left, allowed) == (True, True)


def test_nothing_is_left_after_the_end_not_even_what_still_waited(
    tmp_path: Path, run_folder: Path
) -> None:
    async def story() -> list[bool]:
        async with live(tmp_path, run_folder) as (policies, factory, running):
            old = running.current()
            with old.question():  # never answered
                change(policies)
                running.swap(await factory.engine(Folder(policies).read()))
                engines = [old, running.current()]
                pids = [engine.child.pid for engine in engines if engine.child is not None]
                async with asyncio.timeout(30):
                    await running.close()
                return [alive(pid) for pid in pids]

    assert asyncio.run(story()) == [False, False]
    assert list(run_folder.iterdir()) == []
