"""Finds what a step names in the world, or states what could have been named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sidecar.core.documents import WithdrawalKind
from sidecar.simulate.entries import EvidenceEntry, Withdrawable
from sidecar.simulate.party import EvidenceFile, Party
from sidecar.simulate.world import World

_FILE_KINDS = {
    "manifest": WithdrawalKind.MANIFEST,
    "approval": WithdrawalKind.APPROVAL,
    "result": WithdrawalKind.RESULT,
    "declaration": WithdrawalKind.ENVIRONMENT,
    "binding": WithdrawalKind.DEPLOYMENT_BINDING,
}
_NAMED_KINDS = {
    "corpus": WithdrawalKind.CORPUS,
    "suite": WithdrawalKind.EVALUATION,
    "run": WithdrawalKind.RUN,
    "model": WithdrawalKind.MODEL,
    "base-model": WithdrawalKind.BASE_MODEL,
    "environment": WithdrawalKind.ENVIRONMENT,
    "key": WithdrawalKind.KEY,
    "authority": WithdrawalKind.AUTHORITY,
}


class ActError(Exception):
    """A step cannot be taken in this world; ``take`` adds the line."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a withdrawal is about, and what people call it.

    ``manifest`` is the one that an approval or a result is about.
    """

    kind: WithdrawalKind
    subject: str
    named: str
    manifest: str | None = None


def party_of(world: World, name: str) -> Party:
    """Return an authority by name."""
    known(name, world.parties, "authority")
    return world.parties[name]


def known(name: str, among: Iterable[str], what: str) -> None:
    """Refuse a name that is not among the known ones."""
    if name not in among:
        expected = ", ".join(among) or "none so far"
        raise ActError(f"unknown {what} {name!r}; expected one of: {expected}")


def evidence(entry: EvidenceEntry, among: Iterable[EvidenceFile]) -> EvidenceFile:
    """Return the newest file that an entry names."""
    given = entry.model_dump(exclude={"of"}, exclude_none=True)
    kinds = {kind: name for kind, name in given.items() if kind in _FILE_KINDS}
    if len(kinds) != 1:
        raise ActError("expected exactly one piece of evidence, such as 'approval: MANIFEST'")
    ((kind, about),) = kinds.items()
    found = [
        file
        for file in among
        if (file.kind, file.about) == (kind, about) and entry.of in (None, file.author)
    ]
    if not found:
        author = "" if entry.of is None else f" by {entry.of}"
        raise ActError(f"there is no {kind} of {about!r}{author}")
    return found[-1]


def target(world: World, entry: Withdrawable, by: str) -> Target:
    """Return what an authority withdraws or takes back."""
    ((kind, name),) = entry.named().items()
    if kind in _FILE_KINDS:
        everything = [file for party in world.parties.values() for file in party.signed]
        of = entry.of or (None if kind == "manifest" else by)
        wanted = EvidenceEntry.model_validate({kind: name, "of": of})
        file = evidence(wanted, everything)
        judged = world.manifests[name].digest if kind in {"approval", "result"} else None
        return Target(_FILE_KINDS[kind], file.digest, file.named, judged)
    named = f"the key of {name}" if kind == "key" else f"{kind} {name}"
    return Target(_NAMED_KINDS[kind], _named_subject(world, kind, name), named)


def _named_subject(world: World, kind: str, name: str) -> str:
    provider = world.history.settings.provider
    match kind:
        case "corpus" | "suite" | "run":
            subjects = {each: at for (of, each), at in world.subjects.items() if of == kind}
            known(name, subjects, kind)
            return subjects[name]
        case "model" | "base-model":
            model = world.model(name)
            return model if model.startswith(f"{provider}/") else f"{provider}/{model}"
        case "environment":
            entry = world.environments.get(name)
            return name if entry is None else entry.id or name
        case "key":
            return party_of(world, name).key.fingerprint
        case _:
            return party_of(world, name).name


def listed(names: tuple[str, ...]) -> str:
    """Write names as people list them."""
    return " and ".join(names)


def duration(time: timedelta) -> str:
    """Write a duration in its largest whole unit."""
    seconds = int(time.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit if seconds != size else unit[:-1]}"
    return f"{seconds} seconds"
