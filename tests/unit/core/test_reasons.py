"""Every reason code has one row: its step, its HTTP status, its remedy."""

from __future__ import annotations

from sidecar.core.reasons import REASONS, Reason


def test_every_reason_has_exactly_one_row_and_its_step_grows_with_the_order() -> None:
    assert list(REASONS) == list(Reason)
    steps = [row.step for row in REASONS.values() if row.step is not None]
    assert steps == sorted(steps)
    assert set(steps) == set(range(8))
    assert [reason for reason, row in REASONS.items() if row.status == 200] == [Reason.ADMITTED]
    assert all(row.remedy.endswith(".") for row in REASONS.values())
