"""Parses OPA's answer so that only one exact shape can allow.

OPA answers HTTP 200 without ``result`` where a rule is undefined, and an old process could answer
with old policies; so ``allow`` counts only beside the nonce of this very question and the policy
revision the gate expects (OPA REST API, "Get a Document").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from sidecar.core import strict_json
from sidecar.core.reasons import AdmissibilityError, Reason

MAX_VERDICT_BYTES = 1 << 20
MAX_ANSWER_BYTES = 4 << 20
"""The longest response to several questions that is read."""
JURISDICTION_UNKNOWN = "jurisdiction_unknown"


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a call breaks, or one warning.

    Attributes:
        code: The rule's name, e.g. ``eu.art10_data_governance``; without a dot where the call as a
            whole is refused.
        jurisdiction: The package of the rule: a jurisdiction, or a sector of one, e.g.
            ``eu-finance``. Empty where the call as a whole is refused.
        message: What was found.
        citation: What the rule rests on.
        remedy: What mends it.
        subject: The model id or SPIFFE ID that it is about.
        term: The fact that broke the rule, e.g. ``adaptations[].corpora``.
        effective_on: The date from which the cited provision applies, as ``YYYY-MM-DD``.
        state: ``enforced``; of a warning also ``pending`` (not in force yet), ``shadow``,
            ``waived`` or ``advisory``.
        authority: Who waived it; empty unless it is waived.
    """

    code: str
    jurisdiction: str
    message: str
    citation: str = ""
    remedy: str = ""
    subject: str = ""
    term: str = ""
    effective_on: str = ""
    state: str = ""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class JurisdictionVerdict:
    """One jurisdiction's own answer."""

    allow: bool
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A well-formed answer to this very question under the expected policies."""

    allow: bool
    nonce: str
    revision: str
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    jurisdictions: dict[str, JurisdictionVerdict]
    lease_seconds: Annotated[int, Field(ge=0)]

    def reason(self) -> Reason:
        """Return the reason code with which this verdict refuses."""
        if any(violation.code == JURISDICTION_UNKNOWN for violation in self.violations):
            return Reason.JURISDICTION_UNKNOWN
        return Reason.JURISDICTION_DENIED


@dataclass(frozen=True, slots=True)
class _Body:
    """OPA's response: a document without ``result`` is an undefined decision, not an answer."""

    result: Verdict


@dataclass(frozen=True, slots=True)
class _Bodies:
    """OPA's response to several questions, each verdict by the nonce of its question."""

    result: dict[str, Verdict]


_ADAPTER = TypeAdapter(_Body)
_SEVERAL = TypeAdapter(_Bodies)


def read(data: bytes, *, nonce: str, revision: str, jurisdictions: tuple[str, ...]) -> Verdict:
    """Read OPA's response body.

    Args:
        data: The body of a 200 response.
        nonce: The nonce of the question.
        revision: The policy revision the gate expects.
        jurisdictions: Those of the environment; each must have answered. Packages for its sector
            answer beside them.

    Raises:
        AdmissibilityError: ``policy_unavailable``: no ``result``, another shape, another nonce or
            revision, a jurisdiction without an answer, or an allow that contradicts itself.
    """
    _result(data, MAX_VERDICT_BYTES)
    try:
        verdict = _ADAPTER.validate_json(data, strict=True).result
    except ValidationError as error:
        raise _unavailable("the answer has another shape") from error
    return _checked(verdict, nonce, revision, jurisdictions)


def read_several(
    data: bytes, *, asked: Mapping[str, tuple[str, ...]], revision: str
) -> dict[str, Verdict | AdmissibilityError]:
    """Read OPA's response to several questions; one that is not well answered fails alone.

    Args:
        data: The body of a 200 response.
        asked: The nonce of each question with the jurisdictions of its environment.
        revision: The policy revision the gate expects.

    Returns:
        For each nonce its verdict, or the error that ``read`` would raise.

    Raises:
        AdmissibilityError: ``policy_unavailable``: nothing of the response can be read.
    """
    result = _result(data, MAX_ANSWER_BYTES)
    if not isinstance(result, dict):
        raise _unavailable("the answer has another shape")
    try:
        verdicts = _SEVERAL.validate_json(data, strict=True).result
    except ValidationError:
        verdicts = {}  # each is read by itself below
    found: dict[str, Verdict | AdmissibilityError] = {}
    for nonce, jurisdictions in asked.items():
        try:
            if nonce not in result:
                raise _unavailable("the decision is undefined")
            if nonce in verdicts:
                found[nonce] = _checked(verdicts[nonce], nonce, revision, jurisdictions)
            else:
                alone = json.dumps({"result": result[nonce]}).encode()
                found[nonce] = read(
                    alone, nonce=nonce, revision=revision, jurisdictions=jurisdictions
                )
        except AdmissibilityError as error:
            found[nonce] = error
    return found


def _result(data: bytes, most: int) -> object:
    try:
        document = strict_json.loads_object(data, max_bytes=most)
    except strict_json.StrictJsonError as error:
        raise _unavailable(f"the answer: {error}") from error
    if "result" not in document:
        raise _unavailable("the decision is undefined")
    return document["result"]


def _checked(
    verdict: Verdict, nonce: str, revision: str, jurisdictions: tuple[str, ...]
) -> Verdict:
    if verdict.nonce != nonce:
        raise _unavailable("the answer is to another question")
    if verdict.revision != revision:
        raise _unavailable("the answer is of another policy revision")
    if not set(jurisdictions) <= set(verdict.jurisdictions):
        raise _unavailable("not every jurisdiction answered")
    _check_consistent(verdict)
    return verdict


def _check_consistent(verdict: Verdict) -> None:
    """Refuse an allow beside a violation, or beside a jurisdiction that refuses."""
    agreed = not verdict.violations and all(
        entry.allow and not entry.violations for entry in verdict.jurisdictions.values()
    )
    if verdict.allow and not (agreed and verdict.jurisdictions):
        raise _unavailable("the answer contradicts itself")


def _unavailable(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.POLICY_UNAVAILABLE, f"policy engine: {why}")
