"""Runs all checks concurrently, with a time limit; the report has a fixed order.

The canaries start after the gate's status was read, which counts a certificate of theirs that it
does not know; the checks of Envoy's counters after the canaries, which change them. So the report
does not depend on timing, and a canary that was forwarded without a decision shows in the counters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sidecar.doctor import canary, certificates, clock, envoy, files, gate, sources
from sidecar.doctor.diagnosis import Diagnosis, explained, fail
from sidecar.doctor.installation import Installation

Check = Callable[[Installation], tuple[Diagnosis, ...]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("configuration", files.configuration),
    ("trust", files.trust),
    ("permissions", files.permissions),
    ("sources", sources.sources),
    ("evidence folder", sources.evidence_folders),
    ("decision log", files.decision_log),
    ("state folder", files.state_folder),
    ("gate", gate.health),
    ("status", gate.reported_status),
    ("OPA", gate.engine),
    ("clock", clock.clock),
    ("certificates", certificates.certificates),
    ("Envoy", envoy.running),
    ("ext_authz", envoy.asks_the_gate),
    ("seal", envoy.seal),
    ("gate cluster", envoy.cluster),
    ("canary: a call", canary.call),
    ("canary: an upload", canary.upload),
)
"""The checks in the order of the report: from files to the requests of a client."""

_CANARIES = ("canary: a call", "canary: an upload")
AFTERWARDS = {
    "ext_authz": _CANARIES,
    "seal": _CANARIES,
    **dict.fromkeys(_CANARIES, ("status",)),
}
"""Names of the checks that a check waits for."""

PATIENCE_SECONDS = 10.0


def examine(
    installation: Installation,
    checks: Sequence[tuple[str, Check]] = CHECKS,
    patience: float = PATIENCE_SECONDS,
) -> tuple[Diagnosis, ...]:
    """Run every check, and return what they found.

    Args:
        installation: The installation.
        checks: Name and function; the name is reported if the function does not end.
        patience: Time limit of all checks together, in seconds.
    """
    found: dict[int, tuple[Diagnosis, ...]] = {}
    through = {name: threading.Event() for name, _ in checks}
    deadline = time.monotonic() + patience

    def left() -> float:
        return max(0.0, deadline - time.monotonic())

    def run(number: int, name: str, check: Check) -> None:
        for earlier in through.keys() & AFTERWARDS.get(name, ()):
            through[earlier].wait(left())
        try:
            found[number] = check(installation)
        except Exception as error:  # noqa: BLE001 - one check that fails must not end the others
            why = f"could not be examined: {type(error).__name__}: {error}"
            found[number] = (fail(name, why, "Please report this."),)
        finally:
            through[name].set()

    threads = [
        threading.Thread(target=run, args=(number, name, check), daemon=True)
        for number, (name, check) in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(left())
    late = {
        number: (fail(name, f"no end within {patience:.0f} s", "Look at what it asks."),)
        for number, (name, _) in enumerate(checks)
    }
    return explained([one for number in late for one in found.get(number, late[number])])
