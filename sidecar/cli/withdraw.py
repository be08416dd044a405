"""Publishes withdrawals, and takes them back (``admit withdraw``, ``admit retract``)."""

from __future__ import annotations

import sys
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.authority import home as authority
from sidecar.authority.matching import Matches, matches, other_kind
from sidecar.authority.open_home import Home
from sidecar.authority.subjects import normalised
from sidecar.authority.withdrawing import PublishedWithdrawal, edition_with
from sidecar.cli import common, evidence_files
from sidecar.cli.authority import published
from sidecar.cli.common import CliError, HomeOption, JsonOption
from sidecar.cli.impact_options import (
    DEFAULT_DAYS,
    Calls,
    DaysOption,
    KindArgument,
    LogOption,
    counted_name,
)
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.trust.spellings import by_other_names

_MAX_NAMED = 20
"""Gates that are named where a withdrawal is not in force yet; the table has all of them."""

EvidenceOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--evidence",
        help="Folder of evidence in which to show what the withdrawal matches; repeatable. The "
        "home's own evidence is searched as well.",
    ),
]


TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        "-t",
        envvar="ADMIT_TRUST",
        help="An operator's trust.yaml: compute and show what would stop before asking.",
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Show which gates of the fleet have it in force, until all do; exit status 1 if "
        "some do not in time.",
    ),
]
TimeoutOption = Annotated[
    float, typer.Option(min=0, help="With --wait: how many seconds to wait at most.")
]
WaitFleetOption = Annotated[
    Path,
    typer.Option("--fleet", envvar="ADMIT_FLEET", help="With --wait: the gates and their keys."),
]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Publish at once: compute no impact and do not ask.")
]


def withdraw(
    kind: KindArgument,
    subject: Annotated[
        str,
        typer.Argument(help="Digest, fingerprint, SPIFFE ID, provider/id or name of the subject."),
    ],
    home: HomeOption,
    reason: Annotated[str | None, typer.Option(help="The reason, for people and logs.")] = None,
    effective: Annotated[
        str | None, typer.Option(help="When the withdrawal takes effect; by default at once.")
    ] = None,
    reinstate: Annotated[
        bool, typer.Option("--reinstate", help="Take the withdrawal back instead.")
    ] = False,
    evidence: EvidenceOption = None,
    trust: TrustOption = None,
    log: LogOption = None,
    days: DaysOption = DEFAULT_DAYS,
    yes: YesOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = 45.0,
    fleet: WaitFleetOption = Path("fleet.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Withdraw something and publish that at once; or, with --reinstate, take it back.

    Withdrawing an approval, a result, an environment's declaration or a deployment binding also
    withdraws what this authority signed before on that matter. On a terminal the command shows
    what would stop, as `admit impact` does, and asks; scripts are not asked.

    Examples:
        admit withdraw approval DIGEST --reason 'new findings'
        admit withdraw base-model 'openai/gpt-4o-*' --reason retired
        admit withdraw corpus DIGEST --reason 'no consent' --yes --wait
        admit withdraw corpus DIGEST --reinstate
    """
    at = common.now()
    opened = authority.load(home)
    if reinstate:
        if reason is not None or effective is not None:
            raise CliError("--reinstate takes neither --reason nor --effective")
        _reinstate(opened, kind, subject, at, as_json=as_json)
        return
    if not reason:
        raise CliError("a withdrawal needs its reason: give --reason")
    since = common.instant(effective, "--effective")
    written = normalised(kind, subject)
    entry = Withdrawal(kind, counted_name(kind, written), reason, since)
    found = _matched(opened, entry, evidence)
    stops = None
    if not yes and sys.stdin.isatty():
        stops = _confirmed(opened, entry, found, trust, evidence, Calls(log, days))
    withdrawn = authority.withdraw(opened, kind, subject, reason, since, at)
    if entry.subject != written:
        common.warn(f"calls name it {entry.subject}; gates count it under that name as well")
    if evidence and not found:
        common.warn("it matches nothing in this evidence; it is published all the same")
    waiting = FleetWait(fleet, timeout) if wait else None
    _report(opened, withdrawn, found, stops, waiting, as_json=as_json)


def _reinstate(
    opened: Home, kind: WithdrawalKind, subject: str, at: datetime, *, as_json: bool
) -> None:
    """Take a withdrawal back, and warn of an older statement that counts again beside a newer."""
    done = authority.reinstate(opened, kind, subject, at)
    published(opened, f"reinstated {kind} {subject}", done, as_json=as_json)
    for newer, older in authority.counting_beside(opened, kind, subject, at):
        common.warn(
            f"{kind} {newer} permits less than {kind} {older}, and both count: where the "
            "newer one's file is missing, the older one permits more"
        )


@dataclass(frozen=True, slots=True)
class FleetWait:
    """The fleet to wait for, and for how many seconds at most."""

    fleet: Path
    timeout: float


def _did(done: PublishedWithdrawal) -> str:
    what = f"{done.entry.kind} {done.entry.subject}"
    return f"published the withdrawal of {what} again" if done.repeated else f"withdrew {what}"


def _report(
    home: Home,
    done: PublishedWithdrawal,
    found: Matches,
    stops: dict[str, Any] | None,
    waiting: FleetWait | None,
    *,
    as_json: bool,
) -> None:
    """Report what was published and, if asked to, wait for the fleet.

    Raises:
        Exit: With 1, if a gate has it not in force in time.
    """

    def show(gates: list[dict[str, Any]] | None) -> None:
        published(
            home,
            _did(done),
            done.publication,
            as_json=as_json,
            facts=_shown(found),
            older=[entry.subject for entry in done.older],
            matches=asdict(found),
            impact=stops,
            fleet=gates,
            repeated=done.repeated,
        )

    if not as_json:
        show(None)
        if done.repeated:
            common.warn(f"it was in effect already, with the reason: {done.entry.reason}")
    gates: list[dict[str, Any]] | None = None
    try:
        gates = None if waiting is None else _waited(home, done, waiting, quiet=as_json)
    except Exception as error:
        raise CliError(f"published, but the fleet cannot be read: {error}") from error
    finally:
        if as_json:  # it is published, whatever became of the wait
            show(gates)
    if gates is not None and not all(each["in_force"] for each in gates):
        missing = [each["name"] for each in gates if not each["in_force"]]
        more = f" and {len(missing) - _MAX_NAMED:,} more" if len(missing) > _MAX_NAMED else ""
        common.warn(f"not in force yet: {', '.join(missing[:_MAX_NAMED])}{more}")
        raise typer.Exit(1)


def _waited(
    home: Home, done: PublishedWithdrawal, waiting: FleetWait, *, quiet: bool
) -> list[dict[str, Any]]:
    """Wait until each gate of the fleet has a withdrawal in force, and return what each has."""
    from sidecar.cli.fleet import wait_in_force  # noqa: PLC0415 - needed with --wait alone

    return wait_in_force(
        waiting.fleet,
        home.name,
        done.publication.version,
        lambda: edition_with(home, (done.entry, *done.older)),
        waiting.timeout,
        quiet=quiet,
    )


def _confirmed(
    home: Home,
    entry: Withdrawal,
    found: Matches,
    trust: Path | None,
    evidence: list[Path] | None,
    calls: Calls,
) -> dict[str, Any] | None:
    """Show what would stop on the error stream and ask; return the impact, if it was computed.

    An impact that cannot be computed is a warning: nothing may keep an authority from withdrawing.

    Raises:
        CliError: The answer was no.
    """
    stops: dict[str, Any] | None = None
    if trust is None:
        for title, names in _shown(found).items():
            typer.echo(f"{title}: {names}", err=True)
        common.warn("to see what stops at an operator's gates, give its trust.yaml with --trust")
    else:
        try:
            # Without a trust.yaml, nothing of a gate is needed to withdraw.
            from sidecar.cli.impact import preview  # noqa: PLC0415

            stops = preview(trust, home.name, entry, evidence, calls)
        except Exception as error:  # noqa: BLE001 - whatever it is, the withdrawal goes on
            common.warn(f"the impact is not computed: {error}")
    if not typer.confirm(f"Withdraw {entry.kind} {entry.subject}?", err=True):
        raise CliError("nothing was changed")
    return stops


def _matched(home: Home, entry: Withdrawal, evidence: list[Path] | None) -> Matches:
    """Return what an entry matches in folders and the home's own records.

    Raises:
        CliError: The evidence shows that the subject is of another kind.
    """
    known = evidence_files.stated(home, evidence or [])
    other = other_kind(entry, known)
    if other is not None:
        raise CliError(
            f"{entry.subject} is of kind {other}, so this matches nothing: "
            f"admit withdraw {other} {entry.subject}"
        )
    found = [matches(each, known) for each in (entry, *by_other_names(entry))]
    return Matches(
        *(
            tuple(sorted({*chain.from_iterable(each)}))
            for each in zip(*map(astuple, found), strict=True)
        )
    )


def _shown(found: Matches) -> dict[str, str]:
    rows = {
        "ends models": found.models,
        "ends base models": found.base_models,
        "ends environments": found.environments,
    }
    return {name: ", ".join(names) for name, names in rows.items() if names}


def retract(
    digest: Annotated[
        str, typer.Argument(help="SHA-256 of the FAILED result, or of the manifest that failed.")
    ],
    home: HomeOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take back a published failure of this evaluator. Models may become admissible by it.

    Examples:
        admit retract DIGEST --home evaluator
    """
    opened = authority.load(home)
    described = authority.describe(opened)
    failures = [
        f for f in described.failures if digest.removeprefix("sha256:") in {f.result, f.manifest}
    ]
    if failures and not yes:
        for one in failures:
            common.warn(f"manifest {one.manifest} failed {one.reason}")
        if not sys.stdin.isatty():
            raise CliError("nothing was changed: confirm with --yes")
        if not typer.confirm("Take these failures back?", err=True):
            raise CliError("nothing was changed")
    done = authority.retract(opened, digest, common.now())
    published(opened, f"retracted {len(failures)} failures of {digest}", done, as_json=as_json)
