"""``python -m sidecar.toolchain``: obtains the pinned programs and says where they are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sidecar.toolchain.errors import ToolchainError
from sidecar.toolchain.find import ENVOY, OPA
from sidecar.toolchain.obtain import obtain, obtain_readers
from sidecar.toolchain.places import tools_folder


def main(arguments: list[str] | None = None) -> int:
    """Obtain OPA and Envoy; 0 when both are there at their pinned versions."""
    parser = argparse.ArgumentParser(
        prog="python -m sidecar.toolchain",
        description=f"Obtain OPA {OPA.version} and Envoy {ENVOY.version} into .tools/.",
    )
    parser.add_argument("--json", action="store_true", help="print paths and versions as JSON")
    parser.add_argument("--tools", type=Path, default=None, help="folder to keep the programs in")
    parser.add_argument("--readers", action="store_true", help="what only the tests need: Go, Node")
    chosen = parser.parse_args(arguments)
    tools = chosen.tools or tools_folder()
    try:
        if chosen.readers:
            sys.stdout.writelines(f"{n:6} {path}\n" for n, path in obtain_readers(tools).items())
            return 0
        paths = obtain(tools)
    except ToolchainError as error:
        sys.stderr.write(f"toolchain: {error}\n")
        return 1
    found = {
        program.name: {"path": str(paths[program.name]), "version": program.version}
        for program in (ENVOY, OPA)
    }
    if chosen.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for name, facts in found.items():
            sys.stdout.write(f"{name:6} {facts['version']:8} {facts['path']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
