"""A conversation takes up what is said to it: what it reaches is written before a call goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.core.call import Call, Credential, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.window import Window
from sidecar.registry.errors import RegistryResult
from sidecar.registry.objects import Objects, ResolvedCall
from sidecar.registry.record import TYPE, AdmittedUse, Key, Registration
from sidecar.registry.store import RegistrationStore
from sidecar.registry.tickets import FIELD
from tests.support.simulator.constants import ENV, NOW
from tests.unit.registry.samples import files, store

BEGUN = AdmittedUse("conversations.create")
TALK = Key("openai", "openai", "conversation", "conv_1")
CALL = Call("openai", "responses", ("m",), references=(Reference("conversation", "conv_1"),))


AGENT = Key("openai", "openai", "agent", "agent_1")
SET_UP = AdmittedUse("agents.create", ("m",), tool_types=("function",))
TO_AGENT = (Reference("agent", "agent_1"),)
CHANGE = Call("openai", "agents.update", (), tool_types=("mcp",), references=TO_AGENT)
BEGIN = Call("openai", "agents.sessions.create", (), references=TO_AGENT)
CALLER = Credential(ENV, "acme.example", "jwt-svid", NOW + timedelta(hours=1), "customer")


class Full(RegistrationStore):
    """A store on a disk that is full."""

    def put(self, registration: Registration) -> Registration:
        raise OSError("no room")


def begun(folder: Path, what: Key = TALK, *uses: AdmittedUse) -> RegistrationStore:
    """A store that knows one object: a conversation in which nothing was said yet, if not told."""
    kept = store(folder)
    kept.put(
        Registration(
            type=TYPE,
            provider=what.provider,
            api=what.api,
            kind=what.kind,
            id=what.id,
            environment=ENV,
            uses=uses or (BEGUN,),
            window=Window(NOW - timedelta(days=1), NOW + timedelta(days=1)),
            decision="d",
        )
    )
    return kept


def said(kept: RegistrationStore, call: Call) -> tuple[str, ...]:
    """Say it; the models that the predicate is asked about."""

    async def story() -> tuple[str, ...]:
        objects = Objects(kept, timedelta(days=30))
        resolved = await objects.resolve(call, "openai", ENV, NOW)
        await objects.add_uses(resolved)
        objects.close()
        return resolved.call.models

    return asyncio.run(story())


def test_every_model_that_had_a_part_is_asked_about_again(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    assert said(kept, CALL) == ("m",)
    assert said(kept, replace(CALL, models=("n",), tool_types=("x",))) == ("n", "m")
    assert said(kept, CALL) == ("m", "n")
    assert kept.find(TALK, ENV, NOW).uses == (
        BEGUN,
        AdmittedUse("responses", ("m",)),
        AdmittedUse("responses", ("n",), tool_types=("x",)),
    )


def test_what_cannot_be_remembered_is_not_said(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    full = Full(kept.folder, kept.key)
    with pytest.raises(AdmissibilityError) as caught:
        said(full, CALL)
    assert caught.value.reason is Reason.OBJECT_UNREGISTERED
    assert kept.find(TALK, ENV, NOW).uses == (BEGUN,)


def test_what_was_said_before_is_not_written_again(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    said(kept, CALL)
    assert said(Full(kept.folder, kept.key), CALL) == ("m",)


def resolved(kept: RegistrationStore, call: Call) -> ResolvedCall:
    async def story() -> ResolvedCall:
        objects = Objects(kept, timedelta(days=30))
        found = await objects.resolve(call, "openai", ENV, NOW)
        objects.close()
        return found

    return asyncio.run(story())


def test_an_agent_is_asked_about_as_it_was_set_up_tools_and_all(tmp_path: Path) -> None:
    found = resolved(begun(tmp_path, AGENT, SET_UP), BEGIN)
    assert (found.later, found.call) == (
        (Call("openai", "agents.create", ("m",), tool_types=("function",)),),
        replace(BEGIN, models=("m",), tool_types=("function",), references=()),
    )
    made = AdmittedUse("agents.sessions.create", ("m",), tool_types=("function",))
    assert found.uses == (made, SET_UP)


def test_every_model_that_an_agent_may_have_is_asked_about_with_every_tool(tmp_path: Path) -> None:
    """A change of the model alone leaves it the tools that it had."""
    found = resolved(
        begun(tmp_path, AGENT, SET_UP), replace(CHANGE, models=("n",), tool_types=("mcp",))
    )
    asked = (found.call.models, found.call.tool_types)
    assert asked == (("n", "m"), ("function", "mcp"))
    kept = begun(tmp_path, TALK, AdmittedUse("responses", ("m",), tool_types=("function",)))
    assert resolved(kept, replace(CALL, models=("n",))).call.tool_types == ()


def test_a_change_of_an_agent_is_remembered_with_what_it_had(tmp_path: Path) -> None:
    kept = begun(tmp_path, AGENT, SET_UP)
    changed = AdmittedUse("agents.update", ("m",), tool_types=("function", "mcp"))
    assert said(kept, CHANGE) == ("m",)
    assert set(kept.find(AGENT, ENV, NOW).uses) == {SET_UP, changed}
    assert said(kept, replace(CHANGE, models=("n",), tool_types=())) == ("n", "m")
    assert set(kept.find(AGENT, ENV, NOW).uses) == {
        SET_UP,
        changed,
        AdmittedUse("agents.update", ("n",)),
    }
    full = Full(kept.folder, kept.key)
    with pytest.raises(AdmissibilityError) as caught:
        said(full, replace(CHANGE, models=("o",)))
    assert caught.value.reason is Reason.OBJECT_UNREGISTERED


def test_beginning_or_reading_changes_nothing_that_it_refers_to(tmp_path: Path) -> None:
    kept = begun(tmp_path, AGENT, SET_UP)
    assert said(kept, replace(BEGIN, models=("n",))) == ("n", "m")
    assert kept.find(AGENT, ENV, NOW).uses == (SET_UP,)
    talk = begun(tmp_path, TALK, AdmittedUse("responses", ("m",)))
    assert said(talk, replace(CALL, operation="responses.input_tokens", models=("n",))) == (
        "n",
        "m",
    )
    assert talk.find(TALK, ENV, NOW).uses == (AdmittedUse("responses", ("m",)),)


def test_what_an_agent_took_up_while_its_session_began_is_registered_with_the_session(
    tmp_path: Path,
) -> None:
    """Asked about, then the agent changed, then made by the provider: it runs the new model."""
    kept = begun(tmp_path, AGENT, SET_UP)
    session = Key("openai", "openai", "session", "session_1")

    async def story(change: Call) -> RegistryResult:
        objects = Objects(kept, timedelta(days=30))
        found = await objects.resolve(BEGIN, "openai", ENV, NOW)
        signed = objects.metadata(found, "openai", CALLER, "d" * 32, NOW)
        assert set(signed) == {FIELD}
        await objects.add_uses(await objects.resolve(change, "openai", ENV, NOW))
        ticket = objects.verify_ticket(signed[FIELD], NOW)
        result = await objects.register(
            ticket, Reference(session.kind, session.id), ticket.uses, NOW
        )
        objects.close()
        return result

    assert asyncio.run(story(replace(CHANGE, models=("n",)))) is RegistryResult.WRITTEN
    assert kept.find(session, ENV, NOW).named(lambda use: use.models) == ("m", "n")


def test_what_was_made_from_something_forgotten_meanwhile_is_not_registered(
    tmp_path: Path,
) -> None:
    kept = begun(tmp_path, AGENT, SET_UP)

    async def story() -> RegistryResult:
        objects = Objects(kept, timedelta(days=30))
        found = await objects.resolve(BEGIN, "openai", ENV, NOW)
        signed = objects.metadata(found, "openai", CALLER, "d" * 32, NOW)
        assert set(signed) == {FIELD}
        ticket = objects.verify_ticket(signed[FIELD], NOW)
        (record,) = files(tmp_path)
        record.unlink()
        result = await objects.register(ticket, Reference("session", "session_1"), ticket.uses, NOW)
        objects.close()
        return result

    assert asyncio.run(story()) is RegistryResult.FAILED
    assert files(tmp_path) == []
