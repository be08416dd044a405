"""Keys in a real PKCS#11 token: SoftHSM, Debian's package ``softhsm2``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from sidecar.authority import home as authority
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import OwnKey
from sidecar.authority.open_home import Home
from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import APPROVAL
from tests.contract import evidence_of_every_kind as every_kind
from tests.contract.evidence_of_every_kind import NOW

LIBRARIES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so"))
TOKENS = {"root": ("Root", "1111", "secp256r1"), "attestation": ("Attest", "2222", "secp384r1")}


@pytest.fixture(scope="module")
def module() -> Path:
    library = next((path for path in LIBRARIES if path.exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2): no HSM is tried")
    return library


@pytest.fixture(scope="module")
def tokens(module: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, OwnKey]:
    """Two tokens with a PIN and an elliptic-curve key each."""
    pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 (the extra hsm) is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    with pytest.MonkeyPatch.context() as patch:
        # The library reads the variable once, when it is loaded: first here.
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        for label, pin, _ in TOKENS.values():
            command = ["softhsm2-util", "--init-token", "--free", "--label", label]
            subprocess.run(
                [*command, "--so-pin", "9999", "--pin", pin], check=True, capture_output=True
            )
        library = pkcs11.lib(str(module))
    return {
        role: OwnKey(
            f"hsm:2?label={label}", _generated(library.get_token(token_label=label), pin, curve)
        )
        for role, (label, pin, curve) in TOKENS.items()
    }


def _generated(token: object, pin: str, curve: str) -> str:
    """Generate a key pair with id 2 in a token; returns the public half as PEM."""
    import pkcs11  # noqa: PLC0415 - an extra
    from pkcs11.util import ec  # noqa: PLC0415

    assert isinstance(token, pkcs11.Token)
    with token.open(rw=True, user_pin=pin) as session:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: ec.encode_named_curve_parameters(curve)},
            local=True,
        )
        public, _ = parameters.generate_keypair(store=True, id=b"\x02", label="key")
        key = load_der_public_key(ec.encode_ec_public_key(public))
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def home(
    module: Path, tokens: dict[str, OwnKey], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Home:
    monkeypatch.setenv("PYKCS11LIB", str(module))
    for role, (_, pin, _) in TOKENS.items():
        monkeypatch.setenv(f"ADMIT_KEY_SECRET_{role.upper()}", pin)
    return authority.init(tmp_path / "h", "acme", now=NOW, uris=tokens)


def test_keys_in_tokens_with_pins_of_their_own_sign_metadata_and_evidence(home: Home) -> None:
    envelope = dsse.parse(authority.attest(home, every_kind.cases()[APPROVAL].statement, NOW))
    key = PublicKey.from_pem(authority.pem(home))
    assert dsse.verified_by(envelope, [key]) == {key.fingerprint}
    assert authority.rotate(home, "online", NOW).renewed == ("snapshot", "root", "timestamp")


def test_a_wrong_pin_names_the_key_and_signs_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIT_KEY_SECRET_ATTESTATION", TOKENS["root"][1])
    with pytest.raises(AuthorityError) as caught:
        authority.attest(home, every_kind.cases()[APPROVAL].statement, NOW)
    assert str(caught.value) == (
        "cannot sign: the PIN of the attestation key (hsm:2?label=Attest) is wrong; a token locks "
        "itself after a few wrong ones. It comes from ADMIT_KEY_SECRET_ATTESTATION, else "
        "ADMIT_KEY_SECRET, else a prompt"
    )


def test_a_library_that_is_not_named_says_which_variable_names_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYKCS11LIB")
    with pytest.raises(AuthorityError, match="PYKCS11LIB environment variable must be set"):
        authority.attest(home, every_kind.cases()[APPROVAL].statement, NOW)
