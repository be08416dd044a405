"""Who calls: without a credential nobody, and with two of them only one and the same."""

from __future__ import annotations

from datetime import timedelta

from sidecar.core.call import Credential
from sidecar.core.reasons import Reason
from tests.support.gate.credentials import Bench, invalid
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import ENV, NOW


def test_nothing_at_all_is_missing(bench: Bench) -> None:
    missing = f"the request has neither a JWT-SVID in the header {HEADER} nor a client certificate"
    spoofed = (("x-forwarded-client-cert", f"URI={ENV}"), ("authorization", "Bearer x"))
    assert bench.ask() == (Reason.CREDENTIAL_MISSING, missing)
    assert bench.ask(extra=spoofed) == (Reason.CREDENTIAL_MISSING, missing)


def test_both_must_name_the_same_environment(bench: Bench) -> None:
    same = bench.ask(bench.token(), certificate=bench.leaf())
    assert same == Credential(
        ENV, "acme.example", "x509-svid", NOW + timedelta(minutes=30), "customer"
    )
    assert bench.ask(bench.token(), certificate=bench.leaf(ENV + "2")) == invalid(
        "the JWT-SVID and the client certificate name two environments"
    )


def test_one_good_credential_does_not_make_up_for_a_bad_one(bench: Bench) -> None:
    assert bench.ask("x", certificate=bench.leaf()) == invalid(
        "the credential must be a JWT in compact form of at most 8192 characters"
    )
    assert bench.ask(bench.token(), certificate="x") == invalid(
        "the client certificate is not URL-encoded PEM"
    )
