"""Defines the reason codes of replies, metrics, decision logs and documents, one row each.

The order is the order of the predicate's steps; a denial carries the code of the first step that
failed. ``ADMITTED`` is the only code that goes with an allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Reason(StrEnum):
    """Why a decision came out as it did. Values are stable: dashboards and clients match them."""

    # 0: the request and the models it names
    MALFORMED_REQUEST = "malformed_request"
    UNSUPPORTED_OPERATION = "unsupported_operation"
    AMBIGUOUS_MODEL = "ambiguous_model"
    BODY_INCOMPLETE = "body_incomplete"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    OBJECT_UNREGISTERED = "object_unregistered"
    # 1: the credential and its environment
    CREDENTIAL_MISSING = "credential_missing"
    CREDENTIAL_INVALID = "credential_invalid"
    CREDENTIAL_EXPIRED = "credential_expired"
    CREDENTIAL_KEY_UNKNOWN = "credential_key_unknown"
    CERTIFICATE_NOT_SVID = "certificate_not_svid"
    ENVIRONMENT_UNKNOWN = "environment_unknown"
    ENVIRONMENT_BELOW_FLOOR = "environment_below_floor"
    # 2: one manifest for each model
    DEPLOYMENT_UNBOUND = "deployment_unbound"
    MANIFEST_MISSING = "manifest_missing"
    BASE_MODEL_NOT_LISTED = "base_model_not_listed"
    # 3: the manifest covers the call
    MANIFEST_UNVERIFIED = "manifest_unverified"
    MANIFEST_NOT_IN_WINDOW = "manifest_not_in_window"
    ENVIRONMENT_NOT_COVERED = "environment_not_covered"
    OPERATION_NOT_COVERED = "operation_not_covered"
    SPECIFICATION_MISSING = "specification_missing"
    SPECIFICATION_UNVERIFIED = "specification_unverified"
    # 4: sandbox pre-activation
    SANDBOX_NOT_GRANTED = "sandbox_not_granted"
    PREACTIVATION_MISSING = "preactivation_missing"
    PREACTIVATION_FAILED = "preactivation_failed"
    PREACTIVATION_EXPIRED = "preactivation_expired"
    # 5: composite approvals
    APPROVAL_MISSING = "approval_missing"
    APPROVAL_NOT_IN_WINDOW = "approval_not_in_window"
    APPROVAL_OUT_OF_SCOPE = "approval_out_of_scope"
    # 6: cascade
    WITHDRAWN = "withdrawn"
    # 7: freshness
    TRUST_STALE = "trust_stale"
    # the policies
    JURISDICTION_DENIED = "jurisdiction_denied"
    JURISDICTION_UNKNOWN = "jurisdiction_unknown"
    POLICY_UNAVAILABLE = "policy_unavailable"
    # running
    CLOCK_UNRELIABLE = "clock_unreliable"
    OVERLOADED = "overloaded"
    STOPPING = "stopping"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL_ERROR = "internal_error"
    # the one that allows
    ADMITTED = "admitted"


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """What replies, metrics and documents need to know about one reason.

    Attributes:
        step: Of the structural predicate, 0 … 7; ``None`` for the policies and the gate itself.
        status: HTTP status a client gets: 401 credential, 400/413/415 request, 403 inadmissible,
            503 where the gate cannot decide.
        remedy: One sentence that names what would turn this reason into an allow.
    """

    step: int | None
    status: int
    remedy: str


REASONS: Mapping[Reason, ReasonRow] = MappingProxyType(
    {
        Reason.MALFORMED_REQUEST: ReasonRow(
            0,
            400,
            "Send a well-formed request in the form the operation documents.",
        ),
        Reason.UNSUPPORTED_OPERATION: ReasonRow(
            0,
            403,
            "Use an operation that the gate knows and that is open; every other one is refused.",
        ),
        Reason.AMBIGUOUS_MODEL: ReasonRow(
            0,
            400,
            "Name exactly one model, in the one place the operation has for it.",
        ),
        Reason.BODY_INCOMPLETE: ReasonRow(
            0,
            413,
            "Send a smaller body, or have the operator raise max_request_bytes.",
        ),
        Reason.UNSUPPORTED_ENCODING: ReasonRow(
            0,
            415,
            "Send the body without Content-Encoding.",
        ),
        Reason.OBJECT_UNREGISTERED: ReasonRow(
            0,
            403,
            "Create the object through the gate, in this environment, and use it while its "
            "registration lasts.",
        ),
        Reason.CREDENTIAL_MISSING: ReasonRow(
            1,
            401,
            "Send the environment's JWT-SVID, or connect with its X.509-SVID.",
        ),
        Reason.CREDENTIAL_INVALID: ReasonRow(
            1,
            401,
            "Obtain a fresh SVID from the environment's own trust domain.",
        ),
        Reason.CREDENTIAL_EXPIRED: ReasonRow(
            1,
            401,
            "Obtain a fresh SVID; this one has expired.",
        ),
        Reason.CREDENTIAL_KEY_UNKNOWN: ReasonRow(
            1,
            401,
            "Have that authority publish the current keys of its trust domain (admit authority"
            " follow-bundle); a new SVID does not help before.",
        ),
        Reason.CERTIFICATE_NOT_SVID: ReasonRow(
            1,
            403,
            "Have the workload's certificate issued as an X.509-SVID: one URI with a path, and "
            "no CA.",
        ),
        Reason.ENVIRONMENT_UNKNOWN: ReasonRow(
            1,
            403,
            "Have the customer sign a declaration (admit declare environment).",
        ),
        Reason.ENVIRONMENT_BELOW_FLOOR: ReasonRow(
            1,
            403,
            "Declare the environment with the sector that the operator's floor names.",
        ),
        Reason.DEPLOYMENT_UNBOUND: ReasonRow(
            2,
            403,
            "Ask the provider for a new binding of the deployment (admit declare deployment).",
        ),
        Reason.MANIFEST_MISSING: ReasonRow(
            2,
            403,
            "Bind the finished job into a signed manifest (admit bind); a base model needs the "
            "customer's list and a provider's grant.",
        ),
        Reason.BASE_MODEL_NOT_LISTED: ReasonRow(
            2,
            403,
            "List the base model in the environment's declaration.",
        ),
        Reason.MANIFEST_UNVERIFIED: ReasonRow(
            3,
            403,
            "Ask a producer that the operator granted to sign the manifest.",
        ),
        Reason.MANIFEST_NOT_IN_WINDOW: ReasonRow(
            3,
            403,
            "Bind the job again, with a window that includes now.",
        ),
        Reason.ENVIRONMENT_NOT_COVERED: ReasonRow(
            3,
            403,
            "Bind the job again, with this environment in the manifest.",
        ),
        Reason.OPERATION_NOT_COVERED: ReasonRow(
            3,
            403,
            "Bind the job again, with this operation in the manifest.",
        ),
        Reason.SPECIFICATION_MISSING: ReasonRow(
            3,
            403,
            "Send the digest of a signed environment specification with the job, and name it "
            "in the manifest (admit declare specification, admit job submit).",
        ),
        Reason.SPECIFICATION_UNVERIFIED: ReasonRow(
            3,
            403,
            "Have the customer sign a specification that covers this job "
            "(admit declare specification).",
        ),
        Reason.SANDBOX_NOT_GRANTED: ReasonRow(
            4,
            403,
            "Call from an environment that is declared for the purpose evaluation and that the "
            "operator grants to an evaluator as its sandbox; others use the production route.",
        ),
        Reason.PREACTIVATION_MISSING: ReasonRow(
            4,
            403,
            "Have an evaluator run and countersign the envelope (admit result).",
        ),
        Reason.PREACTIVATION_FAILED: ReasonRow(
            4,
            403,
            "The envelope was not passed; this manifest cannot be activated.",
        ),
        Reason.PREACTIVATION_EXPIRED: ReasonRow(
            4,
            403,
            "Ask the evaluator to run the envelope again (admit result).",
        ),
        Reason.APPROVAL_MISSING: ReasonRow(
            5,
            403,
            "Ask the named roles to approve (admit approve).",
        ),
        Reason.APPROVAL_NOT_IN_WINDOW: ReasonRow(
            5,
            403,
            "Ask the named roles to approve again (admit approve).",
        ),
        Reason.APPROVAL_OUT_OF_SCOPE: ReasonRow(
            5,
            403,
            "Ask the named roles for an approval that covers this call.",
        ),
        Reason.WITHDRAWN: ReasonRow(
            6,
            403,
            "Contact the authority that withdrew; only it can reinstate.",
        ),
        Reason.TRUST_STALE: ReasonRow(
            7,
            503,
            "Have the authority publish again (admit authority publish).",
        ),
        Reason.JURISDICTION_DENIED: ReasonRow(
            None,
            403,
            "Meet the named rules; each carries its own remedy.",
        ),
        Reason.JURISDICTION_UNKNOWN: ReasonRow(
            None,
            403,
            "Add a policy package for the jurisdiction, or correct its name.",
        ),
        Reason.POLICY_UNAVAILABLE: ReasonRow(
            None,
            503,
            "Check OPA; the gate restarts the one it manages.",
        ),
        Reason.CLOCK_UNRELIABLE: ReasonRow(
            None,
            503,
            "Set the clock of the gate's machine right; the gate then goes on by itself, or once a "
            "time that it relied on has passed (`admit docs sre when-the-clock-was-wrong`).",
        ),
        Reason.OVERLOADED: ReasonRow(
            None,
            503,
            "Try again shortly.",
        ),
        Reason.STOPPING: ReasonRow(
            None,
            503,
            "Try again: another gate answers, or this one once it was started again.",
        ),
        Reason.DEADLINE_EXCEEDED: ReasonRow(
            None,
            503,
            "Try again shortly; if it lasts, look at OPA's latency.",
        ),
        Reason.INTERNAL_ERROR: ReasonRow(
            None,
            503,
            "Look up the decision id in the gate's log.",
        ),
        Reason.ADMITTED: ReasonRow(
            None,
            200,
            "Nothing to do.",
        ),
    }
)
"""Exactly one row for each reason; a test compares the two."""


def http_status(reason: Reason) -> int:
    """Return the HTTP status a client gets for ``reason``."""
    return REASONS[reason].status


def remedy(reason: Reason) -> str:
    """Return one sentence that names what would turn ``reason`` into an allow."""
    return REASONS[reason].remedy


def one_line(text: str) -> str:
    """Return a text of an authority's without line breaks: it may become a part of a sentence."""
    return " ".join(text.split())


class AdmissibilityError(Exception):
    """A refusal inside the request path: a reason code and a message for the caller.

    The message may be shown to the client; it never holds a secret or a body's content.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class EvidenceError(Exception):
    """Evidence, a document or a configuration was refused; the text states the broken rule."""
