"""Real bytes of what the model knows as values: statements, documents, keys.

Each is made once per process: histories share a small fixed pool of keys and most of their items.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.support.laws.nouns import (
    RUN_BEGAN,
    Approval,
    Binding,
    Content,
    Declaration,
    Documents,
    Item,
    Key,
    Manifest,
    Place,
    Result,
    Span,
    Specification,
    Suite,
    Waiver,
    artifact,
)
from tests.support.simulator.constants import NOW
from tests.support.simulator.keys import SimKey, envelope
from tests.support.simulator.predicates import sha, stamp

KEPT = 1 << 14
"""Items that are kept made: most histories share most of theirs."""

TYPES = {
    Declaration: "urn:admissibility:environment:v1",
    Manifest: "urn:admissibility:adaptation-manifest:v1",
    Result: "https://in-toto.io/attestation/test-result/v0.1",
    Approval: "urn:admissibility:approval:v1",
    Binding: "urn:admissibility:deployment-binding:v1",
    Specification: "urn:admissibility:specification:v1",
    Waiver: "urn:admissibility:waiver:v1",
}


def instant(hour: int) -> datetime:
    return NOW + timedelta(hours=hour)


@lru_cache(maxsize=KEPT)
def item(content: Content) -> Item:
    """A piece of evidence without signatures, known by the digest of its payload."""
    return Item(hashlib.sha256(payload(content)).hexdigest(), content)


@lru_cache(maxsize=KEPT)
def payload(content: Content) -> bytes:
    subject, digest = _subject(content)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": subject, "digest": {"sha256": digest}}],
        "predicateType": TYPES[type(content)],
        "predicate": _predicate(content),
    }
    return json.dumps(statement, sort_keys=True).encode()


@lru_cache(maxsize=KEPT)
def signed(content: Content, keys: frozenset[str]) -> bytes:
    """A DSSE envelope of the item by every key."""
    return envelope(payload(content), *(key(name) for name in sorted(keys)))


@cache
def key(name: str) -> SimKey:
    """The key of a name: always the same one, every third on P-256, the others Ed25519."""
    seed = hashlib.sha256(name.encode()).digest()
    if seed[0] % 3:
        return SimKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    return SimKey(ec.derive_private_key(int.from_bytes(seed[:31], "big") + 1, ec.SECP256R1()))


@cache
def fingerprint(name: str) -> str:
    return key(name).fingerprint


@cache
def pem(name: str) -> str:
    return key(name).pem


def authority_json(name: str, listed: tuple[Key, ...]) -> bytes:
    keys = [
        {
            "pem": pem(each.name),
            "window": _window(each.span),
            "predicateTypes": list(TYPES.values()),
            "status": "active" if each.active else "retired",
        }
        for each in listed
    ]
    return json.dumps(
        {"type": "urn:admissibility:authority:v1", "name": name, "keys": keys}
    ).encode()


def withdrawals_json(documents: Documents) -> bytes:
    value = {
        "type": "urn:admissibility:withdrawals:v1",
        "entries": [
            {
                "kind": each.kind,
                "subject": fingerprint(each.subject) if each.kind == "key" else each.subject,
                "reason": "shown to be unfit",
                **({} if each.effective is None else {"effective": stamp(instant(each.effective))}),
                **({} if each.manifest is None else {"manifest": each.manifest}),
            }
            for each in documents.withdrawals
        ],
        "failures": [
            {
                "manifest": each.manifest,
                "suite": each.suite,
                "result": each.result,
                "reason": "below its threshold",
                **{
                    name: value
                    for name in ("artifact", "model", "run")
                    if (value := getattr(each, name)) is not None
                },
            }
            for each in documents.failures
        ],
        "supersessions": [
            {"manifest": each.manifest, "by": each.by} for each in documents.supersessions
        ],
    }
    return json.dumps(value).encode()


def _window(span: Span) -> dict[str, str]:
    return {"notBefore": stamp(instant(span.begins)), "notAfter": stamp(instant(span.ends))}


def _subject(content: Content) -> tuple[str, str]:
    match content:
        case Declaration():
            return content.environment, sha(content.environment)
        case Manifest():
            return content.model, artifact(content.model)
        case Binding():
            base = sha(f"openai/{content.model}")
            return content.deployment, base if content.manifest is None else content.manifest
        case Specification():
            return "support", hashlib.sha256(rfc8785.dumps(_specified(content))).hexdigest()
        case Waiver():
            return content.environment, sha(content.environment)
        case Result() | Approval():
            return content.model, content.manifest


def _predicate(content: Content) -> dict[str, Any]:
    match content:
        case Declaration():
            return {
                "jurisdictions": list(content.jurisdictions),
                "sector": content.sector,
                "purpose": content.purpose,
                "riskClass": "limited",
                "owner": "model-risk",
                "window": _window(content.span),
                "baseModels": list(content.base_models),
                "tuningModels": list(content.tuning_models),
            }
        case Specification():
            extends = {} if content.extends is None else {"extends": {"sha256": content.extends}}
            window = _window(content.span)
            models = list(content.models)
            return {"models": models, "window": window, **_specified(content), **extends}
        case Waiver():
            return {
                "rule": content.rule,
                "jurisdiction": content.jurisdiction,
                "reason": "transition until the register is open",
                "window": _window(content.span),
            }
        case Manifest():
            return _manifest(content)
        case Result():
            return {
                "result": content.outcome,
                "configuration": [_suite(each, score=content.score) for each in content.suites],
                "window": _window(content.span),
            }
        case Approval():
            return {
                "role": content.role,
                "jurisdictions": list(content.jurisdictions),
                "environments": list(content.environments),
                "operations": list(content.operations),
                "window": _window(content.span),
            }
        case Binding():
            return {
                "provider": "openai",
                "deployment": content.deployment,
                "model": content.model,
                "window": _window(content.span),
            }


def _manifest(content: Manifest) -> dict[str, Any]:
    model: dict[str, Any] = {"provider": "openai", "id": content.model, "base": content.base}
    if content.parent is not None:
        model["parent"] = {"sha256": content.parent}
    if content.shutdown is not None:
        model["shutdown"] = stamp(instant(content.shutdown))
    predicate = {
        "model": model,
        "corpora": [
            {
                "role": "training",
                "name": f"corpus-{n}",
                "digest": {"sha256": each},
                "bytes": 9,
                "records": 1,
            }
            for n, each in enumerate(content.corpora)
        ],
        "run": {
            "id": content.run,
            "method": "supervised",
            "hyperparameters": {},
            "started": stamp(instant(RUN_BEGAN)),
            "finished": stamp(instant(RUN_BEGAN + 10)),
            "graders": [
                {"name": f"grader-{n}", "digest": {"sha256": each}}
                for n, each in enumerate(content.graders)
            ],
            "models": [f"openai/{each}" for each in content.used],
        },
        "evaluations": [
            {"name": f"metrics-{n}", "digest": {"sha256": each}, "metrics": {}}
            for n, each in enumerate(content.evaluations)
        ],
        **_specified(content),
        "approvals": {"required": list(content.required)},
        "window": _window(content.span),
    }
    if content.supersedes is not None:
        predicate["supersedes"] = {"sha256": content.supersedes}
    if content.specification is not None:
        predicate["specification"] = {"sha256": content.specification}
    return predicate


def _specified(content: Manifest | Specification) -> dict[str, Any]:
    """What a specification and the manifests of what is tuned under it have in common."""
    return {
        "environments": [_place(each) for each in content.places],
        "envelope": {"suites": [_suite(each) for each in content.suites]},
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "id": place.pattern,
        "jurisdictions": list(place.jurisdictions),
        "sector": place.sector,
        "purpose": place.purpose,
        "operations": list(place.operations),
    }


def _suite(suite: Suite, score: float | None = None) -> dict[str, Any]:
    where = {} if suite.jurisdiction is None else {"jurisdiction": suite.jurisdiction}
    value = {"name": f"{suite.kind}-suite", "digest": {"sha256": suite.digest}}
    if score is None:
        return {**value, "kind": suite.kind, "threshold": 0.9, **where}
    annotations = {"kind": suite.kind, "threshold": 0.9, "score": score, **where}
    return {**value, "annotations": annotations}
