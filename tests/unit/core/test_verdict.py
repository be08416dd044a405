"""What OPA answered counts only in one exact shape, for this very question."""

from __future__ import annotations

import json

import pytest

from sidecar.core import verdict as verdict_module
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import JurisdictionVerdict, Verdict
from tests.unit.core.verdicts import VIOLATION, answer, body, read


def test_a_well_formed_allow_is_read_whole() -> None:
    assert read(body()) == Verdict(
        allow=True,
        nonce="n-1",
        revision="r-1",
        violations=(),
        warnings=(),
        jurisdictions={"eu": JurisdictionVerdict(allow=True, violations=())},
        lease_seconds=30,
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "the decision is undefined"),
        (b"", "the answer: not JSON: Expecting value at character 0"),
        (b'{"result": null}', "the answer has another shape"),
        (b'{"result": true}', "the answer has another shape"),
        (body(allow="true"), "the answer has another shape"),
        (body(allow=1), "the answer has another shape"),
        (body(allow=None), "the answer has another shape"),
        (body(lease_seconds=-1), "the answer has another shape"),
        (body(lease_seconds="30"), "the answer has another shape"),
        (body(violations={}), "the answer has another shape"),
        (body(nonce="n-2"), "the answer is to another question"),
        (body(revision="r-2"), "the answer is of another policy revision"),
        (body(jurisdictions={}), "not every jurisdiction answered"),
        (body(violations=[VIOLATION]), "the answer contradicts itself"),
        (
            body(jurisdictions={"eu": {"allow": False, "violations": []}}),
            "the answer contradicts itself",
        ),
        (
            body(jurisdictions={"eu": {"allow": True, "violations": [VIOLATION]}}),
            "the answer contradicts itself",
        ),
        (b'{"result": 1, "result": 2}', "the answer: a key is given twice"),
    ],
)
def test_any_other_answer_is_no_answer(data: bytes, message: str) -> None:
    with pytest.raises(AdmissibilityError) as caught:
        read(data)
    assert (caught.value.reason, caught.value.message) == (
        Reason.POLICY_UNAVAILABLE,
        f"policy engine: {message}",
    )


def test_nobody_to_ask_is_not_consent() -> None:
    with pytest.raises(AdmissibilityError, match="contradicts itself"):
        verdict_module.read(body(jurisdictions={}), nonce="n-1", revision="r-1", jurisdictions=())


def several(answers: dict[str, object]) -> dict[str, Verdict | str]:
    """Read the answers to the questions a and b."""
    data = json.dumps({"result": answers}).encode()
    asked = {"a": ("eu",), "b": ("eu",)}
    found = verdict_module.read_several(data, asked=asked, revision="r-1")
    return {n: v if isinstance(v, Verdict) else v.message for n, v in found.items()}


def test_each_of_several_answers_is_read_as_if_it_came_alone() -> None:
    a, b = answer(nonce="a"), answer(nonce="b", lease_seconds=5)
    whole = several({"a": a, "b": b, "c": {}})
    assert whole == several({"a": a, "b": b})
    assert [v.lease_seconds for v in whole.values() if isinstance(v, Verdict)] == [30, 5]
    missing = "policy engine: the decision is undefined"
    assert several({"a": a}) == {"a": whole["a"], "b": missing}
    swapped = "policy engine: the answer is to another question"
    assert several({"a": a, "b": a}) == {"a": whole["a"], "b": swapped}
    shape = "policy engine: the answer has another shape"
    assert several({"a": a, "b": 1}) == {"a": whole["a"], "b": shape}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "the decision is undefined"),
        (b'{"result": []}', "the answer has another shape"),
        (b'{"result": {"a": 1, "a": 2}}', "the answer: a key is given twice"),
    ],
)
def test_a_response_to_several_that_cannot_be_read_answers_none(data: bytes, message: str) -> None:
    with pytest.raises(AdmissibilityError, match=message):
        verdict_module.read_several(data, asked={"a": ("eu",)}, revision="r-1")
