"""Share options, clocks, file reading, evidence writing and reports between commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sidecar.authority import home as authority
from sidecar.authority.home import Home, Issued
from sidecar.core.evidence import Predicate, Statement
from sidecar.core.kinds import kind_of
from sidecar.core.window import Window, rfc3339
from sidecar.durable.files import place_new

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
        help="Folder for the files whose digests the evidence names; where --out is, if not given.",
        show_default=False,
    ),
]


SignedByOption = Annotated[
    Path | None,
    typer.Option("--signed-by", help="PEM public key that must have signed the manifest."),
]


class CliError(Exception):
    """A command cannot run with its arguments; the message is one line."""


@dataclass(frozen=True, slots=True)
class Written:
    """Evidence that the authority ``signer`` signed and wrote."""

    signer: str
    issued: Issued

    @property
    def kind(self) -> str:
        """Return the noun of its kind, e.g. ``approval``."""
        return kind_of(self.issued.statement.predicate).noun

    @property
    def digest(self) -> str:
        """Return the hex SHA-256 of the payload."""
        return self.issued.digest

    def beside(self, folder: Path, suffix: str, data: bytes) -> str:
        """Write a file whose digest the evidence has, named like the evidence; return its path."""
        stem = f"{self.kind}-{self.digest[:12]}"
        try:
            return str(place_new(folder, stem, suffix, data))
        except OSError as error:
            raise CliError(f"cannot write to {folder}: {error.strerror}") from error

    def facts(self) -> dict[str, str]:
        """Return the rows that ``report`` shows of any evidence; print warnings to stderr."""
        self._warn()
        return {
            "digest": self.digest,
            "file": str(self.issued.path),
            "signed by": self.signer,
            "key": self.issued.fingerprint,
        }

    def more(self) -> dict[str, object]:
        """Return the JSON keys that ``report`` adds: earlier statements, by their new state.

        ``published`` is the version of the edition that was published, or ``None``.
        """
        done = self.issued.publication
        return {
            "replaced": list(self.issued.replaced),
            "beside": list(self.issued.beside),
            "later": list(self.issued.later),
            "published": None if done is None else done.version,
        }

    def _warn(self) -> None:
        issued, what = self.issued, kind_of(self.issued.statement.predicate).withdrawal
        for digest in issued.replaced:
            warn(f"the older {what} {digest} is withdrawn: this one permits less or ends sooner")
        for digest in issued.beside:
            warn(f"the older {what} {digest} stays in force beside this one")
        for digest in issued.later:
            warn(
                f"the {what} {digest} begins later than this one and stays in force; "
                f"to end it: admit withdraw {what} {digest}"
            )
        if issued.publication is not None:
            warn(*issued.publication.warnings, "published: copy the repository folder now")


DeclarationOption = Annotated[
    list[str] | None,
    typer.Option(
        "--declaration", help="NAME=TEXT for policies to read, signed with the rest; repeatable."
    ),
]


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
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CliError(f"{what}: {text!r} is not a date such as 2027-01-14") from error
    if found.tzinfo is None:
        if len(text) > len("2027-01-14"):
            raise CliError(f"{what}: a time needs its offset, such as 2027-01-14T00:00:00Z")
        found = found.replace(tzinfo=UTC)
    return found.astimezone(UTC)


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
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    if len(data) > max_bytes:
        raise CliError(f"{path}: larger than {max_bytes} bytes")
    return data


def sign_and_write(
    home: Home,
    statement: Statement[Predicate],
    out: Path,
    at: datetime,
    *,
    keep_older: bool = False,
) -> Written:
    """Sign a statement, write it to ``out``, and publish the withdrawals that it implies."""
    issued = authority.issue(home, statement, at, out=out, keep_older=keep_older)
    return Written(home.name, issued)


def report(title: str, facts: Mapping[str, str], *, as_json: bool, **more: object) -> None:
    """Print a title and a table, or one JSON object with ``more`` in it."""
    if as_json:
        value = {key.replace(" ", "_"): text for key, text in facts.items()}
        print(json.dumps({**value, **more}, indent=2, ensure_ascii=False))
        return
    console = Console()
    console.print(title, style="bold", markup=False, highlight=False, soft_wrap=True)
    # Lines, not a table: a digest must stay in one piece to be copied.
    width = max((len(name) for name in facts), default=0)
    for name, text in facts.items():
        line = Text.assemble((f"{name:{width}}  ", "dim"), text)
        console.print(line, highlight=False, soft_wrap=True)


def warn(*sentences: str) -> None:
    """Print warnings on the error stream."""
    console = Console(stderr=True)
    for sentence in sentences:
        console.print(f"! {sentence}", style="yellow", markup=False, soft_wrap=True)


def until(period: Window) -> str:
    """Return the end of a window, for people."""
    return rfc3339(period.not_after)
