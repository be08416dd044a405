"""A random policy that only asks whether there is evidence of some kind: more of it never denies.

It is asked twice: about the product's facts, and about the model's evidence. For each thing that
may be shown it draws once, by a seed, whether it is content with that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sidecar.core.facts import AdaptationFacts, Facts
from tests.support.laws.nouns import Approval, Binding, Declaration, Item, Manifest, Result
from tests.support.laws.payloads import instant
from tests.support.laws.reading import Signer

CONTENT = 0.8
"""How often it is content with a thing."""


EVERY = 3
"""One history of so many has a policy: it is asked about whatever is admitted, which takes time."""


def drawn(seed: int) -> Policy | None:
    """The policy of a seed's history, if it has one."""
    return None if seed % EVERY else Policy(seed)


@dataclass(frozen=True, slots=True)
class Policy:
    """Content with what its seed says; ``None`` is content with everything."""

    seed: int | None = None

    def _content(self, *about: object) -> bool:
        if self.seed is None:
            return True
        drawn = hashlib.sha256(repr((self.seed, *about)).encode()).digest()
        return drawn[0] < 256 * CONTENT

    def _result(self, evaluator: str, performed: datetime) -> bool:
        return self._content("result", evaluator, performed)

    def _approval(self, authority: str, role: str, ends: datetime) -> bool:
        return self._content("approval", authority, role, ends)

    def _manifest(self, digest: str, producer: str) -> bool:
        return self._content("manifest", digest, producer)

    def _environment(self, sector: str, purpose: str) -> bool:
        return self._content("environment", sector, purpose)

    def _binding(self, authority: str, model: str) -> bool:
        return self._content("binding", authority, model)

    # ---- Of the model's evidence ---------------------------------------------------------------

    def of_called(self, word: Item, signer: Signer) -> bool:
        """Whether it is content with a manifest that is called, or with what is said of it."""
        authority, said = signer[0], word.content
        match said:
            case Manifest():
                return self._manifest(word.digest, authority)
            case Result():
                return self._result(authority, instant(said.span.begins))
            case Approval():
                return self._approval(authority, said.role, instant(said.span.ends))
        return True

    def of_other(self, word: Item, signer: Signer) -> bool:
        """Whether it is content with evidence that is not about a manifest that is called."""
        match word.content:
            case Declaration(sector=sector, purpose=purpose):
                return self._environment(sector, purpose)
            case Binding(model=model):
                return self._binding(signer[0], model)
        return True

    # ---- Of the product's facts ----------------------------------------------------------------

    def allows(self, facts: Facts) -> bool:
        """Whether it is content with something of each kind that facts show."""
        effective = facts.environment
        return (
            self._environment(effective.sector, effective.purpose)
            and all(self._binding(each.authority, each.model) for each in facts.deployments)
            and all(
                self._manifest(each.manifest, each.producer)
                and (facts.request.sandbox or self._evaluated(each))
                and (facts.request.sandbox or self._approved(each, effective.jurisdictions))
                for each in facts.adaptations
            )
        )

    def _evaluated(self, adaptation: AdaptationFacts) -> bool:
        return all(
            any(self._result(r.evaluator, _read(r.performed)) for r in suite.results)
            for suite in adaptation.suites
        )

    def _approved(self, adaptation: AdaptationFacts, places: tuple[str, ...]) -> bool:
        shown = adaptation.approvals
        return all(
            any(
                each.role == role
                and place in each.jurisdictions
                and self._approval(each.authority, role, _read(each.not_after))
                for each in shown
            )
            for role in {each.role for each in shown}
            for place in places
        )


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text)
