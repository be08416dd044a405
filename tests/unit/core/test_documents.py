"""What an authority's documents may hold, and how their entries take effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.core import wire
from sidecar.core.documents import (
    AttestationKey,
    Failure,
    Supersession,
    TrustDomain,
    TrustDomainsDocument,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
    read_trust_domains,
    read_withdrawals,
)
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import KeyRecord
from sidecar.core.window import Window
from tests.support.simulator.keys import SimKey

NOW = datetime(2027, 1, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_withdrawal_without_a_time_is_in_effect_at_any_time() -> None:
    at_once = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "tainted")
    later = Withdrawal(WithdrawalKind.RUN, "ftjob-1", "tainted", NOW)
    assert [at_once.in_effect(NOW - 999 * HOUR), at_once.in_effect(NOW)] == [True, True]
    assert [later.in_effect(NOW - HOUR), later.in_effect(NOW)] == [False, True]


def test_a_retired_key_does_not_agree_inside_its_window() -> None:
    key = PublicKey.from_pem(SimKey.ed25519().pem)
    window = Window(NOW, NOW + HOUR)
    active = KeyRecord("acme", key, window, ("t",))
    retired = KeyRecord("acme", key, window, ("t",), retired=True)
    assert [record.agrees(NOW) for record in (active, retired)] == [True, False]
    assert not active.agrees(NOW + HOUR)


def test_failures_and_supersessions_are_read_as_they_are_written() -> None:
    document = WithdrawalsDocument(
        "urn:admissibility:withdrawals:v1",
        (),
        (Failure("aa" * 32, "bb" * 32, "cc" * 32, "jailbreaks: 0.5 is below 0.95"),),
        (Supersession("aa" * 32, "dd" * 32),),
    )
    assert read_withdrawals(wire.write(document)) == document


def test_a_key_is_active_unless_it_says_otherwise() -> None:
    given = ("pem", Window(NOW, NOW + HOUR), ("t",))
    assert AttestationKey(*given).active
    assert not AttestationKey(*given, status="retired").active


def test_a_trust_domain_is_listed_once() -> None:
    domain = TrustDomain("acme.example", {"keys": []})
    kind = "urn:admissibility:trust-domains:v1"
    document = TrustDomainsDocument(kind, (domain,))  # type: ignore[arg-type]
    assert read_trust_domains(wire.write(document)) == document
    with pytest.raises(EvidenceError, match="one trust domain is listed twice"):
        read_trust_domains(wire.write(TrustDomainsDocument(kind, (domain, domain))))  # type: ignore[arg-type]


def test_only_environments_and_base_models_are_withdrawn_by_pattern() -> None:
    by_pattern = {WithdrawalKind.ENVIRONMENT, WithdrawalKind.BASE_MODEL}
    for kind in WithdrawalKind:
        entry = Withdrawal(kind, "acme/*", "why")
        assert entry.hits(kind, "acme/x") is (kind in by_pattern)
        assert entry.hits(kind, "acme/*")


def test_what_is_announced_is_listed_by_its_time_up_to_the_bound() -> None:
    def entry(subject: str, days: int | None) -> Withdrawal:
        at = None if days is None else NOW + timedelta(days=days)
        return Withdrawal(WithdrawalKind.RUN, subject, "why", at)

    entries = (
        entry("late", 3),
        entry("far", 4),
        entry("now", 0),
        entry("past", -1),
        entry("at once", None),
        entry("soon", 1),
    )
    document = WithdrawalsDocument("urn:admissibility:withdrawals:v1", entries)
    found = document.announced(NOW, NOW + timedelta(days=3))
    assert [each.subject for each in found] == ["soon", "late"]
    both = tuple(replace(entry("same", 1), kind=kind) for kind in reversed(WithdrawalKind))
    document = WithdrawalsDocument("urn:admissibility:withdrawals:v1", both)
    assert document.announced(NOW, NOW + timedelta(days=1)) == both
