"""The second turn of an SDK with its defaults: items of the first come again by their ids."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.process.registration.stage import OTHER_ENV, Stage, code_of
from tests.support.simulator.constants import BASE, ENV, MODEL

UNREGISTERED = (403, "object_unregistered")


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def second_turn(
    stage: Stage, item: str | None, environment: str = ENV, model: str | None = BASE, **more: Any
) -> Any:
    """As SDKs send it: what the user said, what came of it by its id, and what the user says."""
    conversation: Any = [said("hi"), {"type": "item_reference", "id": item}, said("and?")]
    create = stage.client(environment).responses.create
    if model is None:
        return create(input=conversation, **more)
    return create(model=model, input=conversation, **more)


def test_the_second_turn_is_admitted_for_the_models_of_the_items_too(stage: Stage) -> None:
    first = stage.client().responses.create(model=MODEL, input="hi")
    second = second_turn(stage, first.output[0].id)
    third = second_turn(stage, second.output[0].id)
    assert third.output_text == "Hello"
    assert [entry["models"] for entry in stage.decisions(3)] == [
        [MODEL],
        [BASE, MODEL],
        [BASE, MODEL],
    ]


def test_an_item_of_a_stream_can_be_used_as_soon_as_its_event_is_seen(stage: Stage) -> None:
    with stage.client().responses.create(model=MODEL, input="hi", stream=True) as events:
        for event in events:
            if event.type == "response.output_item.added":
                assert second_turn(stage, event.item.id, stream=False).output_text == "Hello"
    assert [entry["models"] for entry in stage.decisions(2)] == [[MODEL], [BASE, MODEL]]


def test_an_item_is_its_environments_and_was_made_here(stage: Stage) -> None:
    first = stage.client().responses.create(model=MODEL, input="hi")
    reached = len(stage.provider.requests)
    assert [
        code_of(lambda: second_turn(stage, first.output[0].id, OTHER_ENV)),
        code_of(lambda: second_turn(stage, "msg_stranger")),
        code_of(lambda: second_turn(stage, first.id)),
        code_of(lambda: second_turn(stage, first.output[0].id, model=None)),
    ] == [UNREGISTERED, UNREGISTERED, UNREGISTERED, (400, "malformed_request")]
    assert len(stage.provider.requests) == reached


@pytest.mark.alone
def test_with_registration_off_the_refusal_names_the_setting(stage: Stage) -> None:
    first = stage.client().responses.create(model=MODEL, input="hi")
    stage.restart(registration=None)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        second_turn(stage, first.output[0].id)
    error: Any = caught.value
    assert error.code == "object_unregistered"
    assert "have the operator set registration in sidecar.yaml" in error.message
    assert "send the item itself, not its id" in error.message
