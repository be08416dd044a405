"""Lists the calls that a trust state could admit: what to assess before and after a withdrawal.

A use is one call from one environment. Uses come from the evidence (each manifest, deployment and
base model, in each declared environment it is for) and from decision logs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sidecar.core.call import Call
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Evidence
from sidecar.core.patterns import any_matches, matches
from sidecar.core.predicates import Manifest
from sidecar.core.sandbox import PURPOSE
from sidecar.core.snapshot import TrustState

CALLING = "chat.completions"
TUNING = "fine_tuning.jobs.create"
"""Stands for the operations that tune a model, of whatever API."""
LISTING = "models.list"
"""Stands for the operations that name no model: only the environment is asked about."""

_ANY = "any"
"""What a wildcard becomes where a pattern of base models is asked about by one name."""


@dataclass(frozen=True, slots=True)
class EnvironmentCall:
    """One call from one environment (a SPIFFE ID)."""

    environment: str
    call: Call

    @property
    def models(self) -> tuple[str, ...]:
        """Return ``provider/id`` of what it names, sorted; empty where it names no model."""
        return tuple(sorted(f"{self.call.provider}/{name}" for name in self.call.named))


def uses(
    state: TrustState, entry: Withdrawal | None, seen: Iterable[EnvironmentCall] = ()
) -> tuple[EnvironmentCall, ...]:
    """Return every use to assess, each once.

    Args:
        state: Without the withdrawal.
        entry: The withdrawal: a base model that it names exactly is asked about by name; ``None``
            without one.
        seen: Uses from decision logs.
    """
    seen = tuple(seen)
    found = [*seen, *_adapted(state), *_deployed(state), *_without_model(state)]
    known = _known(state, entry, seen)
    found.extend((*_sandboxed(state), *_base_models(state, known), *_tuned(state, known)))
    return tuple(dict.fromkeys(found))


def _adapted(state: TrustState) -> Iterator[EnvironmentCall]:
    for (provider, model), manifests in state.manifests.items():
        for environment, operations in _covered(state, manifests).items():
            for operation in operations:
                yield EnvironmentCall(environment, Call(provider, operation, (model,)))


def _deployed(state: TrustState) -> Iterator[EnvironmentCall]:
    for (provider, name), bindings in state.bindings.items():
        for model in {binding.predicate.model for binding in bindings}:
            adapted = state.manifests.get((provider, model), ())
            unadapted = dict.fromkeys(_listing(state, f"{provider}/{model}"), (CALLING,))
            covered = _covered(state, adapted) if adapted else unadapted
            for environment, operations in covered.items():
                for operation in operations:
                    call = Call(provider, operation, (name,), deployments=(name,))
                    yield EnvironmentCall(environment, call)


def _without_model(state: TrustState) -> Iterator[EnvironmentCall]:
    provider = min((provider for provider, _ in state.manifests), default="openai")
    for environment in state.environments:
        yield EnvironmentCall(environment, Call(provider, LISTING, (), modelless=True))


def _sandboxed(state: TrustState) -> Iterator[EnvironmentCall]:
    """Yield an evaluator's calls, to models that need not be active yet."""
    for environment, items in state.environments.items():
        if all(item.predicate.purpose != PURPOSE for item in items):
            continue
        for (provider, model), manifests in state.manifests.items():
            specs = {spec for item in manifests for spec in item.predicate.environments}
            for operation in sorted({name for spec in specs for name in spec.operations}):
                call = Call(provider, operation, (model,), sandbox=True)
                yield EnvironmentCall(environment, call)


def _known(
    state: TrustState, entry: Withdrawal | None, seen: tuple[EnvironmentCall, ...]
) -> frozenset[str]:
    """Return names of base models, as ``provider/id``, that are called, tuned or withdrawn."""
    known = {f"{use.call.provider}/{name}" for use in seen for name in use.call.named}
    for (provider, _), manifests in state.manifests.items():
        known |= {f"{provider}/{item.predicate.model.base}" for item in manifests}
    if entry is not None and entry.kind in {WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL}:
        known.add(_instance(entry.subject))
    return frozenset(known)


def _base_models(state: TrustState, known: frozenset[str]) -> Iterator[EnvironmentCall]:
    """Yield each base model that an environment lists, by name where one is known."""
    for environment, items in state.environments.items():
        patterns = {pattern for item in items for pattern in item.predicate.base_models}
        for provider, model in _named(patterns, known):
            if f"{provider}/{model}" not in state.adapted:
                yield EnvironmentCall(environment, Call(provider, CALLING, (model,)))


def _tuned(state: TrustState, known: frozenset[str]) -> Iterator[EnvironmentCall]:
    """Yield tuning jobs of each model that an environment lists for it, by specification."""
    for environment, items in state.environments.items():
        patterns = {pattern for item in items for pattern in item.predicate.tuning_models}
        for provider, model in _named(patterns, known):
            for digest, specification in state.specifications.items():
                if any_matches(specification.predicate.models, f"{provider}/{model}"):
                    call = Call(provider, TUNING, (), tuned=(model,), specification=digest)
                    yield EnvironmentCall(environment, call)


def _named(patterns: set[str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield provider and id of one name for each pattern, and of the known ones that match."""
    names = {_instance(pattern) for pattern in patterns}
    names |= {name for name in known if any_matches(tuple(sorted(patterns)), name)}
    for name in sorted(names):
        provider, _, model = name.partition("/")
        if provider and model:
            yield provider, model


def _listing(state: TrustState, name: str) -> Iterator[str]:
    """Yield the environments that list a base model."""
    for environment, items in state.environments.items():
        if any(any_matches(item.predicate.base_models, name) for item in items):
            yield environment


def _instance(pattern: str) -> str:
    """Return one name that a pattern covers."""
    return pattern.replace("**", _ANY).replace("*", _ANY)


def _covered(
    state: TrustState, manifests: tuple[Evidence[Manifest], ...]
) -> Mapping[str, tuple[str, ...]]:
    """Return the declared environments that manifests are for, each with its operations."""
    found: dict[str, set[str]] = defaultdict(set)
    for spec in {spec for item in manifests for spec in item.predicate.environments}:
        exact = "*" not in spec.id
        for environment in (spec.id,) if exact else state.environments:
            if environment in state.environments and matches(spec.id, environment):
                found[environment].update(spec.operations)
    return {environment: tuple(sorted(names)) for environment, names in found.items()}
