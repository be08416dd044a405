"""A withdrawal of a model counts by every name that its API takes for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.documents import WithdrawalKind
from sidecar.core.lineage import named_nodes
from sidecar.core.withdrawals import WithdrawalIndex
from sidecar.trust.view import read_kept
from tests.unit.trust.refreshing import fresh
from tests.unit.trust.repository import Repository

CLAUDE = "publishers/anthropic/models/claude-opus-4-6@20260201"
MODELS = (WithdrawalKind.BASE_MODEL, WithdrawalKind.MODEL)


@pytest.mark.parametrize(
    ("kind", "written", "called"),
    [
        *(
            (kind, written, "vertex/publishers/google/models/gemini-2.5-flash")
            for kind in MODELS
            for written in ("vertex/gemini-2.5-flash", "vertex/google/gemini-2.5-flash")
        ),
        *(
            (WithdrawalKind.BASE_MODEL, f"vertex/{written}", f"vertex/{CLAUDE}")
            for written in (
                "claude-opus-4-6@20260201",
                "anthropic/claude-opus-4-6@20260201",
                "claude-opus-*",
                "cl*",
                "*",
                CLAUDE,
            )
        ),
        *(
            (WithdrawalKind.BASE_MODEL, written, "vertex/publishers/meta/models/llama-4-maas")
            for written in (
                "vertex/meta/llama-4-maas",
                "vertex/meta/*",
                "vertex/llama*",
                "vertex/*",
            )
        ),
        (
            WithdrawalKind.BASE_MODEL,
            "vertex/gemini-2.5-*",
            "vertex/publishers/google/models/gemini-2.5-pro",
        ),
        (
            WithdrawalKind.BASE_MODEL,
            "bedrock/arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
            "bedrock/amazon.nova-lite-v1:0",
        ),
        *(
            (WithdrawalKind.BASE_MODEL, written, "bedrock/openai.gpt-oss-120b")
            for written in (
                "bedrock/openai.gpt-oss-120b-1:0",
                "bedrock/arn:aws:bedrock:us-west-2::foundation-model/openai.gpt-oss-120b-1:0",
            )
        ),
        (
            WithdrawalKind.BASE_MODEL,
            "bedrock/arn:aws:bedrock:*::foundation-model/amazon.nova-*",
            "bedrock/amazon.nova-lite-v1:0",
        ),
        *(
            (kind, f"ollama/{written}", f"ollama/{named}")
            for kind in MODELS
            for written, named in (
                ("llama3:latest", "llama3"),
                ("llama3", "library/llama3:latest"),
                ("registry.ollama.ai/library/llama3", "llama3:latest"),
                ("acme/llama3", "registry.ollama.ai/acme/llama3:latest"),
            )
        ),
        *(
            (WithdrawalKind.BASE_MODEL, written, named)
            for written in ("ollama/llama3:*", "ollama/library/llama3*")
            for named in ("ollama/llama3", "ollama/registry.ollama.ai/library/llama3:8b")
        ),
    ],
)
def test_law_1_a_model_is_withdrawn_however_its_name_is_written(
    repo: Repository, state: Path, kind: WithdrawalKind, written: str, called: str
) -> None:
    repo.withdraw(kind, written)
    for view in (fresh(repo, state), read_kept(repo.trusted(), state).view):
        index = WithdrawalIndex.of(view.withdrawals.entries)
        assert [bool(index.hits(node)) for node in named_nodes(called)] == [
            kind is WithdrawalKind.BASE_MODEL,
            kind is WithdrawalKind.MODEL,
        ]
        assert [bool(index.hits(node)) for node in named_nodes(written)].count(True) == 1


TUNABLE = "bedrock/amazon.nova-lite-v1:0:300k"
"""The id by which a job names its base, and so a manifest: with the length of the context."""


@pytest.mark.parametrize(
    ("kind", "written", "named"),
    [
        *((kind, "bedrock/amazon.nova-lite-v1:0", TUNABLE) for kind in MODELS),
        *((kind, TUNABLE, "bedrock/amazon.nova-lite-v1:0") for kind in MODELS),
        (WithdrawalKind.BASE_MODEL, "bedrock/amazon.nova-*-v1:0", TUNABLE),
        (
            WithdrawalKind.BASE_MODEL,
            "bedrock/arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            TUNABLE,
        ),
        (
            WithdrawalKind.BASE_MODEL,
            TUNABLE,
            "bedrock/amazon.nova-lite-v1:0:24k",
        ),
    ],
)
def test_law_6_a_base_is_withdrawn_by_the_id_that_is_called_and_by_the_one_that_is_tuned(
    repo: Repository, state: Path, kind: WithdrawalKind, written: str, named: str
) -> None:
    repo.withdraw(kind, written)
    index = WithdrawalIndex.of(fresh(repo, state).withdrawals.entries)
    assert any(index.hits(node) for node in named_nodes(named))
    for other in ("bedrock/amazon.nova-lite-v1:1", "bedrock/amazon.nova-pro-v2:0:300k"):
        assert not any(index.hits(node) for node in named_nodes(other))


def test_a_withdrawal_under_the_one_name_is_read_as_it_is(repo: Repository, state: Path) -> None:
    subjects = (
        "vertex/**",
        "openai/gpt-4o-*",
        "own-servers/gemini-2.5-flash",
        "bedrock/amazon.titan-embed-text-v1",
    )
    for subject in subjects:
        repo.withdraw("base-model", subject)
    assert tuple(e.subject for e in fresh(repo, state).withdrawals.entries) == subjects
