"""The stories that ``admit demo`` tells, and what holds of each, wherever it is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STORY = [
    ("chat with the bound model", 403, "preactivation_missing"),
    ("the evaluator, in production", 403, "environment_not_covered"),
    ("production, in the sandbox", 403, "sandbox_not_granted"),
    ("the evaluator, in the sandbox", 200, "admitted"),
    ("chat with the evaluated model", 403, "approval_missing"),
    ("after the provider approved", 403, "approval_missing"),
    ("after the customer approved", 403, "approval_missing"),
    ("after the regulator approved", 200, "admitted"),
    ("the answer as a stream", 200, "admitted"),
    ("from another environment", 403, "environment_not_covered"),
    ("without a credential", 401, "credential_missing"),
    ("an unlisted base model", 403, "base_model_not_listed"),
    ("a listed base model", 200, "admitted"),
    ("a body that names two models", 400, "malformed_request"),
    ("the next call", 403, "withdrawn"),
    ("after the regulator approved anew", 200, "admitted"),
    ("what rests on the old key", 403, "environment_unknown"),
    ("with the environment declared anew", 403, "approval_missing"),
    ("with the approval signed anew", 200, "admitted"),
    ("a model tuned from ours, in the sandbox", 200, "admitted"),
    ("a model tuned from ours", 200, "admitted"),
    ("our model", 403, "withdrawn"),
    ("the model tuned on from it", 403, "withdrawn"),
    ("a base model of another class", 200, "admitted"),
    ("after the provider took it back", 200, "admitted"),
    ("while its metadata holds", 200, "admitted"),
    ("once it expired, with nothing pushed", 503, "trust_stale"),
    ("after it published again", 200, "admitted"),
    ("with no policy engine", 503, "policy_unavailable"),
    ("once the gate restarted it", 200, "admitted"),
    ("the regulator withdrew a corpus", 403, "withdrawn"),
    ("its key is rotated", 403, "approval_missing"),
    ("it approved with its new key", 403, "withdrawn"),
    ("the gate was restarted", 403, "withdrawn"),
    ("the regulator took it back", 200, "admitted"),
]
"""Tried, status, reason: the story as the README tells it."""
LORA = [
    ("chat with the bound adapter", 403, "preactivation_missing"),
    *STORY[1:9],
    ("from another environment", 403, "environment_not_covered"),
    ("the base model, which is listed", 200, "admitted"),
    ("another base model", 403, "base_model_not_listed"),
    ("an adapter to load under this name", 403, "unsupported_operation"),
    ("after the host withdrew it", 403, "withdrawn"),
    ("with the bound weights again", 200, "admitted"),
    ("the next call", 403, "withdrawn"),
    ("the base model alone", 200, "admitted"),
    ("after the regulator took it back", 200, "admitted"),
    ("the adapter", 403, "withdrawn"),
    ("the base model itself", 403, "withdrawn"),
]
"""The same of the story of an adapter: the whole life of open weights, no step by hand."""


def require_as_stated(told: Sequence[dict[str, Any]], stated: list[tuple[str, int, str]]) -> None:
    """Compare every call of a story, as ``--json`` prints it."""
    assert [(line["tried"], line["status"], line["reason"]) for line in told] == stated
    assert {line["as_stated"] for line in told} == {True}


def require_no_credential(folder: Path, printed: str, *, kept: int) -> None:
    """Search what was printed and written for every credential that the demo uses.

    Args:
        folder: Where the demo wrote.
        printed: Its standard output.
        kept: How many files hold a credential beside the provider's, each for its owner alone.
    """
    key = folder / "provider-credential.yaml"
    holding = [key, *folder.glob("binder/secrets/*")]
    assert {path.stat().st_mode & 0o777 for path in holding} == {0o600}
    assert len(holding) == 1 + kept
    secrets = [
        *re.findall(rb"sk-[0-9a-f]{32}", key.read_bytes()),
        rb"whsec_[\w+/]{20,}",
        rb"\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.",
    ]
    assert len(secrets) == 3
    written = [path for path in folder.rglob("*") if path.is_file() and path not in holding]
    assert len(written) > 50
    for text in (printed.encode(), *(path.read_bytes() for path in written)):
        assert not [secret for secret in secrets if re.search(secret, text)]
