"""The policies as a bundle with a revision that *is* their content.

The tree is read once, hashed and copied; the copy is what OPA builds from. So the revision that a
verdict must echo stands for exactly the bytes that decide, and two gates with the same policies
expect the same revision. Tests of policies are neither hashed nor loaded.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CAPABILITIES = "capabilities.json"
JURISDICTIONS = "jurisdiction"
MAX_FILES = 10_000
MAX_FILE_BYTES = 4 << 20
_BUILD_SECONDS = 60.0
_LOADED = frozenset({".rego", ".json", ".yaml", ".yml"})


class PolicyError(Exception):
    """The policies cannot be used; one line that says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A built bundle, its revision and the jurisdictions it has folders for."""

    path: Path
    revision: str
    jurisdictions: tuple[str, ...]


def build(opa: Path, policies: Path, folder: Path) -> Bundle:
    """Build the bundle.

    Args:
        opa: The program.
        policies: The policies' folder.
        folder: An empty folder of our own.

    Raises:
        PolicyError: There are no policies, they cannot be read, or OPA refuses them.
    """
    files = dict(_read(policies))
    if CAPABILITIES not in files or not any(name.endswith(".rego") for name in files):
        raise PolicyError(f"{policies}: no policies with a {CAPABILITIES} in there")
    revision = revision_of(files)
    copy, bundle = folder / "policies", folder / "bundle.tar.gz"
    for name, data in files.items():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    stamp = folder / "stamp"
    stamp.mkdir()
    (stamp / "data.json").write_text(json.dumps({"revision": revision}))
    _run(
        opa, "build", copy, stamp, "--output", bundle, "--revision", revision,
        "--capabilities", copy / CAPABILITIES,
        "--ignore", CAPABILITIES, "--ignore", "*.schema.json",
    )  # fmt: skip
    return Bundle(bundle, revision, _jurisdictions(files))


def revision_of(files: dict[str, bytes]) -> str:
    """``sha256:`` and the hash over names and contents, each with its length before it."""
    whole = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return "sha256:" + whole.hexdigest()


def _jurisdictions(files: dict[str, bytes]) -> tuple[str, ...]:
    parts = [name.split("/") for name in files]
    return tuple(sorted({p[1] for p in parts if p[0] == JURISDICTIONS and len(p) > 2}))


def _read(policies: Path) -> Iterator[tuple[str, bytes]]:
    try:
        if not policies.is_dir():
            raise PolicyError(f"{policies}: there is no such folder")
        for number, path in enumerate(sorted(policies.rglob("*"))):
            if number >= MAX_FILES:
                raise PolicyError(f"{policies}: more than {MAX_FILES} files")
            name = path.relative_to(policies).as_posix()
            if path.is_symlink() or not path.is_file() or not _is_loaded(name):
                continue
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise PolicyError(f"{path}: more than {MAX_FILE_BYTES} bytes")
            yield name, data
    except OSError as error:
        raise PolicyError(f"{error.filename or policies}: {error.strerror}") from error


def _is_loaded(name: str) -> bool:
    path = Path(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in _LOADED and not hidden and not name.endswith("_test.rego")


def _run(opa: Path, *arguments: str | Path) -> None:
    command = [str(opa), *map(str, arguments)]
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyError(f"{opa} cannot be run: {error}") from error
    if ran.returncode != 0:
        why = " ".join((ran.stderr or ran.stdout).split())
        why = why or f"{opa} ended with {ran.returncode} and said nothing"
        raise PolicyError(f"OPA refuses the policies: {why[:500]}")
