"""An assessment is used again for what the predicate does not read, and for nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

from sidecar.core.assess import assess
from sidecar.core.call import Call, Reference
from sidecar.core.proving import prove
from sidecar.core.reuse import assessed_call, assessed_caller, for_credential, for_request
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import DAY, MODEL, NOW, OPERATION
from tests.support.simulator.world import admitted_world, credential, tuned_on_world

CALL = Call("openai", OPERATION, (MODEL,))
OTHER = replace(CALL, stream=True, modalities=("audio",), tool_types=("function",))


def test_a_question_keeps_everything_that_can_name_a_model() -> None:
    given = Call(
        "openai",
        OPERATION,
        (MODEL,),
        stream=True,
        modalities=("audio",),
        tool_types=("function",),
        tuned=("tuned",),
        deployments=("deployment",),
        references=(Reference("file", "1"),),
        owned=(Reference("file", "2"),),
        specification="s" * 64,
        modelless=True,
        ignored=("ignored",),
        inputs=(Reference("file", "3"),),
        sandbox=True,
    )
    emptied = {"stream", "modalities", "tool_types", "owned", "ignored"}
    kept = assessed_call(given)
    for each in fields(Call):
        empty = getattr(CALL, each.name)
        assert getattr(given, each.name) != empty or each.name in {
            "provider",
            "operation",
            "models",
        }
        expected = empty if each.name in emptied else getattr(given, each.name)
        assert getattr(kept, each.name) == expected, each.name


def test_another_credential_and_time_get_what_would_be_assessed_of_them() -> None:
    state = tuned_on_world().state()
    first = assess(assessed_call(CALL), credential(expires=NOW + 9 * DAY), state, NOW)
    later = NOW + timedelta(minutes=2)
    for expires in (later + timedelta(seconds=1), NOW + 30 * DAY):
        other = credential(expires=expires, kind="x509-svid")
        expected = assess(OTHER, other, state, later)
        again = for_credential(first, other, later)
        assert first.admissible
        assert (again, again.endings) == (expected, expected.endings)
        assert again.valid_until == min(expires, later + DAY)


def test_a_caller_is_everything_of_a_credential_but_its_kind_and_its_end() -> None:
    one = credential()
    assert assessed_caller(one) == assessed_caller(replace(one, kind="x509-svid", expires=NOW))
    for name in ("spiffe_id", "trust_domain", "authority"):
        assert assessed_caller(one) != assessed_caller(credential(**{name: "other"}))


def test_facts_of_another_call_are_those_that_would_be_proven_of_it() -> None:
    state, now = admitted_world().state(), rfc3339(NOW)
    first, other = credential(), credential(kind="x509-svid", expires=NOW + DAY)
    proven = prove(CALL, first, assess(assessed_call(CALL), first, state, NOW), now, "n-1")
    later = rfc3339(NOW + timedelta(seconds=1))
    expected = prove(OTHER, other, assess(OTHER, other, state, NOW), later, "n-2")
    again = for_request(proven, OTHER, other, later, "n-2")
    assert again == expected
    assert again.adaptations is proven.adaptations
