"""Reason codes: one enum for replies, metrics, decision logs and documents.

The order is the order of the predicate's steps; a denial carries the code of the first step that
failed. ``ADMITTED`` is the only code that goes with an allow.
"""

from __future__ import annotations

from enum import StrEnum


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
    CERTIFICATE_NOT_SVID = "certificate_not_svid"
    ENVIRONMENT_UNKNOWN = "environment_unknown"
    # 2: one manifest for each model
    DEPLOYMENT_UNBOUND = "deployment_unbound"
    MANIFEST_MISSING = "manifest_missing"
    MANIFEST_AMBIGUOUS = "manifest_ambiguous"
    BASE_MODEL_NOT_LISTED = "base_model_not_listed"
    # 3: the manifest covers the call
    MANIFEST_UNVERIFIED = "manifest_unverified"
    MANIFEST_NOT_IN_WINDOW = "manifest_not_in_window"
    ENVIRONMENT_NOT_COVERED = "environment_not_covered"
    OPERATION_NOT_COVERED = "operation_not_covered"
    SPECIFICATION_MISSING = "specification_missing"
    SPECIFICATION_UNVERIFIED = "specification_unverified"
    # 4: sandbox pre-activation
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
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL_ERROR = "internal_error"
    # the one that allows
    ADMITTED = "admitted"


_STATUS: dict[Reason, int] = {
    Reason.MALFORMED_REQUEST: 400,
    Reason.UNSUPPORTED_OPERATION: 403,
    Reason.AMBIGUOUS_MODEL: 400,
    Reason.BODY_INCOMPLETE: 413,
    Reason.UNSUPPORTED_ENCODING: 415,
    Reason.CREDENTIAL_MISSING: 401,
    Reason.CREDENTIAL_INVALID: 401,
    Reason.CREDENTIAL_EXPIRED: 401,
    Reason.TRUST_STALE: 503,
    Reason.POLICY_UNAVAILABLE: 503,
    Reason.CLOCK_UNRELIABLE: 503,
    Reason.OVERLOADED: 503,
    Reason.DEADLINE_EXCEEDED: 503,
    Reason.INTERNAL_ERROR: 503,
    Reason.ADMITTED: 200,
}


def http_status(reason: Reason) -> int:
    """The HTTP status a client sees: 401 credential, 400/413/415 request, 503 ours, else 403."""
    return _STATUS.get(reason, 403)


_REMEDY: dict[Reason, str] = {
    Reason.MALFORMED_REQUEST: "Send a well-formed request in the form the operation documents.",
    Reason.UNSUPPORTED_OPERATION: "Use an operation the gate knows; every other one is shut.",
    Reason.AMBIGUOUS_MODEL: "Name exactly one model, in the one place the operation has for it.",
    Reason.BODY_INCOMPLETE: "Send a smaller body, or have the operator raise max_request_bytes.",
    Reason.UNSUPPORTED_ENCODING: "Send the body without Content-Encoding.",
    Reason.OBJECT_UNREGISTERED: "Create the object through the gate, in this environment, and use "
    "it while its registration lasts.",
    Reason.CREDENTIAL_MISSING: "Send the environment's JWT-SVID, or connect with its X.509-SVID.",
    Reason.CREDENTIAL_INVALID: "Obtain a fresh SVID from the environment's own trust domain.",
    Reason.CREDENTIAL_EXPIRED: "Obtain a fresh SVID; this one has expired.",
    Reason.CERTIFICATE_NOT_SVID: "Have the workload's certificate issued as an X.509-SVID: one URI "
    "with a path, and no CA.",
    Reason.ENVIRONMENT_UNKNOWN: "Have the customer sign a declaration (admit declare environment).",
    Reason.DEPLOYMENT_UNBOUND: "Have the deployment bound to its model anew "
    "(admit declare deployment).",
    Reason.MANIFEST_MISSING: "Bind the finished job into a signed manifest (admit bind).",
    Reason.MANIFEST_AMBIGUOUS: "Let one manifest supersede the others (admit bind --supersedes).",
    Reason.BASE_MODEL_NOT_LISTED: "List the base model in the environment's declaration.",
    Reason.MANIFEST_UNVERIFIED: "Have a producer the operator granted sign the manifest anew.",
    Reason.MANIFEST_NOT_IN_WINDOW: "Bind anew with a window that holds now.",
    Reason.ENVIRONMENT_NOT_COVERED: "Bind anew with this environment in the manifest.",
    Reason.OPERATION_NOT_COVERED: "Bind anew with this operation in the manifest.",
    Reason.SPECIFICATION_MISSING: "Send the digest of a signed environment specification with the "
    "job (admit declare specification).",
    Reason.SPECIFICATION_UNVERIFIED: "Have the customer sign a specification that covers this job "
    "(admit declare specification).",
    Reason.PREACTIVATION_MISSING: "Have an evaluator run and countersign the envelope "
    "(admit result).",
    Reason.PREACTIVATION_FAILED: "The envelope was not passed; this manifest cannot be activated.",
    Reason.PREACTIVATION_EXPIRED: "Have the evaluator run the envelope anew (admit result).",
    Reason.APPROVAL_MISSING: "Ask the named roles to approve (admit approve).",
    Reason.APPROVAL_NOT_IN_WINDOW: "Ask the named roles to approve anew (admit approve).",
    Reason.APPROVAL_OUT_OF_SCOPE: "Ask the named roles for an approval that covers this call.",
    Reason.WITHDRAWN: "Turn to the authority that withdrew; only it can reinstate.",
    Reason.TRUST_STALE: "Have the authority publish again (admit authority publish).",
    Reason.JURISDICTION_DENIED: "Meet the named rules; each carries its own remedy.",
    Reason.JURISDICTION_UNKNOWN: "Add a policy package for the jurisdiction, or correct its name.",
    Reason.POLICY_UNAVAILABLE: "Check OPA; the gate restarts the one it manages.",
    Reason.CLOCK_UNRELIABLE: "Set the clock of the gate's machine right; if it is right and was "
    "wrong, see the operators' guide.",
    Reason.OVERLOADED: "Try again shortly.",
    Reason.DEADLINE_EXCEEDED: "Try again shortly; if it lasts, look at OPA's latency.",
    Reason.INTERNAL_ERROR: "Look up the decision id in the gate's log.",
    Reason.ADMITTED: "Nothing to do.",
}


def remedy(reason: Reason) -> str:
    """One sentence that says what would turn this reason into an allow."""
    return _REMEDY[reason]


class AdmissibilityError(Exception):
    """A refusal inside the request path: a reason code and a message for the caller.

    The message may be shown to the client; it never holds a secret or a body's content.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class EvidenceError(Exception):
    """Evidence, a document or a configuration was refused; the text says which rule it broke."""
