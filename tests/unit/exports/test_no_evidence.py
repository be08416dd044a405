"""An export is a copy: whatever key signs it, no gate takes it as evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sidecar.core import dsse
from sidecar.core.evidence import parse_statement
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from sidecar.core.wire import DigestSet
from sidecar.exports import cyclonedx, model_card, slsa, spdx
from sidecar.exports.source import ManifestSource
from tests.support.simulator.constants import NOW
from tests.support.simulator.world import World, admitted_world

WRITERS = {
    "slsa": slsa.document,
    "cyclonedx": cyclonedx.document,
    "spdx": spdx.document,
    "model-card": model_card.document,
}
EACH = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def exported(world: World, write: Callable[[ManifestSource], bytes]) -> bytes:
    envelope = dsse.parse(world.evidence["manifest"])
    statement = parse_statement(envelope.payload)
    assert statement.predicate_type == MANIFEST
    return write(ManifestSource(envelope.digest, statement, NOW))  # type: ignore[arg-type]


@EACH
def test_the_export_of_a_lost_manifest_does_not_replace_it(
    write: Callable[[ManifestSource], bytes],
) -> None:
    world = admitted_world()
    copy = exported(world, write)
    assert world.ask().reason is None
    signed = world.evidence.pop("manifest")
    world.evidence["copy"] = copy
    assert world.ask().reason is Reason.MANIFEST_MISSING
    world.sign("signed copy", copy, "producer", "provider", "customer", "regulator")
    assert world.ask().reason is Reason.MANIFEST_MISSING
    assert len(world.state().rejected) == 2
    world.evidence["manifest"] = signed
    assert world.ask().reason is None


def test_the_subject_of_slsa_is_the_model_and_not_the_manifest() -> None:
    """So nothing signed about the one is about the other."""
    world = admitted_world()
    envelope = dsse.parse(world.evidence["manifest"])
    statement = parse_statement(envelope.payload)
    source = ManifestSource(envelope.digest, statement, NOW)  # type: ignore[arg-type]
    (subject,) = slsa.statement(source)["subject"]
    assert DigestSet(subject["digest"]["sha256"]) == statement.subject.digest
    assert subject["digest"]["sha256"] != envelope.digest
