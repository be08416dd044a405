"""Shares options, clocks, file reading and reports between commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli.plain_console import PlainConsole
from sidecar.core.reasons import EvidenceError
from sidecar.core.spiffe_id import check_spiffe_id
from sidecar.core.window import Window, parse_instant, rfc3339
from sidecar.durable.files import read_bounded

HOME_VARIABLE = "ADMIT_HOME"
MAX_INPUT_BYTES = 4 << 20

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar=HOME_VARIABLE, help="The authority's home folder.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
OutOption = Annotated[
    Path, typer.Option("--out", help="Folder that the evidence is written to; created if needed.")
]
BlobsOption = Annotated[
    Path | None,
    typer.Option(
        "--blobs",
        help="Folder for the files whose digests the evidence names; by default that of --out.",
        show_default=False,
    ),
]


SignedByOption = Annotated[
    Path | None,
    typer.Option("--signed-by", help="PEM public key that must have signed the manifest."),
]


class CliError(Exception):
    """A command cannot run with its arguments; the message is one line."""


DeclarationOption = Annotated[
    list[str] | None,
    typer.Option(
        "--declaration", help="NAME=TEXT for policies to read, signed with the rest; repeatable."
    ),
]


def command_group(summary: str) -> typer.Typer:
    """Return a group of commands: alone it prints its help, and errors end in ``run``."""
    return typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=summary
    )


def workload_id(text: str, what: str) -> str:
    """Return the trust domain of a SPIFFE ID that was typed.

    Raises:
        CliError: It is not one of a workload.
    """
    try:
        return check_spiffe_id(text)
    except EvidenceError as error:
        raise CliError(f"{what} {text!r}: {error}; expected spiffe://TRUST-DOMAIN/PATH") from None


def pairs(texts: list[str] | None, what: str) -> dict[str, str]:
    """Parse ``NAME=TEXT`` options; each name may occur once.

    Raises:
        CliError: Another form, or a name that occurs twice.
    """
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise CliError(f"{what}: {text!r} is not NAME=TEXT")
        if name in found:
            raise CliError(f"{what}: {name} is given twice")
        found[name] = value
    return found


def now() -> datetime:
    """Return the reference time of a command: UTC, truncated to seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def instant(text: str | None, what: str) -> datetime | None:
    """Parse a date, or a time with an offset; a date is its midnight in UTC.

    Raises:
        CliError: Neither of them.
    """
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        raise CliError(f"{what}: {error}") from error


def window(begin: datetime, days: float) -> Window:
    """Return the window of ``days`` from ``begin`` on.

    Raises:
        CliError: The number of days is not positive, or too large.
    """
    try:
        return Window(begin, (begin + timedelta(days=days)).replace(microsecond=0))
    except (ValueError, OverflowError) as error:
        raise CliError(f"--days {days}: not a number of days from now on") from error


def read(path: Path, *, max_bytes: int = MAX_INPUT_BYTES) -> bytes:
    """Read a file of at most ``max_bytes``.

    Raises:
        CliError: It cannot be read, or is larger.
    """
    try:
        return read_bounded(path, max_bytes)
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error


def present(path: Path, option: str) -> Path:
    """Return the path of a configuration file that exists.

    Raises:
        CliError: There is none; names the option that takes another path.
    """
    if not path.exists():
        raise CliError(missing(path, option))
    return path


def missing(path: Path, option: str) -> str:
    """Return the message about a configuration file that does not exist."""
    return f"{path}: there is no such file; give its path with {option} FILE"


def report(title: str, facts: Mapping[str, str], *, as_json: bool, **more: object) -> None:
    """Print a title and a table, or one JSON object with ``more`` in it."""
    if as_json:
        value = {key.replace(" ", "_"): text for key, text in facts.items()}
        print(json.dumps({**value, **more}, indent=2, ensure_ascii=False))
        return
    console = PlainConsole()
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    # Lines, not a table: a digest must stay in one piece to be copied.
    width = max((len(name) for name in facts), default=0)
    for name, text in facts.items():
        line = Text.assemble((f"{name:{width}}  ", "dim"), text)
        console.print(line, highlight=False, soft_wrap=True)


def warn(*sentences: str) -> None:
    """Print warnings on the error stream."""
    console = PlainConsole(stderr=True)
    for sentence in sentences:
        console.print(f"! {sentence}", style="yellow", markup=False, soft_wrap=True)


def until(period: Window) -> str:
    """Return the end of a window, for people."""
    return rfc3339(period.not_after)
