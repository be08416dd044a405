"""The three commonest refusals of step 0 carry their code and exactly the message given."""

from __future__ import annotations

from sidecar.core.reasons import Reason
from sidecar.core.refusals import ambiguous, malformed, unsupported


def test_each_refusal_has_its_own_code_and_the_whole_message() -> None:
    found = [
        (each("why").reason, each("why").message) for each in (malformed, ambiguous, unsupported)
    ]
    assert found == [
        (Reason.MALFORMED_REQUEST, "why"),
        (Reason.AMBIGUOUS_MODEL, "why"),
        (Reason.UNSUPPORTED_OPERATION, "why"),
    ]
