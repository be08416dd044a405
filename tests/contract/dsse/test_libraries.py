"""Files that ``admit`` signs verify with libraries that select keys by the key id."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.core.predicates import APPROVAL
from tests.contract import evidence_of_every_kind as every_kind
from tests.contract.evidence_of_every_kind import KEY_KINDS, KINDS, NOW
from tests.support.go_program import built

DOC = Path(__file__).parents[3] / "docs" / "verify-without-us.md"
GO_SOURCES = Path(__file__).parent / "securesystemslib_go"


@pytest.fixture(scope="module", params=KEY_KINDS)
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return every_kind.signer(tmp_path_factory.mktemp("authority"), request.param)


@pytest.fixture(scope="module")
def envelopes(signer: Home) -> dict[str, bytes]:
    return {
        kind: authority.attest(signer, case.statement, NOW)
        for kind, case in every_kind.cases().items()
    }


def python_key(signer: Home) -> SSlibKey:
    """The authority's key under the empty key id of the files."""
    key = SSlibKey.from_crypto(load_pem_public_key(authority.pem(signer).encode()))
    key.keyid = ""
    return key


def test_pythons_securesystemslib_accepts_every_kind_of_evidence_as_the_guide_shows(
    signer: Home, envelopes: dict[str, bytes]
) -> None:
    [example] = re.findall(r"^```py\n(.*?)^```$", DOC.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for data in envelopes.values():
        exec(example, {"json": json, "pem": authority.pem(signer).encode(), "envelope": data})
    assert list(envelopes) == list(KINDS)


def test_pythons_securesystemslib_refuses_another_key(
    envelopes: dict[str, bytes], tmp_path: Path
) -> None:
    stranger = python_key(every_kind.signer(tmp_path, "ed25519"))
    with pytest.raises(VerificationError, match="do not match threshold"):
        Envelope.from_dict(json.loads(envelopes[APPROVAL])).verify([stranger], 1)


@pytest.fixture(scope="module")
def go_program() -> Path:
    """The Go program, built once for each text of it; its one dependency is a Go module."""
    return built(GO_SOURCES, "dsse", pytest.skip)


def go_outcomes(program: Path, pem: str, envelopes: list[bytes], folder: Path) -> list[str]:
    (folder / "key.pem").write_text(pem)
    names = []
    for number, data in enumerate(envelopes):
        names.append(f"{number}.dsse.json")
        (folder / names[-1]).write_bytes(data)
    command = [str(program), "key.pem", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


def test_gos_securesystemslib_accepts_every_kind_of_evidence(
    go_program: Path, signer: Home, envelopes: dict[str, bytes], tmp_path: Path
) -> None:
    given = list(envelopes.values())
    # With LoadKey's key id, and with none, as sigstore's WrapVerifier has it.
    assert go_outcomes(go_program, authority.pem(signer), given, tmp_path) == [
        "verified; verified"
    ] * len(KINDS)


def test_gos_securesystemslib_skips_a_key_id_that_is_not_its_own(
    go_program: Path, signer: Home, envelopes: dict[str, bytes], tmp_path: Path
) -> None:
    """The reason for the empty key id; once this fails, a key id could be written again."""
    value = json.loads(envelopes[APPROVAL])
    signature = value["signatures"][0]
    signature["keyid"] = signature["fingerprint"]
    refused = "accepted signatures do not match threshold, Found: 0, Expected 1"
    given = [json.dumps(value).encode()]
    assert go_outcomes(go_program, authority.pem(signer), given, tmp_path) == [
        f"{refused}; {refused}"
    ]
