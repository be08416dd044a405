"""Root documents: one key never counts twice, however it is named or written."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from sidecar.trust import roots
from sidecar.trust.limits import REPOSITORY, RepositoryLimits
from tests.unit.trust.repository import ROLES, Repository, sign, under_another_id

OTHER_ID = "b" * 64
Generate = Callable[[], CryptoSigner]
Disguise = Callable[[CryptoSigner], CryptoSigner]


def shouted(signer: CryptoSigner) -> CryptoSigner:
    """An Ed25519 key in upper-case hex."""
    return under_another_id(signer, OTHER_ID, public=signer.public_key.keyval["public"].upper())


def rewrapped(signer: CryptoSigner) -> CryptoSigner:
    """A PEM key with other line breaks."""
    lines = signer.public_key.keyval["public"].strip().split("\n")
    body = "".join(lines[1:-1])
    broken = "\n".join([lines[0], *(body[i : i + 40] for i in range(0, len(body), 40)), lines[-1]])
    return under_another_id(signer, OTHER_ID, public=broken)


def compressed(signer: CryptoSigner) -> CryptoSigner:
    """The same point in its compressed form: another DER, the same key."""
    key = load_pem_public_key(signer.public_key.keyval["public"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    # SubjectPublicKeyInfo of P-256 with a 33-byte point, by hand (RFC 5480 2.2).
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    der = b"\x30\x39" + algorithm + b"\x03\x22\x00" + point
    body = base64.b64encode(der).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
    return under_another_id(signer, OTHER_ID, public=pem)


def same(signer: CryptoSigner) -> CryptoSigner:
    return under_another_id(signer, OTHER_ID)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("generate", "disguise"),
    [
        (CryptoSigner.generate_ed25519, same),
        (CryptoSigner.generate_ed25519, shouted),
        (CryptoSigner.generate_ecdsa, same),
        (CryptoSigner.generate_ecdsa, rewrapped),
        (CryptoSigner.generate_ecdsa, compressed),
    ],
)
def test_one_key_under_two_ids_is_refused(
    tmp_path: Path, role: str, generate: Generate, disguise: Disguise
) -> None:
    signer = generate()
    repo = Repository(tmp_path, "acme")
    repo.thresholds[role] = 2
    data = repo.rotate_root({role: [signer, disguise(signer)]})
    # The library by itself is satisfied with it:
    document = Metadata[Root].from_bytes(data)
    assert len(document.signed.roles[role].keyids) == 2
    with pytest.raises(roots.RootError) as caught:
        roots.parse(data)
    assert str(caught.value) == f"role {role} counts one key under two ids"


def test_the_library_would_count_one_key_twice(tmp_path: Path) -> None:
    """Why the check above exists: the threshold of two is met with one private key."""
    once = CryptoSigner.generate_ed25519()
    repo = Repository(tmp_path, "acme")
    repo.thresholds["root"] = 2
    document = Metadata[Root].from_bytes(repo.rotate_root({"root": [once, same(once)]}))
    document.verify_delegate("root", document)


def test_one_key_in_several_roles_is_no_fault(tmp_path: Path) -> None:
    online = CryptoSigner.generate_ed25519()
    data = Repository(tmp_path, "acme").rotate_root({"timestamp": [online], "snapshot": [online]})
    assert roots.parse(data).signed.version == 2


def broken(data: bytes, threshold: object) -> bytes:
    value = json.loads(data)
    value["signed"]["roles"]["snapshot"]["threshold"] = threshold
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("threshold", "why"),
    [
        (0, "not a TUF root document"),
        (-1, "not a TUF root document"),
        ("1", "not a TUF root document"),
        (None, "not a TUF root document"),
        (True, "role snapshot has a threshold below 1"),
        (1.5, "role snapshot has a threshold below 1"),
        (2, "role snapshot needs 2 keys and has 1"),
    ],
)
def test_a_threshold_that_means_nothing_is_refused(
    tmp_path: Path, threshold: object, why: str
) -> None:
    with pytest.raises(roots.RootError) as caught:
        roots.parse(broken(Repository(tmp_path, "acme").first_root, threshold))
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a TUF root document"),
        (b"{}", "not a TUF root document"),
        (b"[" * 100_000, "not a TUF root document"),
        (
            b" " * (REPOSITORY.root + 1),
            f"{REPOSITORY.root + 1} bytes, at most {REPOSITORY.root} are read",
        ),
    ],
)
def test_what_is_no_root_document_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(roots.RootError) as caught:
        roots.parse(data)
    assert str(caught.value) == why


def test_another_role_in_the_place_of_root_is_refused(tmp_path: Path) -> None:
    repo = Repository(tmp_path, "acme")
    with pytest.raises(roots.RootError) as caught:
        roots.parse(repo.next_set()["metadata/timestamp.json"])
    assert str(caught.value) == "a TUF timestamp document, not a root"


def test_a_key_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    repo = Repository(tmp_path, "acme")
    repo.signers["targets"] = [CryptoSigner.generate_ed25519()]
    repo.signers["targets"][0].public_key.keyval["public"] = "zz"
    with pytest.raises(roots.RootError) as caught:
        roots.parse(repo.rotate_root())
    assert str(caught.value) == "a ed25519 key cannot be read"


def test_a_kind_of_key_that_no_one_compares_is_refused(tmp_path: Path) -> None:
    key = x25519.X25519PrivateKey.generate().public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    signer = CryptoSigner.generate_ecdsa()
    signer.public_key.keyval["public"] = pem
    repo = Repository(tmp_path, "acme")
    repo.signers["targets"] = [signer]
    with pytest.raises(roots.RootError) as caught:
        roots.parse(repo.rotate_root())
    assert str(caught.value) == "ecdsa keys are not supported"


def test_a_chain_is_followed_so_far_and_no_farther(tmp_path: Path) -> None:
    repo = Repository(tmp_path, "acme")
    repo.rotate_root()
    repo.rotate_root()
    assert roots.chain(repo.first_root, tmp_path / "metadata")[-1].version == 3
    limits = RepositoryLimits(roots=1)
    assert roots.chain(repo.first_root, tmp_path / "metadata", limits)[-1].version == 2


def test_a_pinned_root_is_signed_by_its_own_keys(tmp_path: Path) -> None:
    repo = Repository(tmp_path, "acme")
    root = Metadata[Root].from_bytes(repo.first_root).signed
    with pytest.raises(roots.RootError) as caught:
        roots.pinned(sign(root, [CryptoSigner.generate_ed25519()]))
    assert str(caught.value) == "root version 1: root was signed by 0/1 keys"


def test_the_chain_ends_where_a_root_does_not_hold(tmp_path: Path) -> None:
    repo = Repository(tmp_path, "acme")
    history = tmp_path / "history"
    history.mkdir()
    for version in (2, 3):
        (history / f"{version}.root.json").write_bytes(repo.rotate_root())
    assert roots.chain(repo.first_root, history)[-1].version == 3
    stranger = Repository(tmp_path / "other", "acme")
    stranger.versions["root"] = 3
    (history / "4.root.json").write_bytes(stranger.rotate_root())
    assert roots.chain(repo.first_root, history)[-1].version == 3
    repo.versions["root"] = 8
    (history / "4.root.json").write_bytes(repo.rotate_root())
    assert roots.chain(repo.first_root, history)[-1].version == 3
    (history / "2.root.json").unlink()
    assert roots.chain(repo.first_root, history)[-1].version == 1
