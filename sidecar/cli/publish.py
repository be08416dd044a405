"""``admit publish``: copy a repository or evidence to where gates read it from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from sidecar.authority import home as authority
from sidecar.authority import publishing
from sidecar.authority.publishing import Advance, Copied, DirectoryDestination
from sidecar.cli import common
from sidecar.cli.common import CliError, JsonOption
from sidecar.core import dsse
from sidecar.core.reasons import EvidenceError
from sidecar.trust import evidence_folder


def publish(
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="The folder to publish to, such as a web server's; created if needed.",
            show_default=False,
        ),
    ],
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar=common.HOME_VARIABLE,
            help="The authority's home folder: its repository goes to metadata/ and targets/.",
            show_default=False,
        ),
    ] = None,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            "--evidence",
            help="Folder of evidence: it goes to evidence/, with a listing; repeatable.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a repository, evidence, or both; run it again after each change.

    Readers find the state before or the one after. Evidence that is in none of the folders any more
    is no longer listed.
    """
    if home is None and not evidence:
        raise CliError("nothing to publish; give --home, --evidence or both")
    files = _envelopes(evidence) if evidence else frozenset()
    place = DirectoryDestination(to)
    done: dict[str, Copied] = {}
    if home is not None:
        opened = authority.load(home)
        done["repository"] = _shown(
            "repository", lambda advance: publishing.publish_repository(opened, place, advance)
        )
    if evidence:
        done["evidence"] = _shown(
            "evidence", lambda advance: publishing.publish_evidence(files, place, advance)
        )
    if as_json:
        common.report("", {"to": str(to)}, as_json=True, **{k: _plain(v) for k, v in done.items()})
        return
    facts = {name: _line(name, copied) for name, copied in done.items()}
    common.report(f"Published to {to}.", facts, as_json=False)


def _envelopes(folders: list[Path]) -> frozenset[bytes]:
    """Read the evidence below some folders; what is no envelope is left out with a warning."""
    found: set[bytes] = set()
    for folder in folders:
        if not folder.is_dir():
            raise CliError(f"--evidence {folder}: is not a folder")
        news = evidence_folder.read(folder)
        common.warn(*(f"left out: {problem}" for problem in news.problems))
        for data in news.files:
            try:
                dsse.parse(data)
            except EvidenceError as error:
                common.warn(f"left out: a file below {folder}: {error}")
            else:
                found.add(data)
    return frozenset(found)


def _shown(what: str, work: Callable[[Advance], Copied]) -> Copied:
    """Do the work with a progress bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        return work(lambda done, every: bar.update(task, completed=done, total=every))


def _plain(copied: Copied) -> dict[str, int]:
    return {
        "version": copied.version,
        "files": copied.files,
        "written": copied.written,
        "removed": copied.removed,
    }


def _line(name: str, copied: Copied) -> str:
    version = "version" if name == "repository" else "listing"
    removed = f", {copied.removed} removed" if copied.removed else ""
    return f"{version} {copied.version}: {copied.files} files, {copied.written} written{removed}"
