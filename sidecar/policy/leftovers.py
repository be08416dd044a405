"""What a jurisdiction leaves behind where only a part of it was removed, or was never added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGES = "jurisdiction"


def leftovers(
    tree: Path, files: Iterable[tuple[str, Path]], params: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    """Yield files that no package reads, and packages that no call is held to.

    OPA loads each without a word: data that nobody reads looks like a rule that is in force, and a
    sector whose package is gone denies every call of it (``sector_unknown``).

    Args:
        tree: The folder of the policies.
        files: Data and schemas, each with the name of its package.
        params: The data of each package, by its name.

    Yields:
        The file or folder, and what is wrong with it.
    """
    for name, path in files:
        if not any((tree / parent / name).is_dir() for parent in ("", PACKAGES)):
            yield path, f"there is no {PACKAGES}/{name}, whose rules read it; remove it"
    sectors = {name: _sectors(value) for name, value in params.items()}
    for name, found in sorted(sectors.items()):
        for sector, package in sorted(found.items()):
            if not (tree / PACKAGES / package).is_dir():
                yield (
                    tree / "params" / name / "data.json",
                    f"sectors.{sector}: there is no {PACKAGES}/{package}, so calls of this sector "
                    "are denied; name null if nothing more is required there",
                )
    held = {package for found in sectors.values() for package in found.values()}
    for folder in sorted((tree / PACKAGES).iterdir()):
        value = params.get(folder.name)
        if isinstance(value, dict) and "sectors" not in value and folder.name not in held:
            yield (
                folder,
                "no jurisdiction's `sectors` names it, so no call is held to it; name it in "
                "params/<id>/data.json, or remove it",
            )


def _sectors(value: object) -> dict[str, str]:
    """Return the packages that the sectors of a jurisdiction name."""
    found = value.get("sectors") if isinstance(value, dict) else None
    named = found.items() if isinstance(found, dict) else ()
    return {sector: package for sector, package in named if isinstance(package, str)}
