"""A conversation takes up what is said to it: what it reaches is written before a call goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.window import Window
from sidecar.gate.objects import Objects
from sidecar.registry.record import TYPE, Key, Registration, Use
from sidecar.registry.store import Store
from tests.registry.samples import store
from tests.simulator.world import ENV, NOW

BEGUN = Use("conversations.create")
TALK = Key("openai", "openai", "conversation", "conv_1")
CALL = Call("openai", "responses", ("m",), references=(Reference("conversation", "conv_1"),))


class Full(Store):
    """A store on a disk that is full."""

    def put(self, registration: Registration) -> Registration:
        raise OSError("no room")


def begun(folder: Path) -> Store:
    """A store that knows one conversation, in which nothing was said yet."""
    kept = store(folder)
    kept.put(
        Registration(
            type=TYPE,
            provider=TALK.provider,
            api=TALK.api,
            kind=TALK.kind,
            id=TALK.id,
            environment=ENV,
            uses=(BEGUN,),
            window=Window(NOW - timedelta(days=1), NOW + timedelta(days=1)),
            decision="d",
        )
    )
    return kept


def said(kept: Store, call: Call) -> tuple[str, ...]:
    """Say it; the models that the predicate is asked about."""

    async def story() -> tuple[str, ...]:
        objects = Objects(kept, timedelta(days=30))
        resolved = await objects.resolve(call, "openai", ENV, NOW)
        await objects.grow(resolved)
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
        Use("responses", ("m",)),
        Use("responses", ("n",), tool_types=("x",)),
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
