"""Formats the refusals of step 0: one line for each of its three commonest reasons."""

from __future__ import annotations

from sidecar.core.reasons import AdmissibilityError, Reason


def malformed(why: str) -> AdmissibilityError:
    """Return the refusal of a request that two parsers could read differently, or none can."""
    return AdmissibilityError(Reason.MALFORMED_REQUEST, why)


def ambiguous(why: str) -> AdmissibilityError:
    """Another model than the one that is named could be run."""
    return AdmissibilityError(Reason.AMBIGUOUS_MODEL, why)


def unsupported(why: str) -> AdmissibilityError:
    """Return the refusal of an operation, or of what it is asked to do, that is closed."""
    return AdmissibilityError(Reason.UNSUPPORTED_OPERATION, why)
