"""Steps that withdraw and rotate, and those of mirrors, time, the gate and its operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sidecar.core.documents import Withdrawal
from sidecar.simulate.entries import FloorEntry, Regrant, Rotate, TakeBack, Withdraw
from sidecar.simulate.naming import ActError, duration, known, party_of, target
from sidecar.simulate.world import World, floors, granted


def withdraw(world: World, entry: Withdraw) -> str:
    """Publish a withdrawal."""
    party = party_of(world, entry.by)
    at = target(world, entry, entry.by)
    effective = world.now + entry.in_ if entry.in_ else None
    party.entries = [e for e in party.entries if (e.kind, e.subject) != (at.kind, at.subject)]
    party.entries.append(Withdrawal(at.kind, at.subject, entry.because, effective, at.manifest))
    when = f", in effect in {duration(entry.in_)}" if entry.in_ else ""
    return f"{entry.by} withdraws {at.named}{when}"


def take_back(world: World, entry: TakeBack) -> str:
    """Publish without a withdrawal or a failure."""
    party = party_of(world, entry.by)
    if entry.failure is not None:
        known(entry.failure, world.manifests, "manifest")
        digest = world.manifests[entry.failure].digest
        left_over = [each for each in party.failures if each.manifest != digest]
        if len(left_over) == len(party.failures):
            raise ActError(f"{entry.by} has published no failure of {entry.failure}")
        party.failures = left_over
        return f"{entry.by} takes back its failure of {entry.failure}"
    at = target(world, entry, entry.by)
    left = [each for each in party.entries if (each.kind, each.subject) != (at.kind, at.subject)]
    if len(left) == len(party.entries):
        raise ActError(f"{entry.by} has not withdrawn {at.named}")
    party.entries = left
    return f"{entry.by} takes back its withdrawal of {at.named}"


# ---- Keys, mirrors, time, the gate and its operator ----------------------------------------------


def rotate(world: World, entry: Rotate) -> str:
    """Replace an attestation key."""
    party_of(world, entry.authority).rotate(world.now, entry.overlap)
    if entry.overlap is None:
        return f"{entry.authority} rotates its key; the old one is retired at once"
    return f"{entry.authority} rotates its key; the old one counts for another " + duration(
        entry.overlap
    )


def mirror_hangs(world: World, name: str) -> str:
    """Let the gate no longer reach a repository."""
    world.hanging.add(party_of(world, name).name)
    return f"the mirror of {name} hangs"


def mirror_answers(world: World, name: str) -> str:
    """Let the gate reach a repository again."""
    world.hanging.discard(party_of(world, name).name)
    return f"the mirror of {name} answers again"


def stops_publishing(world: World, name: str) -> str:
    """Let timestamps run out."""
    world.silent.add(party_of(world, name).name)
    return f"{name} signs no new timestamps"


def publishes_again(world: World, name: str) -> str:
    """Let timestamps be signed again."""
    world.silent.discard(party_of(world, name).name)
    return f"{name} signs new timestamps again"


def restart(world: World, what: str) -> str:
    """Restart the gate with what it kept."""
    if what != "gate":
        raise ActError(f"{what!r} cannot be restarted; expected 'gate'")
    world.gate.heard = set()
    return "the gate restarts"


def wait(world: World, time: timedelta) -> str:
    """Let time pass."""
    world.now += time
    return f"{duration(time)} pass"


def regrant(world: World, entry: Regrant) -> str:
    """Change or remove the grants of an authority."""
    party_of(world, entry.authority)
    theirs = dict(world.operator.grants)
    theirs.pop(entry.authority, None)
    if entry.grants is None:
        # With an authority's last grant, what the gate kept of it is removed.
        world.gate.views.pop(entry.authority, None)
        world.gate.heard.discard(entry.authority)
        sentence = f"the operator takes every grant of {entry.authority} away"
    else:
        theirs[entry.authority] = granted(entry.authority, entry.grants)
        sentence = f"the operator changes the grants of {entry.authority}"
    world.operator = replace(world.operator, grants=theirs)
    return sentence


def set_floors(world: World, entries: tuple[FloorEntry, ...]) -> str:
    """Change the floors."""
    world.operator = replace(world.operator, floors=floors(entries))
    return "the operator sets the floors" if entries else "the operator removes the floors"
