"""What a command imports: each process that starts pays for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.signing_libraries import LIBRARIES


def test_an_authoritys_command_loads_no_server() -> None:
    code = (
        "import sys; from sidecar.cli.main import run; run(['authority', 'show', '--help']);"
        "print(sorted({'grpc', 'aiohttp', 'sidecar.gate', 'sidecar.trust'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_libraries_of_hsms_and_clouds_are_imported_when_a_key_needs_one(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    code = f"""
import sys, pathlib, sidecar.cli.serve, sidecar.cli.authority
from sidecar.authority.keys import HeldKey, signer
seen = lambda: sorted({set(LIBRARIES)} & set(sys.modules))
print(seen())
try:
    signer(pathlib.Path(), "root", HeldKey("awskms:alias/root", {pem!r}))
except Exception as error:
    print(error)
print(seen())
import pkcs11, azure.identity
"""
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, check=True, text=True
    )
    assert done.stdout.splitlines() == [
        "[]",
        "cannot use a key: root key (awskms:alias/root): You must specify a region.",
        "['boto3']",
    ]
