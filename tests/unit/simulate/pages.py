"""The histories of ``docs/laws.md``. Run as a module it writes what each of them prints anew."""

from __future__ import annotations

import re
from pathlib import Path

from sidecar.cli.simulate import lines
from sidecar.simulate import history_file
from sidecar.simulate.play import simulate

ROOT = next(path for path in Path(__file__).parents if (path / "mkdocs.yml").exists())
PAGE = ROOT / "docs" / "laws.md"
HISTORIES = sorted((ROOT / "docs" / "laws").glob("*.yaml"))


def block(path: Path) -> str:
    """What the page shows of one history."""
    simulation = simulate(history_file.read(path.read_bytes()))
    shown = "\n".join(line.plain for line in lines(simulation))
    return f"```console\n$ admit simulate {path.name}\n{shown}\n```\n"


def shown_on_the_page(name: str, page: str) -> str:
    """The block below the mark of one history; empty where there is none."""
    found = re.search(rf"<!-- {name} -->\n(```console\n.*?\n```\n)?", page, re.DOTALL)
    assert found is not None, f"{PAGE} has no mark <!-- {name} -->"
    return found[1] or ""


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for path in HISTORIES:
        mark = f"<!-- {path.stem} -->\n"
        page = page.replace(mark + shown_on_the_page(path.stem, page), mark + block(path))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
