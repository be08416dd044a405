from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    SecretsHandler,
    Signature,
    Signer,
    SSlibKey,
)

from sidecar.authority import home as authority
from sidecar.authority import key_secrets, keys
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import HeldKey, OwnKey
from sidecar.authority.open_home import Home
from sidecar.core.documents import WithdrawalKind
from sidecar.core.keys import PublicKey
from sidecar.durable.files import write_private
from tests.unit.authority.helpers import Pin, key_file
from tests.unit.authority.reader import NOW

PIN = "123456"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_key_that_group_or_others_may_use_is_refused(acme: Home, mode: int) -> None:
    path = key_file(acme, "online")
    path.chmod(mode)
    with pytest.raises(AuthorityError) as caught:
        authority.publish(acme, NOW)
    assert str(caught.value) == (
        f"key file {path} has mode {mode:04o}: group or others may use it; chmod 0600 it"
    )
    path.chmod(0o400)
    assert authority.publish(acme, NOW).version == 2


def test_a_loose_attestation_key_signs_nothing(acme: Home) -> None:
    path = key_file(acme, "attestation")
    path.chmod(0o644)
    with pytest.raises(AuthorityError, match="has mode 0644: group or others may use it"):
        keys.signer(acme.path, "attestation", authority.describe(acme).keys["attestation"])


def test_a_key_of_another_user_is_refused(acme: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may own a key that somebody else reads; so pretend to be neither owner nor root.
    facts = os.stat_result((0o100600, 1, 1, 1, 1001, 1001, 0, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda _: facts)
    monkeypatch.setattr(os, "geteuid", lambda: 1002)
    held = HeldKey(f"file2:{key_file(acme, 'online')}", authority_pem(acme))
    with pytest.raises(AuthorityError, match="belongs to user 1001; run this as that user"):
        keys.signer(acme.path, "online", held)


def authority_pem(home: Home) -> str:
    return keys.create(home.path, "spare", "ed25519").pem


def test_an_existing_file_is_never_overwritten_by_a_key(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(b"an older key")
    with pytest.raises(FileExistsError):
        write_private(path, b"a new key")
    assert path.read_bytes() == b"an older key"


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "root.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "root.pem", b"a new key")
    assert not (tmp_path / "elsewhere.pem").exists()


def test_a_new_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        held = keys.create(tmp_path, "root", "ed25519")
    finally:
        os.umask(before)
    path = tmp_path / held.uri.removeprefix("file2:")
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize(
    ("key_type", "scheme"), [("ed25519", "ed25519"), ("ecdsa", "ecdsa-sha2-nistp256")]
)
def test_a_created_key_is_pkcs8_and_of_the_type_asked_for(
    tmp_path: Path, key_type: str, scheme: str
) -> None:
    held = keys.create(tmp_path, "root", key_type)
    path = tmp_path / held.uri.removeprefix("file2:")
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert held.public().scheme == scheme
    assert held.fingerprint() == PublicKey.from_pem(held.pem).fingerprint
    assert path.name == f"root-{held.fingerprint()[7:19]}.pem"


def test_an_unknown_key_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="key type 'rsa' is not one of ed25519, ecdsa"):
        keys.create(tmp_path, "root", "rsa")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", ": expected one unencrypted PEM private key; found an empty file"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ": expected one unencrypted PEM private key; found a PEM block PRIVATE KEY that",
        ),
        ("encrypted", ": expected one unencrypted PEM private key; found an encrypted private key"),
        ("two", ": expected one unencrypted PEM private key; found 2 PEM blocks"),
        ("other", " holds another key than authority.yaml; restore it, or rotate the key"),
    ],
)
def test_a_key_file_that_is_not_the_key_is_named(
    acme: Home, content: bytes | str, why: str
) -> None:
    secret = (
        serialization.BestAvailableEncryption(b"secret")
        if content == "encrypted"
        else serialization.NoEncryption()
    )
    if isinstance(content, str):
        content = ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret
        ) * (2 if content == "two" else 1)
    path = key_file(acme, "online")
    path.write_bytes(content)
    with pytest.raises(AuthorityError) as caught:
        authority.publish(acme, NOW)
    assert str(caught.value).startswith(f"key file {path}{why}")


def test_a_folder_in_place_of_a_key_is_refused(acme: Home) -> None:
    path = key_file(acme, "online")
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(AuthorityError, match="Is a directory"):
        authority.publish(acme, NOW)


def test_keys_one_brings_along_are_used_and_stay_where_they_are(
    tmp_path: Path, pinned: Pin
) -> None:
    (tmp_path / "mine").mkdir()
    mine = keys.create(tmp_path / "mine", "r", "ecdsa")
    path = tmp_path / "mine" / mine.uri.removeprefix("file2:")
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": OwnKey(f"file2:{path}")})
    described = authority.describe(home)
    assert described.keys["root"] == HeldKey(f"file2:{path}", mine.pem)
    assert sorted(p.name.split("-")[0] for p in (home.path / "keys").iterdir()) == [
        "attestation",
        "online",
        "targets",
    ]
    authority.rotate(home, "online", NOW)
    assert pinned(home).documents("acme")[1].entries == ()


def test_one_key_never_serves_two_purposes(tmp_path: Path) -> None:
    mine = keys.create(tmp_path, "mine", "ed25519")
    own = OwnKey(f"file2:{tmp_path / mine.uri.removeprefix('file2:')}")
    with pytest.raises(AuthorityError, match="one key serves one purpose"):
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": own, "online": own})
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": own})
    with pytest.raises(AuthorityError, match="one key serves one purpose"):
        authority.rotate(home, "attestation", NOW, own=own)


def test_a_key_no_gate_could_verify_is_refused_before_any_key_is_made(tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    write_private(path, CryptoSigner.generate_rsa(size=2048).private_bytes)
    own = OwnKey(f"file2:{path}")
    with pytest.raises(AuthorityError) as caught:
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"attestation": own})
    assert str(caught.value) == (
        f"file2:{path} cannot sign evidence: "
        "expected one PEM public key, Ed25519 or ECDSA on P-256 or P-384; "
        "found a public key, RSA with 2048 bits"
    )
    assert not (tmp_path / "h" / "keys").exists()
    home = authority.init(tmp_path / "h", "acme", now=NOW)
    before = authority.describe(home)
    with pytest.raises(
        AuthorityError, match="nothing was changed: expected one PEM public key, Ed25519 or"
    ):
        authority.rotate(home, "attestation", NOW, own=own)
    assert authority.describe(home) == before


def test_a_public_key_of_another_key_is_found_out_at_once(tmp_path: Path) -> None:
    mine, other = (keys.create(tmp_path, name, "ed25519") for name in ("mine", "other"))
    own = OwnKey(f"file2:{tmp_path / mine.uri.removeprefix('file2:')}", other.pem)
    with pytest.raises(AuthorityError, match="holds another key than"):
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": own})
    assert not (tmp_path / "h" / "keys").exists()


def test_a_key_for_no_role_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="no such key: timestamp; there are root"):
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"timestamp": OwnKey("file2:x")})


class PinIncorrect(Exception):
    """As ``python-pkcs11`` raises it: without a text."""


class _Token(Signer):
    """A signer as an HSM's is: the key is elsewhere, and it asks for a PIN each time."""

    held: ed25519.Ed25519PrivateKey
    broken = False

    def __init__(self, public: SSlibKey, secrets: SecretsHandler | None) -> None:
        self._public, self._secrets = public, secrets

    @property
    def public_key(self) -> SSlibKey:
        return self._public

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> _Token:
        assert isinstance(public_key, SSlibKey)
        return cls(public_key, secrets_handler)

    def sign(self, payload: bytes) -> Signature:
        if self.broken:
            raise OSError("the token is gone")
        assert self._secrets is not None
        if self._secrets("pin") != PIN:
            raise PinIncorrect
        return Signature(self._public.keyid, self.held.sign(payload).hex())


@pytest.fixture
def token() -> Iterator[OwnKey]:
    """A registered signer scheme, the way securesystemslib is extended, with a real key."""
    _Token.held = ed25519.Ed25519PrivateKey.generate()
    _Token.broken = False
    SIGNER_FOR_URI_SCHEME["token"] = _Token
    pem = _Token.held.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    yield OwnKey("token:slot-1", pem.decode())
    del SIGNER_FOR_URI_SCHEME["token"]


def test_a_key_in_a_token_signs_and_its_pin_comes_from_the_environment(
    tmp_path: Path, token: OwnKey, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_KEY_SECRET", PIN)
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"targets": token})
    authority.withdraw(home, WithdrawalKind.RUN, "ftjob-1", "why", None, NOW)
    assert [e.subject for e in pinned(home).documents("acme")[1].entries] == ["ftjob-1"]
    monkeypatch.setenv("ADMIT_KEY_SECRET", "000000")
    with pytest.raises(
        AuthorityError, match=r"cannot sign: the PIN of the targets key \(token:slot-1\) is wrong"
    ):
        authority.withdraw(home, WithdrawalKind.RUN, "ftjob-2", "why", None, NOW)
    assert [e.subject for e in pinned(home).documents("acme")[1].entries] == ["ftjob-1"]


def test_a_token_that_is_gone_leaves_what_is_published_in_force(
    tmp_path: Path, token: OwnKey, pinned: Pin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_KEY_SECRET", PIN)
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"online": token})
    _Token.broken = True
    with pytest.raises(
        AuthorityError, match=r"cannot sign: online key \(token:slot-1\): the token is gone"
    ):
        authority.publish(home, NOW)
    assert pinned(home).documents("acme")[1].entries == ()


def test_a_token_that_signs_with_another_key_is_found_out(
    tmp_path: Path, token: OwnKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_KEY_SECRET", PIN)
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"online": token})
    _Token.held = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(AuthorityError, match="cannot sign"):
        authority.publish(home, NOW)
    assert authority.describe(home).versions["timestamp"] == 1


def test_a_pin_that_nobody_gave_is_asked_for_by_name(
    tmp_path: Path, token: OwnKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADMIT_KEY_SECRET", raising=False)
    with pytest.raises(AuthorityError) as caught:
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"online": token})
    assert str(caught.value) == (
        "the online key (token:slot-1) needs its pin: set ADMIT_KEY_SECRET_ONLINE or "
        "ADMIT_KEY_SECRET, or run this in a terminal"
    )


def test_each_key_has_a_secret_of_its_own_and_a_new_one_another(
    tmp_path: Path, token: OwnKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_KEY_SECRET", "of another key")
    monkeypatch.setenv("ADMIT_KEY_SECRET_TRUST_DOMAINS", PIN)
    home = authority.init(tmp_path / "h", "acme", now=NOW, uris={"trust-domains": token})
    monkeypatch.setenv("ADMIT_KEY_SECRET_NEW", "000000")
    assert authority.publish(home, NOW).version == 2
    with pytest.raises(AuthorityError, match="the PIN of the online key"):
        authority.rotate(home, "online", NOW, own=OwnKey("token:slot-2", token.public_pem))


def test_a_rotation_tries_a_new_token_with_its_own_pin_not_with_that_of_the_old_key(
    tmp_path: Path, token: OwnKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token locks itself after a few wrong ones."""
    home = authority.init(tmp_path / "h", "acme", now=NOW)
    monkeypatch.setenv("ADMIT_KEY_SECRET_TARGETS", "of the old token")
    monkeypatch.setenv("ADMIT_KEY_SECRET_NEW", PIN)
    authority.rotate(home, "targets", NOW, own=token)
    assert authority.describe(home).keys["targets"].uri == token.uri


def test_the_prompt_for_a_secret_names_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIT_KEY_SECRET", raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return PIN

    monkeypatch.setattr(getpass, "getpass", prompt)
    assert key_secrets.handler("root", "hsm:2?label=Root")("pin") == PIN
    assert asked == ["PIN of the root key (hsm:2?label=Root): "]


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP384R1()], ids=["p-521", "p-384"])
def test_tuf_metadata_is_signed_by_keys_that_every_client_verifies(
    tmp_path: Path, curve: ec.EllipticCurve
) -> None:
    path = tmp_path / "root.pem"
    key = ec.generate_private_key(curve)
    write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    own = OwnKey(f"file2:{path}")
    home = authority.init(tmp_path / "h", "acme", now=NOW)
    if curve.name == "secp521r1":
        with pytest.raises(AuthorityError, match="is ecdsa-sha2-nistp521: TUF clients verify"):
            authority.rotate(home, "root", NOW, own=own)
        assert authority.describe(home).versions["root"] == 1
    else:
        warned = (
            "the root key is ecdsa-sha2-nistp384, which not every TUF client verifies; gates do. "
            "Ed25519 and ECDSA on P-256 are verified by all",
        )
        assert authority.rotate(home, "root", NOW, own=own).warnings == warned
        assert keys.tuf_warnings(authority.describe(home).keys) == warned


def test_a_key_elsewhere_needs_its_public_half(tmp_path: Path, token: OwnKey) -> None:
    with pytest.raises(AuthorityError, match=r"token:slot-1: give its public key \(PEM\) as well"):
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": OwnKey(token.uri)})


def test_an_unknown_signer_scheme_is_named(tmp_path: Path, token: OwnKey) -> None:
    own = OwnKey("nowhere:1", token.public_pem)
    with pytest.raises(
        AuthorityError, match=r"cannot use a key: root key \(nowhere:1\): Unsupported private"
    ):
        authority.init(tmp_path / "h", "acme", now=NOW, uris={"root": own})


def test_keys_are_read_as_securesystemslib_reads_them(acme: Home) -> None:
    held = authority.describe(acme).keys["root"]
    uri = f"file2:{acme.path / held.uri.removeprefix('file2:')}"
    theirs = Signer.from_priv_key_uri(uri, held.public())
    ours = keys.signer(acme.path, "root", held).backend
    assert isinstance(theirs, CryptoSigner)
    assert theirs.sign(b"message") == ours.sign(b"message")
