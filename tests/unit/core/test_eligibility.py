"""A signer counts as agreement by an active key in its window; as signed, by any listed key."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from sidecar.core.eligibility import eligible_signers, grant_for, signed_by
from sidecar.core.grants import REGULATOR, Scope
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.world import admitted_world

HERE = Scope(ENV, "finance")


def test_a_retired_key_still_says_who_signed_and_no_longer_agrees() -> None:
    state = admitted_world().state()
    (item,) = (
        each
        for items in state.approvals.values()
        for each in items
        if each.predicate.role == REGULATOR
    )
    (signer,) = item.signers
    record = state.keys[signer]
    retired = replace(
        state, keys=MappingProxyType({**state.keys, signer: replace(record, retired=True)})
    )
    asked = (item, REGULATOR, HERE, item.predicate.jurisdictions)
    assert eligible_signers(state, *asked, NOW) == (signer,)
    assert eligible_signers(retired, *asked, NOW) == ()
    assert eligible_signers(state, *asked, record.window.not_after) == ()
    assert signed_by(retired.operator, *asked) == (signer,)


def test_a_grant_is_found_by_role_and_scope_or_not_at_all() -> None:
    operator = admitted_world().operator()
    found = grant_for(operator, "regulator", REGULATOR, HERE, ("eu",))
    assert found is not None
    assert found.role == REGULATOR
    assert grant_for(operator, "regulator", "provider", HERE) is None
    assert grant_for(operator, "nobody", REGULATOR, HERE) is None
