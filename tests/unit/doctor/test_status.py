"""What the doctor finds in a gate's status is what the gate does with calls, not what will be."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.window import rfc3339
from sidecar.doctor import gate
from sidecar.doctor.diagnosis import Diagnosis, fail, warn
from sidecar.doctor.installation import find_installation
from tests.support.simulator.constants import NOW

PUBLISH = "Have the authority publish again (admit authority publish)."
UNHEARD = "not read since the gate started, its keys changed, or its newest set was not kept"


def status(**changes: Any) -> dict[str, Any]:
    """The status of a gate in which all is in order."""
    value: dict[str, Any] = {
        "version": version("admissibility-sidecar"),
        "ready": True,
        "not_ready": [],
        "epoch": 7,
        "authorities": [authority()],
        "trust_domains": [],
        "credential_problems": [],
        "evidence": {
            "manifests": 1,
            "rejected": 0,
            "rejections": [],
            "waiting": 0,
            "problems": [],
        },
        "policy": {"up": True, "revision": "r-1", "error": None},
        "decision_log": {"writable": True},
        "processes": [],
    }
    return {**value, **changes}


def authority(**changes: Any) -> dict[str, Any]:
    value = {
        "name": "regulator",
        "expires": rfc3339(NOW + timedelta(days=3)),
        "error": None,
        "stale": None,
        "age_seconds": 4.0,
        "grants": [{"role": "regulator", "silence": "denies"}],
    }
    return {**value, **changes}


def evidence(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = status()["evidence"]
    return {**found, **changes}


def troubles(value: dict[str, Any]) -> list[Diagnosis]:
    installation = find_installation(
        Path("none.yaml"), envoy_admin="127.0.0.1:1", gateway="http://127.0.0.1:2"
    )
    found = gate._diagnoses(installation, value, NOW)
    return [one for one in found if one.state.value != "ok"]


def test_a_gate_in_which_all_is_in_order_has_no_trouble() -> None:
    assert troubles(status()) == []


FULL = "No space left on device"
MAKE_ROOM = "Make room on the disk of the gate's state folder; the gate goes on by itself."
IGNORED = [{"role": "evaluator", "silence": "ignored"}]
CASES: dict[str, tuple[dict[str, Any], Diagnosis]] = {
    "an authority that was not heard is no reason to wait until it expires": (
        {"authorities": [authority(stale=UNHEARD, error="no answer")]},
        fail(
            "authority regulator",
            f"is stale: it {UNHEARD} (no answer); what relies on it is denied",
            PUBLISH,
        ),
    ),
    "one whose silence is ignored": (
        {"authorities": [authority(stale=UNHEARD, grants=IGNORED)]},
        warn(
            "authority regulator",
            f"is stale: it {UNHEARD}; what relies on it is denied",
            PUBLISH,
        ),
    ),
    "one whose source hangs, so that nothing fails and nothing comes": (
        {"authorities": [authority(age_seconds=20.0)]},
        warn(
            "authority regulator",
            "was last read 20 s ago: a withdrawal since then is not in force",
            "Its source hangs, such as a dead network file system: mend it, or restart the gate.",
        ),
    ),
    "a log that cannot be written denies every admission": (
        {"decision_log": {"writable": False}},
        fail(
            "records",
            "the gate cannot write its decision log: every call is denied",
            "Make room, correct the folder, or start what reads the pipe; the gate goes on by "
            "itself.",
            ("decision log",),
        ),
    ),
    "evidence that the gate cannot read": (
        {"evidence": evidence(problems=["evidence: Permission denied"])},
        warn(
            "evidence",
            "cannot be read by the gate: evidence: Permission denied",
            "Give the folder and its files to the gate's user; what was verified before stays.",
        ),
    ),
    "a state folder without room, which no authority can mend": (
        {"authorities": [authority(error=f"state/regulator cannot be written: {FULL}")]},
        warn(
            "authority regulator",
            f"cannot be refreshed (state/regulator cannot be written: {FULL}); ends in 3 d",
            MAKE_ROOM,
        ),
    ),
    "evidence that is verified and cannot be kept": (
        {"evidence": evidence(problems=[f"state/verified.lmdb cannot be written: {FULL}"])},
        warn(
            "evidence",
            f"cannot be read by the gate: state/verified.lmdb cannot be written: {FULL}",
            MAKE_ROOM,
        ),
    ),
    "evidence that waits": (
        {"evidence": evidence(waiting=3)},
        warn(
            "evidence",
            "3 files of unknown signers not verified yet",
            "Remove files that are not the installation's, or limit who may write to the folder.",
        ),
    ),
    "a grant by which an authority can object to nothing": (
        {
            "idle_grants": [
                {
                    "authority": "works-council",
                    "grant": 1,
                    "why": "environments: 'spiffe://acme.example/env/prd' matches no declared "
                    "environment",
                }
            ]
        },
        warn(
            "grants of works-council",
            "grants.1.environments: 'spiffe://acme.example/env/prd' matches no declared "
            "environment, so its withdrawals count for no call there",
            "Correct it in trust.yaml, unless the environment is yet to be declared.",
        ),
    ),
    "a sandbox that includes production": (
        {
            "wide_sandboxes": [
                {
                    "authority": "test-house",
                    "grant": 0,
                    "why": "sandbox: 'spiffe://acme.example/**' includes "
                    "spiffe://acme.example/env/prod, declared for customer-support",
                }
            ]
        },
        warn(
            "sandbox of test-house",
            "grants.0.sandbox: 'spiffe://acme.example/**' includes spiffe://acme.example/env/prod, "
            "declared for customer-support: declared for evaluation, it would call models that "
            "nobody evaluated",
            "Name the evaluator's own environments in trust.yaml.",
        ),
    ),
    "a clock that is not relied on": (
        {"ready": False, "not_ready": ["the clock jumped by 90 s"]},
        fail(
            "readiness",
            "not ready: the clock jumped by 90 s",
            "The gate's log has more about it.",
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_denies_now_is_said_as_it_is(name: str) -> None:
    changes, expected = CASES[name]
    assert troubles(status(**changes)) == [expected]
