"""All checks at once, each bounded in time; the report has their order, whoever ends first.

One waits for others: what the canaries leave behind in Envoy's counters is looked at when they are
through. So a report of one and the same installation does not depend on who was quicker, and a
canary that passed unasked is seen in the counters at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from sidecar.doctor import canary, certificates, clock, envoy, files, gate
from sidecar.doctor.finding import Finding, explained, fail
from sidecar.doctor.subject import Subject

Check = Callable[[Subject], tuple[Finding, ...]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("configuration", files.configuration),
    ("trust", files.trust),
    ("permissions", files.permissions),
    ("decision log", files.decision_log),
    ("gate", gate.health),
    ("status", gate.standing),
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
"""In the order of the report: from the files inwards to what a client meets."""

_CANARIES = ("canary: a call", "canary: an upload")
AFTERWARDS = {"ext_authz": _CANARIES, "seal": _CANARIES}
"""Checks that begin when others are through, by name."""

PATIENCE_SECONDS = 10.0


def examine(
    subject: Subject,
    checks: Sequence[tuple[str, Check]] = CHECKS,
    patience: float = PATIENCE_SECONDS,
) -> tuple[Finding, ...]:
    """Run every check, and return what they found.

    Args:
        subject: What is examined.
        checks: Name and function; a name is used where the function did not come to an end.
        patience: Seconds that all of them have together.
    """
    found: dict[int, tuple[Finding, ...]] = {}
    through = {name: threading.Event() for name, _ in checks}
    deadline = time.monotonic() + patience

    def left() -> float:
        return max(0.0, deadline - time.monotonic())

    def run(number: int, name: str, check: Check) -> None:
        for earlier in through.keys() & AFTERWARDS.get(name, ()):
            through[earlier].wait(left())
        try:
            found[number] = check(subject)
        except Exception as error:  # noqa: BLE001 - one check that breaks must not end the others
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
