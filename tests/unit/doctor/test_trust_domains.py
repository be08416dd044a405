"""The doctor finds a trust domain whose authority is behind the rotation of its keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.window import rfc3339
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.trust_domains import trust_domains
from tests.support.simulator.constants import NOW

REMEDY = "Have acme run admit authority follow-bundle acme.example."
NAME = "trust domain acme.example"


def entry(**changes: Any) -> dict[str, Any]:
    value = {
        "name": "acme.example",
        "authority": "acme",
        "jwt_keys": 2,
        "x509_roots": 1,
        "roots_from": rfc3339(NOW - timedelta(hours=12)),
        "roots_until": rfc3339(NOW + timedelta(hours=12)),
        "unknown_keys": 0,
        "unknown_key_last": None,
    }
    return {**value, **changes}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, ok("trust domains", "1 with 3 keys, none behind")),
        (
            {"jwt_keys": 0, "x509_roots": 0, "roots_from": None, "roots_until": None},
            fail(NAME, "acme publishes no usable key for it", REMEDY),
        ),
        (
            {"unknown_keys": 7, "unknown_key_last": rfc3339(NOW - timedelta(minutes=2))},
            fail(
                NAME,
                "7 credentials, the last at 2026-06-01T11:58:00Z, were signed with keys that acme"
                " has not published: it is behind, or they are forged",
                REMEDY,
            ),
        ),
        (
            {"unknown_keys": 7, "unknown_key_last": rfc3339(NOW - timedelta(hours=2))},
            ok("trust domains", "1 with 3 keys, none behind"),
        ),
        (
            {"roots_until": rfc3339(NOW)},
            fail(NAME, "its last X.509 root expired at 2026-06-01T12:00:00Z", REMEDY),
        ),
        (
            {"roots_until": rfc3339(NOW + timedelta(hours=2))},
            warn(
                NAME,
                "its last X.509 root expires in 2 h, and acme has published no newer one",
                REMEDY,
            ),
        ),
        (
            {"x509_roots": 0, "roots_from": None, "roots_until": None},
            ok("trust domains", "1 with 2 keys, none behind"),
        ),
    ],
)
def test_a_trust_domain_that_is_behind_is_found(changes: dict[str, Any], found: Diagnosis) -> None:
    assert tuple(trust_domains([entry(**changes)], NOW)) == (found,)
