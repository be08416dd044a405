"""The lineage of a manifest: everything that it names, each as a withdrawal would name it."""

from __future__ import annotations

from sidecar.core.documents import WithdrawalKind as Kind
from sidecar.core.lineage import base_nodes, claim_nodes, evidence_nodes, signer_nodes
from sidecar.core.memory import LineageNode
from sidecar.core.withdrawals import AuthoredNode
from tests.support.simulator.constants import BASE, MODEL
from tests.support.simulator.world import admitted_world


def test_a_manifest_rests_on_everything_that_it_names() -> None:
    (item,) = admitted_world().state().manifests_by_digest.values()
    claim = item.predicate
    expected = {
        LineageNode(Kind.MANIFEST, item.digest),
        LineageNode(Kind.MODEL, f"openai/{MODEL}"),
        LineageNode(Kind.BASE_MODEL, f"openai/{BASE}"),
        LineageNode(Kind.MODEL, f"openai/{BASE}"),
        LineageNode(Kind.RUN, claim.run.id),
        *(LineageNode(Kind.CORPUS, corpus.digest.sha256) for corpus in claim.corpora),
        *(LineageNode(Kind.EVALUATION, each.digest.sha256) for each in claim.evaluations),
        *(LineageNode(Kind.EVALUATION, each.digest.sha256) for each in claim.envelope.suites),
    }
    if claim.specification is not None:
        expected.add(LineageNode(Kind.SPECIFICATION, claim.specification.sha256))
    assert set(claim_nodes(item)) == expected


def test_evidence_rests_on_itself_as_its_author_signed_it_on_the_key_and_on_the_author() -> None:
    state = admitted_world().state()
    approval = next(iter(state.approvals.values()))[0]
    (signer,) = approval.signers
    assert evidence_nodes(approval, signer) == (
        LineageNode(Kind.APPROVAL, approval.digest),
        AuthoredNode(Kind.APPROVAL, approval.digest, signer.authority),
        *signer_nodes(signer),
    )


def test_a_base_model_is_withdrawn_under_either_kind() -> None:
    assert base_nodes("openai", BASE) == (
        LineageNode(Kind.BASE_MODEL, f"openai/{BASE}"),
        LineageNode(Kind.MODEL, f"openai/{BASE}"),
    )
