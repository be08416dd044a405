"""Takes one step of a history: the table of verbs, and what each of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.reasons import EvidenceError
from sidecar.simulate import evidence_acts, other_acts
from sidecar.simulate.history_file import HistoryError, Step
from sidecar.simulate.naming import ActError
from sidecar.simulate.world import World

_ACTS: dict[str, Callable[[World, Any], str]] = {
    "declare": evidence_acts.declare,
    "bind": evidence_acts.bind,
    "pass": evidence_acts.pass_,
    "fail": evidence_acts.fail,
    "approve": evidence_acts.approve,
    "all-agree": evidence_acts.all_agree,
    "deploy": evidence_acts.deploy,
    "withdraw": other_acts.withdraw,
    "take-back": other_acts.take_back,
    "rotate": other_acts.rotate,
    "resign": evidence_acts.resign,
    "lose": evidence_acts.lose,
    "find": evidence_acts.find,
    "mirror-hangs": other_acts.mirror_hangs,
    "mirror-answers": other_acts.mirror_answers,
    "stops-publishing": other_acts.stops_publishing,
    "publishes-again": other_acts.publishes_again,
    "restart": other_acts.restart,
    "wait": other_acts.wait,
    "grants": other_acts.regrant,
    "floors": other_acts.set_floors,
}


def take(world: World, step: Step) -> str:
    """Do one step, let the gate see it, and return what happened as a sentence.

    Raises:
        HistoryError: It names something that does not exist, or cannot be done.
    """
    try:
        sentence = _ACTS[step.verb](world, step.arguments)
    except (ActError, EvidenceError) as error:
        raise HistoryError(step.line, f"{step.verb}: {error}") from error
    world.refresh()
    return sentence
