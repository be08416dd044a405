"""Where one failure explains others, each of them names the one to begin with."""

from __future__ import annotations

from sidecar.doctor.diagnosis import causes, explained, fail, ok


def first(name: str) -> str:
    return f"Fix “{name}” first, then run the doctor again."


def test_what_follows_from_what_follows_names_the_first_cause() -> None:
    """An OPA that does not run: an operator was sent to the gate, and from there to its log."""
    found = explained(
        (
            fail("gate", "NOT_SERVING", "See status.", ("OPA", "policy engine", "readiness")),
            fail("readiness", "not ready", "See the log.", ("OPA", "policy engine")),
            fail("policy engine", "no answer", "Start it.", ("OPA",)),
            fail("OPA", "refused", "Start OPA."),
            ok("clock", "agrees"),
            fail("canary: a call", "got 503", "See Envoy.", ("gate", "ext_authz")),
        )
    )
    assert [(one.name, one.remedy) for one in found if one.remedy] == [
        ("gate", first("OPA")),
        ("readiness", first("OPA")),
        ("policy engine", first("OPA")),
        ("OPA", "Start OPA."),
        ("canary: a call", first("OPA")),
    ]
    assert causes(found) == ["OPA"]


def test_failures_that_would_explain_each_other_end_somewhere() -> None:
    found = explained((fail("a", "", "A.", ("b",)), fail("b", "", "B.", ("a",))))
    assert [one.remedy for one in found] == [first("b"), first("a")]
