"""Every operation that OpenAI publishes, through real Envoy: shut, or authorised by name.

None of the models that the requests name is bound to anything, so none may pass. What is shown is
that each is refused by the gate with a reason of its own, that none ends in a failure, and that the
upstream hears of none.
"""

from __future__ import annotations

import pytest

from tests.contract.operations.operations import Published, openai
from tests.contract.operations.requests import Filled, fill
from tests.support.site.envoy import request_bytes
from tests.support.site.talk import Talk, told

REASONS = {
    (400, "ambiguous_model"),
    (400, "malformed_request"),
    (403, "manifest_missing"),
    (403, "object_unregistered"),
    (403, "specification_missing"),
    (403, "unsupported_operation"),
}
BY_ENVOY = (403, "")
"""An upgrade that no listener allows ends in Envoy, before anybody is asked."""

OPERATIONS = openai()


def sent(talk: Talk, filled: Filled) -> tuple[int, str]:
    """The verdict on a request, with the credential of an environment that may call."""
    request = filled.request
    lines = [*talk.credential, *(line for line in request.headers if line[0] != "content-length")]
    return told(talk.raw(request_bytes(request.method, request.path, lines, request.raw_body)))


def variants(operation: Published) -> list[Filled]:
    """With every model, with every stored object, and with nothing."""
    places, references = tuple(operation.models), tuple(operation.references)
    return [
        fill(operation, places=places),
        fill(operation, places=places, references=references),
        fill(operation),
    ]


@pytest.mark.parametrize("letter", sorted({one.path[4:5] for one in OPERATIONS}))
def test_no_operation_passes_without_evidence_and_none_fails(talk: Talk, letter: str) -> None:
    mark = len(talk.upstream.received)
    verdicts = {True: set[tuple[int, str]](), False: set[tuple[int, str]]()}
    for operation in OPERATIONS:
        if operation.path[4:5] == letter:
            for filled in variants(operation):
                upgrade = filled.request.header("upgrade") is not None
                verdicts[upgrade].add(sent(talk, filled))
    assert talk.verdict() == (200, "admitted")
    assert len(talk.upstream.received) == mark + 1
    assert verdicts[False] <= REASONS
    assert verdicts[True] <= {BY_ENVOY}
    assert verdicts[False] | verdicts[True]
