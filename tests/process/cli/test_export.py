"""``admit export``: a manifest as a document of another format, printed or in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.process.cli.admit import admit
from tests.support.cyclonedx_schema import schema_error
from tests.support.simulator.world import World, admitted_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The files of an admitted model, and its producer's key."""
    world = admitted_world()
    for label, data in world.evidence.items():
        (tmp_path / f"{label.replace(':', '-')}.dsse.json").write_bytes(data)
    for name in ("producer", "regulator"):
        key = world.parties[name].key.private.public_key()
        pem = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (tmp_path / f"{name}.pem").write_bytes(pem)
    return world


@pytest.mark.parametrize("form", ["slsa", "cyclonedx", "spdx", "model-card"])
def test_a_verified_manifest_is_printed_or_written(form: str, world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("export", tmp_path / "manifest.dsse.json", "--format", form)
    key = ("--signed-by", tmp_path / "producer.pem", "--result", tmp_path / "result.dsse.json")
    printed = admit(*command, *key)
    admit(*command, *key, "--out", out)
    assert (printed.stderr, world.digests["manifest"].encode() in out.read_bytes()) == (b"", True)
    assert f"{world.parties['producer'].key.fingerprint}".encode() in printed.stdout
    if form == "cyclonedx":
        text = printed.stdout.decode()
        assert schema_error(text) is None
        assert '"adversarial score"' in text


def test_a_manifest_whose_signature_is_not_verified_is_exported_as_such(
    world: World, tmp_path: Path
) -> None:
    done = admit("export", tmp_path / "manifest.dsse.json", "--format", "slsa")
    assert b"the manifest's signature was not verified: give --signed-by" in done.stderr
    byproduct = json.loads(done.stdout)["predicate"]["runDetails"]["byproducts"][-1]
    assert byproduct == {
        "name": "adaptation manifest",
        "digest": {"sha256": world.digests["manifest"]},
        "annotations": {"signature": "unverified"},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("manifest", "--signed-by", "regulator.pem"), "not signed by the key in"),
        (("approval-regulator",), "is evidence, but not a manifest"),
        (("manifest", "--result", "approval-regulator.dsse.json"), "is evidence, but not a result"),
    ],
)
def test_what_is_not_the_manifest_or_its_result_is_refused(
    arguments: tuple[str, ...],
    message: str,
    world: World,
    tmp_path: Path,
) -> None:
    name, *more = arguments
    paths = [tmp_path / each if "." in each else each for each in more]
    out = tmp_path / "out"
    done = admit(
        *("export", tmp_path / f"{name}.dsse.json", "--format", "spdx", "--out", out, *paths),
        code=2,
    )
    assert (message in done.stderr.decode(), out.exists()) == (True, False)
