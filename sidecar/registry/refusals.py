"""Formats the refusals of stored objects, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.core.call import Reference
from sidecar.core.reasons import AdmissibilityError, Reason


def registration_off(reference: Reference) -> AdmissibilityError:
    """Return the refusal of a stored object while nothing is registered, with the setting."""
    otherwise = "; or send the item itself, not its id" if reference.kind == "item" else ""
    return AdmissibilityError(
        Reason.OBJECT_UNREGISTERED,
        f"the {reference.kind} {reference.id} is stored upstream, and may hold what another model"
        " or environment put into it; have the operator set registration in sidecar.yaml"
        f" (`admit docs stored-objects`){otherwise}",
    )


def without_calls(references: Sequence[Reference]) -> AdmissibilityError:
    """Return the refusal of objects that run nothing, such as a file that is no batch."""
    names = ", ".join(f"{each.kind} {each.id}" for each in references)
    why = f"no model is registered for the {names}; a file must be uploaded with purpose batch"
    return AdmissibilityError(Reason.OBJECT_UNREGISTERED, why)


def unregistered(reference: Reference) -> AdmissibilityError:
    """Return the refusal; the message is the same if another environment has the object."""
    return AdmissibilityError(
        Reason.OBJECT_UNREGISTERED,
        f"the {reference.kind} {reference.id} is not registered for this environment",
    )


def foreign_input(reference: Reference, where: str) -> AdmissibilityError:
    """Return the refusal of an object named as input: one text for all causes.

    Args:
        reference: The object.
        where: Text before it, such as the line of a batch file; may be empty.
    """
    return AdmissibilityError(
        Reason.OBJECT_UNREGISTERED,
        f"{where}the {reference.kind} {reference.id}, named as input, is not registered for this"
        " environment; create it through the gate from this environment"
        " (registration.unregistered_inputs in sidecar.yaml states what the operator allows)",
    )
