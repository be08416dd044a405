"""Ways to break an admitted world before its evaluations are looked at (steps 1 to 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, BASE, MODEL
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, window
from tests.support.simulator.world import World

Break = Callable[[World], object]
Case = tuple[str, Break, Reason, int, str]
"""Its name, what breaks the world, and the reason, the step and the detail of the refusal."""


def drop(label: str) -> Break:
    return lambda world: world.evidence.pop(label)


def rebind(world: World, label: str = "manifest", **changes: Any) -> None:
    """Sign a changed manifest and everything about it anew."""
    predicate = {**manifest_predicate(), **changes}
    payload = statement(MANIFEST, predicate["model"]["id"], sha("job"), predicate)
    world.sign(label, payload, "producer")
    world.result(suites=predicate["envelope"]["suites"], manifest=label)
    for role in APPROVERS:
        world.approve(role, manifest=label)


def rebound(**changes: Any) -> Break:
    return lambda world: rebind(world, **changes)


def spec(**changes: Any) -> list[dict[str, Any]]:
    return [{**manifest_predicate()["environments"][0], **changes}]


ENVIRONMENT_AND_MANIFEST: list[Case] = [
    (
        "no declaration",
        drop("environment"),
        Reason.ENVIRONMENT_UNKNOWN,
        1,
        "no customer's declaration of it holds now",
    ),
    (
        "declaration outside its window",
        lambda w: w.declare(window=window(20, -1)),
        Reason.ENVIRONMENT_UNKNOWN,
        1,
        "no customer's declaration of it holds now",
    ),
    (
        "declaration by one that is no customer",
        lambda w: w.declare(signer="producer"),
        Reason.ENVIRONMENT_UNKNOWN,
        1,
        "no customer's declaration of it holds now",
    ),
    (
        "trust domain not granted",
        lambda w: w.grants.update(customer=(grant("customer"),)),
        Reason.CREDENTIAL_INVALID,
        1,
        "customer has no grant with trust domain acme.example whose environments include it",
    ),
    (
        "no manifest",
        drop("manifest"),
        Reason.MANIFEST_MISSING,
        2,
        "a manifest of it was known, and is missing now",
    ),
    (
        "no provider answers for the base",
        rebound(model={"provider": "openai", "id": MODEL, "base": "o9"}),
        Reason.BASE_MODEL_NOT_LISTED,
        2,
        "no provider is granted the base model o9",
    ),
    (
        "signed by one that is no producer",
        lambda w: w.bind(signer="stranger"),
        Reason.MANIFEST_UNVERIFIED,
        3,
        "signed by stranger: no producer granted it with a key valid now",
    ),
    (
        "producer's key out of its window",
        lambda w: setattr(w.parties["producer"], "key_window", window(300, -1)),
        Reason.MANIFEST_UNVERIFIED,
        3,
        "signed by producer: no producer granted it with a key valid now",
    ),
    (
        "producer not granted for the jurisdiction",
        lambda w: w.grants.update(producer=(grant("producer", jurisdictions=("us",)),)),
        Reason.MANIFEST_UNVERIFIED,
        3,
        "signed by producer: no producer granted it with a key valid now",
    ),
    (
        "manifest outside its window",
        rebound(window=window(30, -1)),
        Reason.MANIFEST_NOT_IN_WINDOW,
        3,
        "outside the manifest's window",
    ),
    (
        "model shut down",
        rebound(
            model={
                "provider": "openai",
                "id": MODEL,
                "base": BASE,
                "shutdown": "2026-06-01T12:00:00Z",
            }
        ),
        Reason.MANIFEST_NOT_IN_WINDOW,
        3,
        "the provider has shut the model down",
    ),
    (
        "another environment",
        rebound(environments=spec(id="spiffe://acme.example/lab/*")),
        Reason.ENVIRONMENT_NOT_COVERED,
        3,
        "the manifest does not cover this environment",
    ),
    (
        "a jurisdiction too many",
        lambda w: w.open_jurisdictions().declare(jurisdictions=["eu", "us", "uk"]),
        Reason.ENVIRONMENT_NOT_COVERED,
        3,
        "the manifest does not cover this environment",
    ),
    (
        "another sector",
        rebound(environments=spec(sector="healthcare")),
        Reason.ENVIRONMENT_NOT_COVERED,
        3,
        "the manifest does not cover this environment",
    ),
    (
        "another purpose",
        rebound(environments=spec(purpose="scoring")),
        Reason.ENVIRONMENT_NOT_COVERED,
        3,
        "the manifest does not cover this environment",
    ),
    (
        "another operation",
        rebound(environments=spec(operations=["embeddings"])),
        Reason.OPERATION_NOT_COVERED,
        3,
        "the manifest does not cover chat.completions in this environment",
    ),
]


def same_key(world: World, name: str, other: str) -> str:
    world.parties[name].key = world.parties[other].key
    return ""
