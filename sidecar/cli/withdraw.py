"""``admit withdraw``: one authority withdraws, and everything that relies on it ends."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.cli import common
from sidecar.cli.authority import published
from sidecar.cli.common import CliError, HomeOption, JsonOption
from sidecar.core.documents import WithdrawalKind


def withdraw(
    kind: Annotated[WithdrawalKind, typer.Argument(help="What sort of thing.")],
    subject: Annotated[
        str, typer.Argument(help="Which: a digest, fingerprint, SPIFFE ID, provider/id or name.")
    ],
    home: HomeOption,
    reason: Annotated[str | None, typer.Option(help="For people and logs.")] = None,
    effective: Annotated[str | None, typer.Option(help="From when on; now, if not given.")] = None,
    reinstate: Annotated[
        bool, typer.Option("--reinstate", help="Take the withdrawal back instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Withdraw something and publish that at once; or, with --reinstate, take it back."""
    at = common.now()
    opened = authority.load(home)
    if reinstate:
        if reason is not None or effective is not None:
            raise CliError("--reinstate takes neither --reason nor --effective")
        done = authority.reinstate(opened, kind, subject, at)
    else:
        if not reason:
            raise CliError("say why: --reason")
        since = common.instant(effective, "--effective")
        done = authority.withdraw(opened, kind, subject, reason, since, at)
    did = f"{'reinstated' if reinstate else 'withdrew'} {kind} {subject}"
    published(opened, did, done, as_json=as_json)
