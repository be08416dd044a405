"""Digests that stand for what has no file of its own: a base model, a specification."""

from __future__ import annotations

import hashlib

from sidecar.core.predicates import base_model_digest, specification_blob
from tests.support.simulator.world import admitted_world


def test_a_base_model_has_one_digest_for_each_provider() -> None:
    names = [("openai", "gpt-4o"), ("azure", "gpt-4o"), ("openai", "gpt-4.1")]
    digests = [base_model_digest(*name) for name in names]
    assert len(set(digests)) == 3
    assert digests == [base_model_digest(*name) for name in names]
    assert all(len(digest) == 64 for digest in digests)


def test_a_specification_is_the_digest_of_what_it_declares() -> None:
    world = admitted_world()
    label = world.specify()
    (item,) = (each for each in world.state().specifications.values() if each.digest == label)
    blob = specification_blob(item.predicate.environments, item.predicate.envelope)
    assert hashlib.sha256(blob).hexdigest() == item.statement.subject.digest.sha256
