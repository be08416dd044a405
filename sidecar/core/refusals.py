"""What step 0 says no with: one line for each of its three commonest reasons."""

from __future__ import annotations

from sidecar.core.reasons import AdmissibilityError, Reason


def malformed(why: str) -> AdmissibilityError:
    """The request cannot be read, or two readers could read it differently."""
    return AdmissibilityError(Reason.MALFORMED_REQUEST, why)


def ambiguous(why: str) -> AdmissibilityError:
    """Another model than the one that is named could be run."""
    return AdmissibilityError(Reason.AMBIGUOUS_MODEL, why)


def unsupported(why: str) -> AdmissibilityError:
    """The operation, or what it is asked to do, is shut."""
    return AdmissibilityError(Reason.UNSUPPORTED_OPERATION, why)
