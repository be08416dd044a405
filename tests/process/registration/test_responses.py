"""A response that was created through the gate may be built on: by whom, and how long."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import openai
import pytest

from tests.process.cli.admit import told
from tests.process.registration.stage import OTHER_ENV, Stage, code_of
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import BASE, ENV, MODEL

UNREGISTERED = (403, "object_unregistered")


def test_what_was_created_here_is_built_on_here_with_both_models_asked_about(stage: Stage) -> None:
    first = stage.respond(MODEL)
    second = stage.respond(BASE, previous_response_id=first)
    third = stage.respond(None, previous_response_id=second)
    asked = [entry["models"] for entry in stage.decisions(3)]
    assert asked == [[MODEL], [BASE, MODEL], [BASE, MODEL]]
    # Each with the one item of its output.
    assert 2 * len({first, second, third}) == len(stage.records()) == 6
    assert stage.counted("admissibility_registrations_total") == {"written": 6.0}
    assert stage.counted("admissibility_registration_lookups_total") == {"found": 2.0}


def test_another_environment_cannot_build_on_it_nor_anybody_on_a_stranger(stage: Stage) -> None:
    first = stage.respond(MODEL)
    before = len(stage.provider.requests)
    refused = [
        code_of(lambda: stage.respond(BASE, OTHER_ENV, previous_response_id=first)),
        code_of(lambda: stage.respond(BASE, previous_response_id="resp_stranger")),
    ]
    assert refused == [UNREGISTERED, UNREGISTERED]
    assert len(stage.provider.requests) == before
    counted = stage.counted("admissibility_registration_lookups_total")
    assert counted == {"foreign": 1.0, "missing": 1.0}
    assert stage.respond(BASE, previous_response_id=first)


def test_a_conversation_reaches_every_model_that_had_a_part_in_it(stage: Stage) -> None:
    talk = stage.client().conversations.create().id
    assert stage.respond(BASE, conversation=talk)
    assert stage.respond(MODEL, conversation=talk)
    assert stage.respond(BASE, conversation=talk)
    asked = [(entry["operation"], entry["models"]) for entry in stage.decisions(4)]
    assert asked == [
        ("conversations.create", []),
        ("responses", [BASE]),
        ("responses", [MODEL, BASE]),
        ("responses", [BASE, MODEL]),
    ]
    before = len(stage.provider.requests)
    refused = [
        code_of(lambda: stage.respond(BASE, OTHER_ENV, conversation=talk)),
        code_of(lambda: stage.respond(BASE, conversation="conv_stranger")),
    ]
    assert refused == [UNREGISTERED, UNREGISTERED]
    assert len(stage.provider.requests) == before


@pytest.mark.parametrize(
    ("items", "refusal"),
    [
        (
            [{"type": "additional_tools", "tools": [{"type": "image_generation", "model": MODEL}]}],
            (400, "ambiguous_model"),
        ),
        ([{"type": "additional_tools", "tools": []}], (403, "unsupported_operation")),
        ([{"type": "item_reference", "id": "msg_1"}], UNREGISTERED),
    ],
)
def test_a_conversation_begins_without_anything_that_could_name_a_model(
    stage: Stage, items: list[dict[str, object]], refusal: tuple[int, str]
) -> None:
    create = stage.client().conversations.create
    refused = code_of(lambda: create(extra_body={"items": items}))
    assert (refused, stage.provider.requests) == (refusal, [])


def test_a_rehearsal_knows_what_is_registered_and_registers_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    talk = stage.client().conversations.create().id
    before = [path.read_bytes() for path in stage.records()]
    token = stage.site.issuer.jwt_svid(ENV, datetime.now(UTC))
    head = f"POST /v1/responses HTTP/1.1\nContent-Type: application/json\n{HEADER}: {token}\n\n"
    for name, outcome, code in ((talk, "allow", 0), ("conv_stranger", "deny", 1)):
        request = tmp_path / "request.http"
        request.write_text(head + json.dumps({"model": MODEL, "conversation": name}))
        said = told("explain", "--request", request, "--config", stage.site.config, code=code)
        assert (said["decision"]["outcome"], said["places"][1]["value"]) == (outcome, name)
    assert [path.read_bytes() for path in stage.records()] == before


@pytest.mark.alone
def test_a_withdrawal_reaches_what_the_model_had_a_part_in(stage: Stage) -> None:
    first = stage.respond(MODEL)
    assert stage.respond(BASE, previous_response_id=first)
    regulator = stage.site.world.parties["regulator"]
    regulator.withdraw("model", f"openai/{MODEL}")
    stage.site.publish(regulator)
    end, code = time.monotonic() + 30, None
    while code is None and time.monotonic() < end:
        try:
            stage.respond(BASE, previous_response_id=first)
        except openai.PermissionDeniedError as error:
            code = error.code
    assert code == "withdrawn"
    assert stage.respond(BASE)


@pytest.mark.alone
def test_a_registration_outlives_a_restart_but_not_its_key_nor_a_changed_byte(
    stage: Stage,
) -> None:
    first, other = stage.respond(MODEL), stage.respond(MODEL)
    stage.restart()
    assert stage.respond(BASE, previous_response_id=first)
    for path in stage.records():
        path.write_bytes(path.read_bytes().replace(b'"sig": "', b'"sig": "A', 1))
    assert code_of(lambda: stage.respond(BASE, previous_response_id=first)) == UNREGISTERED
    stage.restart(registration={"folder": "registrations", "key": "another.pem"})
    fresh = stage.respond(MODEL)
    refused = code_of(lambda: stage.respond(BASE, previous_response_id=other))
    assert (refused, bool(stage.respond(BASE, previous_response_id=fresh))) == (UNREGISTERED, True)


@pytest.mark.alone
def test_with_registration_off_nothing_can_be_built_on_nor_created(stage: Stage) -> None:
    first = stage.respond(MODEL)
    stage.restart(registration=None)
    before = len(stage.provider.requests)
    assert code_of(lambda: stage.respond(BASE, previous_response_id=first)) == UNREGISTERED
    assert code_of(lambda: stage.respond(BASE)) == UNREGISTERED
    assert len(stage.provider.requests) == before
    chat = stage.client().chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}]
    )
    assert chat.status_code == 200


def test_a_streamed_response_is_registered_before_its_first_event_is_seen(stage: Stage) -> None:
    stage.provider.hold.clear()
    client = stage.client()
    with client.responses.create(model=MODEL, input="hello", stream=True) as events:
        created = next(iter(events))
        assert created.type == "response.created"
        # The provider has not gone on: the event came through unbuffered, and is registered.
        assert stage.counted("admissibility_registrations_total") == {"written": 1.0}
        assert stage.respond(BASE, previous_response_id=created.response.id)
        stage.provider.hold.set()
        rest = [event.type for event in events]
    assert rest == [
        "response.output_item.added",
        "response.output_text.delta",
        "response.completed",
    ]


def test_an_answer_without_an_id_still_comes_and_registers_nothing(stage: Stage) -> None:
    client = stage.client()
    found = []
    for changes, kind in (({"id": 7}, "application/json"), ({}, "text/plain")):
        stage.provider.changes, stage.provider.content_type = changes, kind
        raw = client.responses.with_raw_response.create(model=MODEL, input="hello")
        found.append((raw.status_code, raw.headers["content-type"].split(";")[0]))
    assert found == [(200, "application/json"), (200, "text/plain")]
    assert stage.records() == []
    assert stage.counted("admissibility_registrations_total") == {"unreadable": 2.0}


@pytest.mark.alone
def test_a_folder_that_cannot_be_written_costs_the_object_and_not_the_answer(stage: Stage) -> None:
    folder = stage.site.folder / "registrations"
    folder.rename(folder.with_name("elsewhere"))
    first = stage.respond(MODEL)
    assert code_of(lambda: stage.respond(BASE, previous_response_id=first)) == UNREGISTERED
    assert stage.counted("admissibility_registrations_total") == {"failed": 2.0}
