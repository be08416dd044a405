"""What a command reads once: it has the verdicts of the core, and uses every processor."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.trust_state import public_keys
from sidecar.core.verification import VerifiedFile, verify_file
from sidecar.trust import load_once
from tests.support.simulator.many import declared_world, statements


@pytest.mark.parametrize("many", [4, 2_000], ids=["in processes", "here"])
def test_a_command_finds_in_evidence_what_the_core_finds(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_once, "_WHOLE", replace(load_once._WHOLE, many=many, batch=4))
    world = declared_world()
    signers = [party for name, party in world.parties.items() if name != "regulator"]
    keys = frozenset(key for party in signers for key in public_keys(party.view()))
    good = [each for number in range(3) for each in statements(world, number)]
    evidence = {*good, good[0][:-1], b"", b"{}", good[1].replace(b'"payload"', b'"Payload"')}
    steps: list[tuple[int, int]] = []

    def advanced(done: int, of: int) -> None:
        steps.append((done, of))

    files, rejected = load_once.verified_files([*evidence, *good[:4]], keys, advanced)
    found: dict[str, VerifiedFile | str] = {each.file_digest: each for each in files}
    found |= {each.file_digest: each.why for each in rejected}
    assert found == {hashlib.sha256(data).hexdigest(): by_core(data, keys) for data in evidence}
    assert (len(files), len(rejected)) == (12, 7)
    assert steps == sorted(steps)
    assert steps[-1] == (19, 19)


def by_core(data: bytes, keys: frozenset[PublicKey]) -> VerifiedFile | str:
    """Return what the core makes of a file, or why it refuses it."""
    try:
        return verify_file(data, keys)
    except EvidenceError as error:
        return str(error)
