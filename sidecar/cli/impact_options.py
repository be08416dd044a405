"""Parameters of the commands that compute an impact; nothing of a gate is imported for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidecar.core.documents import WithdrawalKind
from sidecar.providers import canonical_name

DEFAULT_DAYS = 30.0

KindArgument = Annotated[
    WithdrawalKind, typer.Argument(help="Kind of the subject.", show_default=False)
]
LogOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--log",
        help="A gate's decision log: its callers are counted, and its calls are assessed as well; "
        "repeatable.",
    ),
]
DaysOption = Annotated[
    float, typer.Option(min=0, help="Days before now that decision logs are read for.")
]


@dataclass(frozen=True, slots=True)
class Calls:
    """Decision logs in which callers are looked for, and the days before now to read."""

    log: list[Path] | None
    days: float


def counted_name(kind: WithdrawalKind, subject: str) -> str:
    """Return a subject as gates count it: a model by the one name that its calls have."""
    named = kind in {WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL}
    return canonical_name(subject) if named else subject
