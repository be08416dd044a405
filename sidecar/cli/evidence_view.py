"""``admit verify --evidence``: which files an operator accepts, and what the others would need."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.text import Text

from sidecar.authority import checks
from sidecar.authority.checks import Signing
from sidecar.cli import common
from sidecar.cli.common import CliError
from sidecar.cli.plain_console import PlainConsole
from sidecar.core import dsse
from sidecar.core.evidence import Signer, Statement, parse_statement
from sidecar.core.kinds import kind_of
from sidecar.core.predicates import Approval, Manifest, Predicate
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import TrustState
from sidecar.core.window import rfc3339


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file of evidence, and whether the operator's configuration accepts it.

    Attributes:
        file: Its path.
        kind: The noun of its kind; empty for a file that is no evidence.
        subject: The model, environment or deployment that it is about, as stated.
        keys: Fingerprints of the keys that signed it, or that it names.
        accepted_from: Authorities whose signature counts.
        problems: Why it is not accepted, one sentence each; empty where it is.
        remedy: What to do about it.
    """

    file: str
    kind: str
    subject: str
    keys: tuple[str, ...]
    accepted_from: tuple[str, ...]
    problems: tuple[str, ...]
    remedy: str


def judge(paths: Iterable[Path], state: TrustState, now: datetime) -> tuple[CheckedFile, ...]:
    """Compare every ``*.json`` below some paths with a trust state.

    Raises:
        CliError: A path is not there, or a file cannot be read.
    """
    return tuple(_judged(path, state, now) for path in _files(paths))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            found = sorted(path.rglob("*.json"))
            yield from (each for each in found if not each.name.startswith("."))
        else:
            raise CliError(f"--evidence {path}: no such file or folder")


def _judged(path: Path, state: TrustState, now: datetime) -> CheckedFile:
    try:
        envelope = dsse.parse(common.read(path))
        statement = parse_statement(envelope.payload)
    except EvidenceError as error:
        return CheckedFile(str(path), "", "", (), (), (str(error),), "Remove it, or put it right.")
    kind, subject = kind_of(statement.predicate).noun, statement.subject.name
    fingerprints = dsse.verified_by(envelope, {record.key for record in state.keys.values()})
    if not fingerprints:
        named = tuple(sorted(envelope.key_ids))
        problem = "signed by no key that an authority of trust.yaml publishes"
        remedy = (
            "Add the authority that holds the key to trust.yaml, with its root and a grant as "
            f"{_role(statement)}."
        )
        return CheckedFile(str(path), kind, subject, named, (), (problem,), remedy)
    signers = [signer for signer in state.keys if signer.fingerprint in fingerprints]
    found = {signer: hindrances(signer, statement, state, now) for signer in signers}
    accepted = tuple(sorted({s.authority for s, problems in found.items() if not problems}))
    every = () if accepted else tuple(one for each in found.values() for one in each)
    problems = tuple(dict.fromkeys(one.problem for one in every))
    remedy = " ".join(dict.fromkeys(one.remedy for one in every))
    keys = tuple(sorted(fingerprints))
    return CheckedFile(str(path), kind, subject, keys, accepted, problems, remedy)


@dataclass(frozen=True, slots=True)
class NotCountingReason:
    """Why a signature by a known key does not count, and what to do; one sentence each."""

    problem: str
    remedy: str


def hindrances(
    signer: Signer, statement: Statement[Predicate], state: TrustState, now: datetime
) -> tuple[NotCountingReason, ...]:
    """Return why a signature by a known key does not count now; empty where it does."""
    record, predicate, author = state.keys[signer], statement.predicate, signer.authority
    noun, window = kind_of(predicate).noun, predicate.window
    found = []
    if kind_of(predicate).urn not in record.predicate_types:
        found.append(
            NotCountingReason(
                f"the key of {author} may not sign a {noun}",
                f"Have {author} publish a key for it, and sign again with that.",
            )
        )
    if not record.agrees(now):
        found.append(
            NotCountingReason(
                f"the key of {author} is retired or outside its window",
                f"If it should count, have {author} sign it again: admit resign FILE.",
            )
        )
    if not window.holds(now):
        found.append(
            NotCountingReason(
                f"it holds from {rfc3339(window.not_before)} to {rfc3339(window.not_after)}",
                f"If it should count now, have {author} sign a new {noun}.",
            )
        )
    signing = Signing(statement, author, now, _manifest(statement, state), state.operator)
    lacking = tuple(checks.by_operator(signing))
    remedy = _grant(author, statement, state) if lacking else ""
    return (*found, *(NotCountingReason(problem, remedy) for problem in lacking))


def _manifest(statement: Statement[Predicate], state: TrustState) -> Manifest | None:
    if isinstance(statement.predicate, Manifest):
        return statement.predicate
    item = state.manifests_by_digest.get(statement.subject.digest.sha256)
    return None if item is None else item.predicate


def _role(statement: Statement[Predicate]) -> str:
    predicate = statement.predicate
    return predicate.role if isinstance(predicate, Approval) else str(kind_of(predicate).role)


def _grant(authority: str, statement: Statement[Predicate], state: TrustState) -> str:
    """Return the narrowest grant that a statement would need, as ``trust.yaml`` has it."""
    predicate, manifest = statement.predicate, _manifest(statement, state)
    specs = () if manifest is None else manifest.environments
    names: dict[str, Iterable[str]] = {
        "jurisdictions": getattr(predicate, "jurisdictions", ())
        or (name for spec in specs for name in spec.jurisdictions),
        "sectors": [getattr(predicate, "sector", "")]
        if hasattr(predicate, "sector")
        else (spec.sector for spec in specs),
        "models": () if manifest is None else [f"{manifest.model.provider}/{manifest.model.id}"],
        "environments": getattr(predicate, "environments", ())
        if isinstance(predicate, Approval)
        else (spec.id for spec in specs),
    }
    listed = {key: list(dict.fromkeys(given)) or ["**"] for key, given in names.items()}
    grant = ", ".join(f"{key}: {json.dumps(given)}" for key, given in listed.items())
    return f"If it should count, grant {authority}: {{role: {_role(statement)}, {grant}}}"


def show(found: tuple[CheckedFile, ...], *, as_json: bool) -> int:
    """Print the files; return the exit status: 1 if one is not accepted."""
    refused = [one for one in found if one.problems]
    if as_json:
        print(json.dumps({"evidence": [asdict(one) for one in found]}, indent=2))
        return int(bool(refused))
    console = PlainConsole(highlight=False)
    for one in found:
        mark = ("✗ ", "bold red") if one.problems else ("✓ ", "green")
        console.print(Text.assemble(mark, one.file), soft_wrap=True)
        by = f" by {', '.join(one.accepted_from)}" if one.accepted_from else ""
        if one.kind:
            console.print(Text(f"  {one.kind} for {one.subject}{by}"), soft_wrap=True)
        for key in one.keys if one.problems else ():
            console.print(Text(f"  key {key}"), soft_wrap=True)
        for problem in one.problems:
            console.print(Text(f"  {problem}"), soft_wrap=True)
        if one.remedy:
            console.print(Text(f"  → {one.remedy}", style="cyan"), soft_wrap=True)
    console.print(f"{len(found) - len(refused)} of {len(found)} files are accepted")
    return int(bool(refused))
