"""Writes ``policies/capabilities.json``: what a policy may use of the pinned OPA.

What that is, :mod:`sidecar.opa.capabilities` says, which also judges bundles that others signed.
``opa check`` and ``opa build`` take the file; ``opa run`` has no such option, so only a bundle that
was built with it is to be served. Run
``python -m tests.process.policies.generate_capabilities`` after changing the version of OPA.
"""

from __future__ import annotations

import json

from sidecar.opa import capabilities
from sidecar.opa.location import opa_path
from tests.process.policies.opa import CAPABILITIES


def render() -> str:
    """The capabilities as they are written: one built-in function per line."""
    told = capabilities.deterministic(opa_path())
    builtins = ",\n".join("  " + json.dumps(one, sort_keys=True) for one in told.pop("builtins"))
    rest = ",\n".join(f" {json.dumps(key)}: {json.dumps(told[key])}" for key in sorted(told))
    return f'{{\n{rest},\n "builtins": [\n{builtins}\n ]\n}}\n'


def main() -> None:
    """Write the capabilities."""
    CAPABILITIES.write_text(render())


if __name__ == "__main__":
    main()
