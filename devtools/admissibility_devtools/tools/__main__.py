"""``python -m admissibility_devtools.tools``: obtains the pinned programs, prints their paths."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from admissibility_devtools.tools.find import ENVOY
from admissibility_devtools.tools.kubernetes import obtain_kubernetes
from admissibility_devtools.tools.nats_server import obtain_nats_server
from admissibility_devtools.tools.obtain import ensure, obtain, obtain_go, obtain_readers
from admissibility_devtools.tools.places import tools_folder
from admissibility_devtools.tools.regal import obtain_regal
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import OPA


def main(arguments: list[str] | None = None) -> int:
    """Obtain OPA and Envoy; 0 when both are there at their pinned versions."""
    parser = argparse.ArgumentParser(
        prog="python -m admissibility_devtools.tools",
        description=f"Obtain OPA {OPA.version} and Envoy {ENVOY.version}, into one folder.",
    )
    parser.add_argument("--json", action="store_true", help="print paths and versions as JSON")
    parser.add_argument("--tools", type=Path, default=None, help="folder to keep the programs in")
    parser.add_argument(
        "--readers",
        action="store_true",
        help="what only the tests need: Go, Node, Regal, NATS server",
    )
    parser.add_argument(
        "--kubernetes",
        action="store_true",
        help="what only the tests of deploy/ need, built with Go",
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.kubernetes:
            tools = chosen.tools or tools_folder()
            (tools / "bin").mkdir(parents=True, exist_ok=True)
            return obtain_kubernetes(tools, obtain_go(tools))
        if chosen.readers:
            tools = chosen.tools or tools_folder()
            readers = obtain_readers(tools)
            sys.stdout.writelines(f"{name:6} {path}\n" for name, path in readers.items())
            _obtain_others(tools, readers["go"])
            return 0
        paths = ensure() if chosen.tools is None else obtain(chosen.tools)
    except ProgramError as error:
        sys.stderr.write(f"tools: {error}\n")
        return 1
    show(paths, as_json=chosen.json)
    return 0


def show(paths: Mapping[str, Path], *, as_json: bool) -> None:
    """Print name, version and path of OPA and Envoy, as a table or as JSON."""
    found = {
        program.name: {"path": str(paths[program.name]), "version": program.version}
        for program in (ENVOY, OPA)
    }
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        for name, facts in found.items():
            sys.stdout.write(f"{name:6} {facts['version']:8} {facts['path']}\n")


def _obtain_others(tools: Path, go: Path) -> None:
    """Obtain what is built with Go, where it can be; without it the tests that run it skip."""
    for name, obtain_one in (("regal", obtain_regal), ("nats-server", obtain_nats_server)):
        try:
            sys.stdout.write(f"{name:6} {obtain_one(tools, go)}\n")
        except ProgramError as error:
            sys.stderr.write(f"tools: no {name}, its tests are skipped: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
