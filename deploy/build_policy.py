"""Builds what the image holds: the policies as a bundle, and the gate's configuration naming it.

A step of the image build. The bundle's revision is the digest of the policies' content; the gate
admits nothing on the word of an OPA that echoes another one. The bundle is signed with a key made
for it alone, and OPA verifies it at each start.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from sidecar.opa import tree
from sidecar.opa.bundle import build
from sidecar.opa.errors import PolicyError


def prepare(opa: Path, policies: Path, config: Path, out: Path) -> str:
    """Write the bundle, the key to verify it and ``sidecar.yaml`` into `out`; return the revision.

    Raises:
        PolicyError: OPA refuses the policies.
    """
    out.mkdir(parents=True, exist_ok=True)
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    work = out / "work"
    work.mkdir()
    bundle = build(opa, tree.read(policies), work)
    settings["opa"]["revision"] = bundle.revision
    for path in (bundle.path, bundle.verification.path):
        path.rename(out / path.name)
        (out / path.name).chmod(0o644)
    (out / "sidecar.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return bundle.revision


def main() -> int:
    """Read the paths from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("opa", "policies", "config", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        revision = prepare(chosen.opa, chosen.policies, chosen.config, chosen.out)
    except PolicyError as error:
        sys.stderr.write(f"build_policy: {error}\n")
        return 1
    sys.stdout.write(revision + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
