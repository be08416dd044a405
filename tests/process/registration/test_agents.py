"""Agents: set up once and run by sessions, each of which is asked about whenever it is set to work.

Real Envoy, gate and OPA, and the provider's own SDK; the provider writes down what would have run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.beta.agent import Agent
from openai.types.beta.agent_session import AgentSession
from openai.types.beta.agent_session_event import AgentSessionEvent
from pydantic import TypeAdapter

from tests.process.registration import agents_upstream
from tests.process.registration.agents_upstream import Agents
from tests.process.registration.stage import OTHER_ENV, Stage, code_of
from tests.support.simulator.constants import BASE, ENV, MODEL

NOWHERE: Any = {"type": "none"}
UNREGISTERED = (403, "object_unregistered")
REFUSED = (403, "unsupported_operation")
FUNCTION: Any = {"type": "function", "name": "find", "description": "finds", "parameters": {}}


def agents(stage: Stage, environment: str = ENV) -> Any:
    return stage.client(environment).beta.agents


def begun(stage: Stage, environment: str = ENV, **more: Any) -> str:
    """A session's id."""
    made = agents(stage, environment).sessions.create(environment=NOWHERE, **more)
    return str(made.id)


def said(session: str, what: str = "go on") -> dict[str, Any]:
    message = {"role": "user", "content": [{"type": "input_text", "text": what}]}
    event = {"type": "agent.session.input.message", "input": [message]}
    return {"session_id": session, "events": [event]}


def refused_soon(call: Callable[[], Any], code: str) -> None:
    """A withdrawal takes effect when the gate has seen it."""
    end, told = time.monotonic() + 30, None
    while told is None and time.monotonic() < end:
        try:
            call()
        except openai.PermissionDeniedError as error:
            told = error.code
    assert told == code


def asked(stage: Stage, wanted: int) -> list[tuple[str, list[str]]]:
    return [(entry["operation"], entry["models"]) for entry in stage.decisions(wanted)]


def test_a_session_is_asked_about_with_the_models_of_its_agent_whenever_it_works(
    stage: Stage,
) -> None:
    made = agents(stage).create(model=MODEL, name="support", tools=[FUNCTION])
    session = begun(stage, agent_id=made.id)
    with agents(stage).sessions.stream(session, input="hello") as events:
        told = [event.delta for event in events if event.type.endswith("output_text.delta")]
    assert (told, stage.provider.agents.ran) == ([f"{MODEL} speaks"], [(session, MODEL)])
    assert sorted(asked(stage, 5)) == sorted(
        [
            ("agents.create", [MODEL]),
            ("agents.sessions.create", [MODEL]),
            ("agents.sessions.read", [MODEL]),
            ("agents.sessions.events", [MODEL]),
            ("agents.sessions.events", [MODEL]),
        ]
    )
    assert stage.counted("admissibility_registrations_total") == {"written": 2.0}
    assert stage.counted("admissibility_registration_lookups_total") == {"found": 4.0}


@pytest.mark.alone
def test_a_withdrawn_model_is_run_by_no_agent_and_no_session(stage: Stage) -> None:
    made = agents(stage).create(model=MODEL)
    session = begun(stage, agent_id=made.id)
    agents(stage).sessions.events.create(**said(session))
    regulator = stage.site.world.parties["regulator"]
    regulator.withdraw("model", f"openai/{MODEL}")
    stage.site.publish(regulator)
    refused_soon(lambda: agents(stage).sessions.retrieve(session), "withdrawn")
    ran, reached = list(stage.provider.agents.ran), len(stage.provider.requests)
    sessions = agents(stage).sessions
    assert [
        code_of(lambda: sessions.events.create(**said(session))),
        code_of(lambda: sessions.events.stream(session)),
        code_of(lambda: sessions.items.list(session)),
        code_of(lambda: sessions.update(session, agent={"model": BASE})),
        code_of(lambda: begun(stage, agent_id=made.id, input="hello")),
        code_of(lambda: begun(stage, agent={"model": MODEL}, input="hello")),
        code_of(lambda: agents(stage).update(made.id, model=BASE)),
        code_of(lambda: agents(stage).create(model=MODEL)),
    ] == [(403, "withdrawn")] * 8
    assert ran == stage.provider.agents.ran == [(session, MODEL)]
    assert len(stage.provider.requests) == reached
    assert begun(stage, agent={"model": BASE}, input="hello")


@pytest.mark.parametrize("whose", ["of another environment", "made past the gate"])
def test_what_was_not_made_here_for_this_environment_is_run_by_nobody(
    stage: Stage, whose: str
) -> None:
    agent, session, environment = "agent_stranger", "session_stranger", ENV
    if whose == "of another environment":
        agent = agents(stage).create(model=MODEL).id
        session, environment = begun(stage, agent_id=agent), OTHER_ENV
    reached = len(stage.provider.requests)
    sessions = agents(stage, environment).sessions
    assert [
        code_of(lambda: begun(stage, environment, agent_id=agent, input="hello")),
        code_of(lambda: begun(stage, environment, agent_id=agent, agent={"model": BASE})),
        code_of(lambda: agents(stage, environment).update(agent, model=BASE)),
        code_of(lambda: sessions.events.create(**said(session))),
        code_of(lambda: sessions.events.stream(session)),
        code_of(lambda: sessions.retrieve(session)),
        code_of(lambda: sessions.turns.list(session)),
        code_of(lambda: sessions.update(session, agent={"model": BASE})),
    ] == [UNREGISTERED] * 8
    assert len(stage.provider.requests) == reached


def test_an_agent_is_changed_to_admissible_models_alone_and_answers_for_all_it_had(
    stage: Stage,
) -> None:
    made = agents(stage).create(model=MODEL)
    refused = code_of(lambda: agents(stage).update(made.id, model="ft:gpt-4o:stranger::x"))
    assert (refused, stage.provider.agents.agents[made.id]["model"]) == (
        (403, "manifest_missing"),
        MODEL,
    )
    assert agents(stage).update(made.id, model=BASE).model == BASE
    session = begun(stage, agent_id=made.id)
    agents(stage).sessions.events.create(**said(session))
    assert stage.provider.agents.ran == [(session, BASE)]
    assert asked(stage, 5)[2:] == [
        ("agents.update", [BASE, MODEL]),
        ("agents.sessions.create", [MODEL, BASE]),
        ("agents.sessions.events", [MODEL, BASE]),
    ]


def test_a_session_is_changed_to_admissible_models_alone_and_answers_for_all_it_had(
    stage: Stage,
) -> None:
    session = begun(stage, agent={"model": BASE})
    change = agents(stage).sessions.update
    refused = code_of(lambda: change(session, agent={"model": "gpt-5"}))
    assert refused == (403, "manifest_missing")
    assert change(session, agent={"model": MODEL}).agent.model == MODEL
    agents(stage).sessions.events.create(**said(session))
    assert stage.provider.agents.ran == [(session, MODEL)]
    assert asked(stage, 4)[2:] == [
        ("agents.sessions.update", [MODEL, BASE]),
        ("agents.sessions.events", [BASE, MODEL]),
    ]


def test_a_streamed_session_is_registered_before_its_first_event_is_seen(stage: Stage) -> None:
    made = agents(stage).create(model=MODEL)
    with agents(stage).sessions.create(
        agent_id=made.id, agent={"model": BASE}, environment=NOWHERE, input="hello", stream=True
    ) as events:
        created = next(iter(events))
        assert created.type == "agent.session.created"
        agents(stage).sessions.events.create(**said(created.session.id))
    assert stage.provider.agents.ran == [(created.session.id, BASE)] * 2
    assert asked(stage, 3)[1:] == [
        ("agents.sessions.create", [BASE, MODEL]),
        ("agents.sessions.events", [BASE, MODEL]),
    ]


UNSEEN: dict[str, Callable[[Any, str], Any]] = {
    "sub-agents": lambda api, _: api.create(model=MODEL, multi_agent={"enabled": True}),
    "sub-agents of a session": lambda api, _: api.sessions.create(
        environment=NOWHERE, agent={"model": MODEL, "multi_agent": {"enabled": True}}
    ),
    "sub-agents later": lambda api, name: api.update(name, multi_agent={"enabled": True}),
    "wake-ups": lambda api, _: api.create(model=MODEL, tools=[{"type": "automations"}]),
    "wake-ups later": lambda api, name: api.update(name, tools=[{"type": "automations"}]),
    "a reviewer": lambda api, name: api.sessions.create(
        environment=NOWHERE, agent_id=name, review="auto_review"
    ),
    "an automation": lambda api, name: api.automations.create(
        name="nightly",
        type="periodic",
        expression="0 3 * * *",
        timezone="UTC",
        target={"type": "new_session", "agent_id": name, "environment": NOWHERE, "input": []},
    ),
    "an automation that is there": lambda api, _: api.automations.invocations.create("auto_1"),
    "an automation that rests": lambda api, _: api.automations.resume("auto_1"),
}


def test_what_would_run_models_that_no_request_names_is_refused_by_name(stage: Stage) -> None:
    made = agents(stage).create(model=MODEL, multi_agent={"enabled": False})
    reached = len(stage.provider.requests)
    found = {
        name: code_of(lambda call=call: call(agents(stage), made.id))
        for name, call in UNSEEN.items()
    }
    assert found == dict.fromkeys(UNSEEN, REFUSED)
    assert len(stage.provider.requests) == reached


@pytest.mark.alone
def test_with_registration_off_no_agent_and_no_session_is_made_or_run(stage: Stage) -> None:
    made = agents(stage).create(model=MODEL)
    session = begun(stage, agent_id=made.id)
    stage.restart(registration=None)
    reached = len(stage.provider.requests)
    assert [
        code_of(lambda: agents(stage).create(model=MODEL)),
        code_of(lambda: begun(stage, agent={"model": MODEL}, input="hello")),
        code_of(lambda: begun(stage, agent_id=made.id)),
        code_of(lambda: agents(stage).update(made.id, model=BASE)),
        code_of(lambda: agents(stage).sessions.events.create(**said(session))),
        code_of(lambda: agents(stage).sessions.retrieve(session)),
    ] == [REFUSED, REFUSED, *[UNREGISTERED] * 4]
    assert len(stage.provider.requests) == reached


def test_the_stand_in_speaks_the_wire_format_of_the_sdks_types() -> None:
    there = Agents()
    there.agents["agent_1"] = agents_upstream.agent("agent_1", {"model": MODEL})
    Agent.model_validate(there.agents["agent_1"])
    made = there._begin({"agent_id": "agent_1", "environment": NOWHERE})
    AgentSession.model_validate(made)
    events: TypeAdapter[Any] = TypeAdapter(AgentSessionEvent)
    told = [events.validate_python(event).type for event in there._turn(made["id"])]
    assert told[-1] == "agent.session.idle"
