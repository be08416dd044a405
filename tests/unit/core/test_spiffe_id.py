"""SPIFFE IDs of workloads: one form, so that two readers cannot differ."""

from __future__ import annotations

import pytest

from sidecar.core.reasons import EvidenceError
from sidecar.core.spiffe_id import check_spiffe_id


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://acme.example",
        "spiffe://acme.example/",
        "spiffe://acme.example//a",
        "spiffe://acme.example/a/../b",
        "spiffe://acme.example/./b",
        "spiffe://acme.example/a%2fb",
        "spiffe://acme.example/a?x",
        "spiffe://acme.example/a#x",
        "spiffe://acme.example:443/a",
        "spiffe://user@acme.example/a",
        "spiffe://ACME.example/a",
        "https://acme.example/a",
        "spiffe://acme.example/a\n",
        "spiffe://acme.example/" + "a" * 2048,
        "",
    ],
)
def test_what_is_no_workload_spiffe_id_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError):
        check_spiffe_id(text)


def test_a_workload_spiffe_id_gives_its_trust_domain() -> None:
    assert check_spiffe_id("spiffe://acme.example/env/prod-1_a.b") == "acme.example"
