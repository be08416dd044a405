"""Writes the CycloneDX SBOM of the wheel: ``python -m admissibility_devtools.tools.sbom``.

Theory of operation
-------------------
`cyclonedx-py` reads the lock of the wheel's dependencies. It cannot see which package requires
which, because a requirements file has no such field; pip-compile writes it into comments. So the
dependency graph is completed from those, and the result is validated against the schema again.

Nothing is taken on trust from either side: an SBOM that lacks a package of the lock, a version or a
digest, or has one more, is an error, and no file is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from admissibility_devtools.tools.places import repository_root
from sidecar.opa.errors import ProgramError

SPEC_VERSION = "1.6"
_ENTRY = re.compile(r"([a-z0-9-]+)==(\S+)")
_DIGEST = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_BUILD = "build-system.requires"
# CycloneDX 1.6, component.scope: "excluded" documents what is used, but not at run time.
_SCOPE = {True: "excluded", False: "required"}
_VALIDATE = (
    "import sys\n"
    "from cyclonedx.schema import SchemaVersion\n"
    "from cyclonedx.validation.json import JsonStrictValidator\n"
    f"error = JsonStrictValidator(SchemaVersion.from_version({SPEC_VERSION!r}))"
    ".validate_str(sys.stdin.read())\n"
    "sys.exit(None if error is None else str(error))\n"
)


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One package of a lock.

    Attributes:
        name: Normalised name (PEP 503).
        version: The one locked version.
        digests: Hexadecimal SHA-256 of every file that is accepted for it.
        required_by: Names of the packages that require it, the project itself among them.
        build_only: Whether it is only needed to build the wheel.
    """

    name: str
    version: str
    digests: frozenset[str]
    required_by: frozenset[str]
    build_only: bool


def read_lock(text: str) -> tuple[LockEntry, ...]:
    """Parse a lock as pip-compile writes it: requirement, digests, ``# via`` comments.

    Raises:
        ProgramError: An entry has no digest, or no comment that states what requires it.
    """
    entries = []
    for block in re.split(r"^(?=[a-z0-9#])", text, flags=re.MULTILINE):
        head = _ENTRY.match(block)
        if head is None:
            continue
        _, _, comment = block.partition("# via")
        sources = [line.strip(" #") for line in comment.splitlines() if line.strip(" #")]
        entry = LockEntry(
            name=head[1],
            version=head[2],
            digests=frozenset(_DIGEST.findall(block)),
            required_by=frozenset(source.split()[0] for source in sources),
            build_only=bool(sources) and all(_BUILD in source for source in sources),
        )
        if not entry.digests or not entry.required_by:
            raise ProgramError(
                f"lock entry {entry.name}: expected a digest and a `# via` comment, found"
                f" {len(entry.digests)} and {len(entry.required_by)}; run `make lock`"
            )
        entries.append(entry)
    return tuple(entries)


def complete(bom: Mapping[str, Any], lock: tuple[LockEntry, ...]) -> dict[str, Any]:
    """Return the SBOM with a dependency graph, after comparing it with the lock.

    Args:
        bom: CycloneDX document as `cyclonedx-py requirements` makes it.
        lock: The packages it must have, exactly.

    Raises:
        ProgramError: A package, version or digest is missing, or is there in excess.
    """
    found = {(each["name"], each["version"], _digests(each)) for each in bom["components"]}
    expected = {(each.name, each.version, each.digests) for each in lock}
    if found != expected or len(bom["components"]) != len(lock):
        names = sorted({name for name, _, _ in found ^ expected})
        raise ProgramError(
            f"the SBOM and the lock differ in {', '.join(names) or 'how often they name a package'}"
        )
    references = {each["name"]: each["purl"] for each in bom["components"]}
    root = bom["metadata"]["component"]
    references[root["name"]] = root["bom-ref"]
    unknown = {name for each in lock for name in each.required_by} - references.keys()
    if unknown:
        raise ProgramError(f"the lock names {', '.join(sorted(unknown))}, which it does not have")
    build_only = {each.name for each in lock if each.build_only}
    components = [
        {key: value for key, value in each.items() if key != "description"}
        | {
            "bom-ref": each["purl"],
            "scope": "excluded" if each["name"] in build_only else "required",
        }
        for each in bom["components"]
    ]
    dependencies = [
        {
            "ref": reference,
            "dependsOn": sorted(
                references[each.name]
                for each in lock
                if name in each.required_by and not each.build_only
            ),
        }
        for name, reference in sorted(references.items())
    ]
    return {**bom, "components": components, "dependencies": dependencies}


def _digests(component: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        digest["content"]
        for reference in component.get("externalReferences", [])
        for digest in reference.get("hashes", [])
        if digest["alg"] == "SHA-256"
    )


def _run(command: list[str], text: str = "") -> str:
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        last_line = (ran.stderr.strip().splitlines() or ["no output"])[-1]
        raise ProgramError(f"{' '.join(command[:3])} failed: {last_line}")
    return ran.stdout


def generate(python: Path, root: Path, wheel: Path) -> str:
    """Return the SBOM of a wheel as JSON, valid by the schema.

    Args:
        python: Interpreter of an environment with ``cyclonedx-bom[validation]``.
        root: The repository.
        wheel: The wheel that the SBOM describes; its SHA-256 is in the SBOM.

    Raises:
        ProgramError: The generator fails, or its output differs from the lock.
    """
    lock = root / "requirements-runtime.txt"
    command = [
        *(str(python), "-W", "ignore::UserWarning:cyclonedx"),
        *("-m", "cyclonedx_py", "requirements", str(lock), "--pyproject"),
        *(str(root / "pyproject.toml"), "--mc-type", "application"),
        *("--spec-version", SPEC_VERSION, "--output-format", "JSON", "--output-reproducible"),
    ]
    bom = complete(json.loads(_run(command)), read_lock(lock.read_text(encoding="utf-8")))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    bom["metadata"]["component"]["hashes"] = [{"alg": "SHA-256", "content": digest}]
    text = json.dumps(bom, indent=2) + "\n"
    _run([str(python), "-c", _VALIDATE], text)
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the SBOM of the one wheel in a folder beside it."""
    parser = argparse.ArgumentParser(prog="python -m admissibility_devtools.tools.sbom")
    parser.add_argument("--python", type=Path, required=True, help="interpreter with cyclonedx-bom")
    parser.add_argument("--dist", type=Path, required=True, help="folder with exactly one wheel")
    chosen = parser.parse_args(arguments)
    wheels = sorted(chosen.dist.glob("*.whl"))
    try:
        if len(wheels) != 1:
            raise ProgramError(f"{chosen.dist} has {len(wheels)} wheels, expected 1")
        text = generate(chosen.python, repository_root(), wheels[0])
    except (OSError, ProgramError) as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    out = wheels[0].with_suffix(".cdx.json")
    out.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
