"""The bundle: a revision that is the content, a signature that holds, and nothing from outside."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sidecar.opa import bundle as bundles
from sidecar.opa import signing, tree
from sidecar.opa.bundle import Bundle, Folder, SignedFile
from sidecar.opa.errors import PolicyError
from sidecar.opa.location import opa_path
from sidecar.opa.signing import VerificationKey
from sidecar.opa.tree import Tree
from tests.process.policies.opa import CAPABILITIES, copy_policies
from tests.process.policy.keys import Private, write_pair

LEAST = {
    "capabilities.json": CAPABILITIES.read_bytes(),
    "admission/decision.rego": b"package admission\n\ndecision := 1\n",
    "params/eu/data.json": b'{"floor": 1}',
    "jurisdiction/eu/eu.rego": b"package jurisdiction.eu\n\nx := 1\n",
    "jurisdiction/us/us.rego": b"package jurisdiction.us\n\nx := 1\n",
}


def write_tree(folder: Path, **more: bytes) -> Path:
    for name, data in {**LEAST, **more}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def built(tmp_path: Path, key: Path | None = None) -> Bundle:
    policies = tree.read(write_tree(tmp_path / "policies"))
    folder = tmp_path / "built"
    folder.mkdir()
    signer = None if key is None else signing.signing_key(key)
    return bundles.build(opa_path(), policies, folder, signer)


def taken(tmp_path: Path, bundle: Path, key: Path) -> Bundle:
    folder = tmp_path / "taken"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return SignedFile(bundle, key).read().make(opa_path(), folder)


def refused(tmp_path: Path, bundle: Path, key: Path) -> str:
    """Why the bundle is not used: one line that names it."""
    with pytest.raises(PolicyError) as caught:
        taken(tmp_path, bundle, key)
    text = str(caught.value)
    assert text.startswith(f"{bundle}: ")
    assert "\n" not in text
    assert str(tmp_path / "taken") not in text
    return text.removeprefix(f"{bundle}: ")


# ---- the tree ------------------------------------------------------------------------------------


def test_the_revision_is_the_content_and_tests_are_no_part_of_it(tmp_path: Path) -> None:
    policies = write_tree(tmp_path)
    first = tree.read(policies)
    assert first == Tree(LEAST, first.revision)
    assert first.jurisdictions == ("eu", "us")
    for name in ("admission/x_test.rego", ".hidden.rego", "lint/x.rego", "schemas/x.json", "x.txt"):
        (policies / name).parent.mkdir(exist_ok=True)
        (policies / name).write_text("not even rego")
    (policies / "link.rego").symlink_to(policies / "x.txt")
    assert tree.read(policies) == first
    (policies / "params/eu/data.json").write_text('{"floor": 2}')
    assert tree.read(policies).revision != first.revision


def test_names_and_contents_cannot_be_shifted_into_each_other() -> None:
    pairs = [{"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"abc": b""}]
    assert len({tree.revision_of(files) for files in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "PLACE: there is no such folder"),
        (
            lambda place: (place / "capabilities.json").unlink(),
            "PLACE: no policies with a capabilities.json in there",
        ),
        (
            lambda place: (place / "data.json").write_text('{"revision": "r"}'),
            "PLACE/data.json: data belongs into a folder of its own",
        ),
        (
            lambda place: (place / "big.rego").write_bytes(b" " * (tree.MAX_FILE_BYTES + 1)),
            f"PLACE/big.rego: larger than {tree.MAX_FILE_BYTES} bytes",
        ),
    ],
)
def test_a_folder_that_is_no_policies_is_said(
    tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    place = write_tree(tmp_path / "p")
    spoil(place)
    with pytest.raises(PolicyError) as caught:
        tree.read(place)
    assert str(caught.value).replace(str(place), "PLACE") == message


# ---- building ------------------------------------------------------------------------------------


def contents(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        files = {m.name: archive.extractfile(m) for m in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


def claims(bundle: Path) -> dict[str, Any]:
    """What the one token in the bundle says, unverified."""
    (token,) = json.loads(contents(bundle)["/.signatures.json"])["signatures"]
    header, payload, _ = token.split(".")
    parts = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]
    return {"alg": parts[0]["alg"], **parts[1]}


def test_a_bundle_holds_rules_data_and_revision_all_of_them_signed(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    assert bundle == Bundle(
        tmp_path / "built" / "bundle.tar.gz",
        tree.read(tmp_path / "policies").revision,
        ("eu", "us"),
        VerificationKey(tmp_path / "built" / "verification.pem", "ES256"),
    )
    found = contents(bundle.path)
    served = {f"/{name}" for name in LEAST if name != "capabilities.json" and "data" not in name}
    assert set(found) == served | {"/data.json", "/.manifest", "/.signatures.json"}
    data = {"revision": bundle.revision, "params": {"eu": {"floor": 1}}}
    assert json.loads(found["/data.json"]) == data
    assert json.loads(found["/.manifest"])["revision"] == bundle.revision
    said = claims(bundle.path)
    assert (said["alg"], said["scope"]) == ("ES256", signing.SCOPE)
    assert {f"/{file['name']}" for file in said["files"]} == set(found) - {"/.signatures.json"}


def test_the_key_that_signed_for_once_is_gone_also_when_opa_refuses(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    assert not list(bundle.path.parent.rglob("signing.pem"))
    policies = tree.read(write_tree(tmp_path / "broken", **{"x.rego": b"package x\n\nx := "}))
    folder = tmp_path / "again"
    folder.mkdir()
    with pytest.raises(PolicyError, match=r"^OPA refuses the policies: .*x\.rego:3: ") as caught:
        bundles.build(opa_path(), policies, folder)
    assert str(folder).lstrip("/") not in str(caught.value)
    assert not list(folder.rglob("signing.pem"))


def test_policies_that_want_the_network_are_refused(tmp_path: Path) -> None:
    wants = b'package x\n\nx := http.send({"method": "get", "url": "http://x.example"})\n'
    policies = copy_policies(tmp_path)
    (policies / "lib" / "net.rego").write_bytes(wants)
    folder = tmp_path / "b"
    folder.mkdir()
    with pytest.raises(PolicyError, match=r"^OPA refuses the policies: .*http\.send") as caught:
        Folder(policies).read().make(opa_path(), folder)
    assert "\n" not in str(caught.value)


# ---- a bundle that somebody signed ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_a_signed_bundle_is_taken_under_the_revision_it_carries(
    tmp_path: Path, private: Private, algorithm: str
) -> None:
    secret, public = write_pair(tmp_path, "operator", private)
    bundle = built(tmp_path, secret)
    assert claims(bundle.path)["alg"] == algorithm
    assert taken(tmp_path, bundle.path, public) == Bundle(
        tmp_path / "taken" / "bundle.tar.gz",
        bundle.revision,
        ("eu", "us"),
        VerificationKey(tmp_path / "taken" / "verification.pem", algorithm),
    )


def repacked(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Write the bundle anew with other files in it."""
    files = contents(path)
    change(files)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def a_rule_is_changed(files: dict[str, bytes]) -> None:
    files["/admission/decision.rego"] = b"package admission\n\ndecision := 2\n"


def a_rule_is_added(files: dict[str, bytes]) -> None:
    files["/jurisdiction/eu/more.rego"] = b"package jurisdiction.eu\n\ny := 1\n"


def a_rule_is_removed(files: dict[str, bytes]) -> None:
    del files["/jurisdiction/eu/eu.rego"]


def the_data_is_changed(files: dict[str, bytes]) -> None:
    files["/data.json"] = files["/data.json"].replace(b'"floor":1', b'"floor":0')


def the_revision_is_changed(files: dict[str, bytes]) -> None:
    files["/.manifest"] = files["/.manifest"].replace(b"sha256:", b"sha257:")


def the_signature_is_dropped(files: dict[str, bytes]) -> None:
    del files["/.signatures.json"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (a_rule_is_changed, r"admission/decision\.rego: digest mismatch"),
        (a_rule_is_added, r"file jurisdiction/eu/more\.rego not included in bundle signature"),
        (a_rule_is_removed, r"\[jurisdiction/eu/eu\.rego\] specified in bundle signatures but not"),
        (the_data_is_changed, r"data\.json: digest mismatch"),
        (the_revision_is_changed, r"\.manifest: digest mismatch"),
        (the_signature_is_dropped, r"bundle missing \.signatures\.json file"),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], why: str
) -> None:
    secret, public = write_pair(tmp_path, "operator")
    bundle = built(tmp_path, secret)
    repacked(bundle.path, lambda files: None)
    assert taken(tmp_path, bundle.path, public).revision == bundle.revision
    repacked(bundle.path, change)
    assert re.search(why, refused(tmp_path, bundle.path, public))


def test_a_bundle_that_somebody_else_signed_is_refused(tmp_path: Path) -> None:
    secret, _ = write_pair(tmp_path, "stranger")
    _, public = write_pair(tmp_path, "operator")
    bundle = built(tmp_path, secret)
    assert "failed to verify JWT signature" in refused(tmp_path, bundle.path, public)


def test_a_key_that_signs_other_bundles_does_not_vouch_for_policies(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    place, other = write_tree(tmp_path / "policies"), tmp_path / "other.tar.gz"
    (place / "data.json").write_text('{"revision": "r"}')
    subprocess.run(
        [opa_path(), "build", "-b", ".", "-o", other, "--ignore", "capabilities.json",
         "--signing-key", secret, "--signing-alg", "ES256"],
        cwd=place, check=True,
    )  # fmt: skip
    assert "scope mismatch" in refused(tmp_path, other, public)


def signed_with_opa(tmp_path: Path, secret: Path, **files: str) -> Path:
    """A bundle an operator built with OPA alone, claims and all."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    for name, text in files.items():
        (place / name.replace("_", ".")).write_text(text)
    (tmp_path / "claims.json").write_text(json.dumps({"scope": signing.SCOPE}))
    subprocess.run(
        [opa_path(), "build", "-b", ".", "-o", tmp_path / "e.tar.gz", "--signing-key", secret,
         "--signing-alg", "ES256", "--claims-file", tmp_path / "claims.json"],
        cwd=place, check=True,
    )  # fmt: skip
    return tmp_path / "e.tar.gz"


def test_a_signature_does_not_open_the_network_to_a_bundle(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    wants = 'package x\n\nx := http.send({"method": "get", "url": "http://x.example"})\n'
    bundle = signed_with_opa(tmp_path, secret, data_json='{"revision": "r"}', x_rego=wants)
    assert "undefined function http.send" in refused(tmp_path, bundle, public)


def test_a_signed_bundle_without_a_revision_is_refused(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    bundle = signed_with_opa(tmp_path, secret, x_rego="package x\n\nx := 1\n")
    assert refused(tmp_path, bundle, public) == "the bundle has no revision as data"


def test_a_signed_bundle_that_leaves_room_for_other_policies_is_refused(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    manifest = '{"roots": ["x", "revision"]}'
    bundle = signed_with_opa(
        tmp_path, secret, x_rego="package x\n\ny := 1\n", data_json='{"revision": "r"}',
        _manifest=manifest,
    )  # fmt: skip
    assert refused(tmp_path, bundle, public) == (
        "the bundle has the roots ['x', 'revision'], expected [\"\"]:"
        " build it without a list of roots"
    )


# ---- keys ----------------------------------------------------------------------------------------


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    secret.chmod(0o640)
    with pytest.raises(PolicyError) as caught:
        signing.signing_key(secret)
    assert str(caught.value) == f"{secret}: others can read this private key (chmod 0600)"
    with pytest.raises(PolicyError) as caught:
        signing.signing_key(public.with_name("none"))
    assert str(caught.value) == f"{public.with_name('none')}: No such file or directory"


def test_a_kind_of_key_that_does_not_sign_bundles_is_refused(tmp_path: Path) -> None:
    kinds: list[Private] = [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP521R1()),
    ]
    for number, kind in enumerate(kinds):
        secret, public = write_pair(tmp_path, str(number), kind)
        for read, path in ((signing.signing_key, secret), (signing.verification_key, public)):
            with pytest.raises(PolicyError) as caught:
                read(path)
            assert str(caught.value) == f"{path}: not a P-256, P-384 or Ed25519 key"


def test_a_public_key_is_refused_as_private_and_a_private_one_as_public(tmp_path: Path) -> None:
    secret, public = write_pair(tmp_path, "operator")
    with pytest.raises(PolicyError, match=r"no private key in PEM without a password$"):
        signing.signing_key(_private(tmp_path, public.read_bytes()))
    with pytest.raises(PolicyError, match=r"no public key in PEM$"):
        signing.verification_key(secret)


def _private(folder: Path, data: bytes) -> Path:
    path = folder / "copy.pem"
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path
