"""Writes ``policies/capabilities.json``: what a policy may use of the pinned OPA.

A decision must follow from the facts and the bundle alone. Every built-in function that OPA itself
marks as nondeterministic is left out: the network, the clock, random numbers, the environment of
the process (``http.send``, ``net.lookup_ip_addr``, ``time.now_ns``, ``rand.intn``, ``opa.runtime``
and others), and no host may be contacted for a schema. ``opa check`` and ``opa build`` take the
file; ``opa run`` has no such option, so only a bundle that was built with it is to be served.
Run ``python -m tests.policies.generate_capabilities`` after changing the version of OPA.
"""

from __future__ import annotations

import json
from typing import Any

from tests.policies.opa import CAPABILITIES, opa


def current() -> dict[str, Any]:
    """All that the pinned OPA can do."""
    told = opa("capabilities", "--current")
    assert told.returncode == 0, told.stderr
    capabilities: dict[str, Any] = json.loads(told.stdout)
    return capabilities


def capabilities() -> dict[str, Any]:
    """What a policy may use."""
    offered = current()
    kept = [one for one in offered["builtins"] if not one.get("nondeterministic", False)]
    return {**offered, "builtins": kept, "allow_net": []}


def render() -> str:
    """The capabilities as they are written: one built-in function per line."""
    told = capabilities()
    builtins = ",\n".join("  " + json.dumps(one, sort_keys=True) for one in told.pop("builtins"))
    rest = ",\n".join(f" {json.dumps(key)}: {json.dumps(told[key])}" for key in sorted(told))
    return f'{{\n{rest},\n "builtins": [\n{builtins}\n ]\n}}\n'


def main() -> None:
    """Write the capabilities."""
    CAPABILITIES.write_text(render())


if __name__ == "__main__":
    main()
